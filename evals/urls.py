from django.urls import path

from evals.views import candidates, compare, leaderboard, methods, playground, runs, servers, suites

app_name = "evals"
urlpatterns = [
    path("models/", candidates.index, name="candidates"),
    path("models/new/", candidates.create, name="candidate_new"),
    path("models/servers/", servers.index, name="servers"),
    path("models/<int:pk>/", candidates.detail, name="candidate"),
    path("models/<int:pk>/edit/", candidates.edit, name="candidate_edit"),
    path("models/<int:pk>/price/", candidates.set_price, name="candidate_price"),
    path("models/<int:pk>/check/", candidates.check, name="candidate_check"),
    path("models/<int:pk>/software/", candidates.accept_software, name="candidate_software"),
    path("suites/", suites.index, name="suites"),
    path("suites/install/", suites.install, name="suite_install"),
    path("suites/<int:pk>/", suites.detail, name="suite"),
    path("suites/benchmarks/<int:pk>/", suites.benchmark, name="benchmark"),
    path("runs/", runs.index, name="runs"),
    path("runs/new/", runs.create, name="run_new"),
    path("runs/<int:pk>/", runs.detail, name="run"),
    path("runs/<int:pk>/progress/", runs.progress, name="run_progress"),
    path("runs/<int:pk>/lm-eval/", runs.download, name="run_files"),
    path("runs/<int:pk>/resume/", runs.resume, name="run_resume"),
    path("runs/<int:run_pk>/samples/<int:pk>/", runs.sample, name="sample"),
    path("leaderboard/", leaderboard.index, name="leaderboard"),
    path("leaderboard/<slug:slug>/", leaderboard.detail, name="board"),
    path("compare/", compare.detail, name="compare"),
    path("compare/samples/<int:pk>/<int:doc_id>/", compare.sample, name="compare_sample"),
    path("playground/", playground.detail, name="playground"),
    path("playground/answer/<int:pk>/", playground.answer, name="playground_answer"),
    path("playground/keep/", playground.keep, name="question_keep"),
    path("playground/kept/", playground.kept, name="questions"),
    path("playground/kept/<str:kind>/", playground.download, name="questions_file"),
    path("playground/kept/<int:pk>/delete/", playground.delete, name="question_delete"),
    path("methods/", methods.methods, name="methods"),
]
