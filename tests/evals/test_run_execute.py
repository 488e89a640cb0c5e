"""Runs carried out against the stub server: what is stored, scored, kept and asked again."""

from __future__ import annotations

import pytest

from evals import candidates, runs, waiting
from evals.models import Candidate, Part, Run, Sample, Score, Suite
from evals.stats.intervals import wilson
from portal.accounts.models import Project
from tests.evals.making import (
    answer,
    answer_rows,
    carry_out,
    choice,
    choice_rows,
    make_candidate,
    make_suite,
)
from tests.evals.stub_server import StubServer
from workers import jobs
from workers.models import JobState
from workers.progress import Cancelled, LeaseLost

pytestmark = pytest.mark.django_db


@pytest.fixture
def candidate(project: Project, stub: StubServer) -> Candidate:
    return make_candidate(project, base_url=stub.base_url)


def words(project: Project, count: int = 20, **fields: object) -> Suite:
    return make_suite(project, answer(rows=answer_rows(count)), **fields)


def score_of(run: Run, metric: str) -> Score:
    return Score.objects.get(part__run=run, metric=metric)


def test_it_stores_every_sample_and_scores_every_metric(
    project: Project, candidate: Candidate
) -> None:
    run = carry_out(runs.start(candidate, make_suite(project)))
    assert (run.state, run.done, run.total, run.errors) == (JobState.DONE, 16, 16, 0)
    assert Sample.objects.filter(part__run=run, error="").count() == 16
    metrics = set(Score.objects.filter(part__run=run).values_list("metric", flat=True))
    assert metrics == {"acc", "acc_norm", "exact_match", "p_gold", "nll", "brier", "margin"}
    part = run.children()[0]
    samples = list(part.samples.all())
    assert part.values == [sample.value for sample in samples]
    assert [sample.correct for sample in samples] == [sample.value == 1.0 for sample in samples]
    mean = sum(sample.nll for sample in samples) / 8
    assert part.scores.get(metric="nll").value == pytest.approx(mean)


def test_it_gives_wilsons_interval_for_right_or_wrong_and_the_bootstrap_for_the_rest(
    project: Project, candidate: Candidate
) -> None:
    run = carry_out(runs.start(candidate, make_suite(project, choice(rows=choice_rows(20)))))
    accuracy, share = score_of(run, "acc"), score_of(run, "p_gold")
    assert "wilson" in accuracy.method.lower()
    assert "bootstrap" in share.method.lower()
    right = Sample.objects.filter(part__run=run, correct=True).count()
    assert (accuracy.low, accuracy.high) == pytest.approx(tuple(wilson(right, 20))[1:3])
    assert share.low < share.value < share.high


def test_options_and_generated_answers_never_share_a_score(
    project: Project, candidate: Candidate
) -> None:
    suite = make_suite(
        project, choice("same_choice", family="same"), answer("same_answer", family="same")
    )
    run = carry_out(runs.start(candidate, suite))
    for score in Score.objects.filter(part__run=run).select_related("part__benchmark"):
        assert score.asked == 8
        generated = score.part.benchmark.scoring == "generate"
        assert (score.metric == "exact_match") == generated


def test_errors_are_not_answered_and_not_wrong(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    suite = words(project, 40)
    whole = carry_out(runs.start(candidate, suite))
    stub.reset(match="No 7:", kind="400")
    run = carry_out(runs.start(candidate, suite, again=True))
    score = score_of(run, "exact_match")
    assert (run.state, run.done, run.errors) == (JobState.DONE, 39, 1)
    assert (score.asked, score.answered, score.valid) == (40, 39, True)
    values = whole.children()[0].values
    assert score.value == pytest.approx((sum(values) - values[7]) / 39)
    assert run.children()[0].values == [*values[:7], None, *values[8:]]
    failed = Sample.objects.get(part__run=run, doc_id=7)
    assert (failed.value, failed.correct) == (None, None)
    assert (failed.error_kind, failed.error) == ("bad request", "HTTP 400: out of order")


@pytest.mark.parametrize(("questions", "failing", "valid"), [(20, 1, True), (20, 2, False)])
def test_a_score_below_95_percent_coverage_is_not_valid(
    project: Project,
    candidate: Candidate,
    stub: StubServer,
    questions: int,
    failing: int,
    valid: bool,
) -> None:
    rows = answer_rows(questions)
    for row in rows[:failing]:
        row["question"] = f"BROKEN {row['question']}"
    stub.reset(match="BROKEN", kind="400")
    run = carry_out(runs.start(candidate, make_suite(project, answer(rows=rows))))
    score = score_of(run, "exact_match")
    assert (score.answered, score.asked) == (questions - failing, questions)
    assert score.valid is valid
    assert score.value is not None


def test_a_part_without_any_answer_has_a_score_without_value(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    stub.reset(after=0, kind="400")
    run = carry_out(runs.start(candidate, words(project, 5)))
    score = score_of(run, "exact_match")
    assert (score.value, score.answered, score.asked, score.valid) == (None, 0, 5, False)
    assert run.errors == 5


def test_resume_asks_again_only_what_failed(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    suite = make_suite(
        project, choice(rows=choice_rows(8)), answer(rows=answer_rows(10, "answer "))
    )
    stub.reset(match="answer No 3:", kind="400")
    run = carry_out(runs.start(candidate, suite))
    assert run.errors == 1
    stub.reset()
    runs.resume(run)
    run = carry_out(run)
    assert (run.state, run.done, run.errors) == (JobState.DONE, 18, 0)
    assert dict(stub.asked(r"((?:answer )?No \d+)")) == {"answer No 3": 1}
    assert score_of(run, "exact_match").answered == 10


def test_it_gives_up_after_a_streak_of_failures_and_keeps_what_is_answered(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    stub.reset(after=30, kind="401")
    suite = words(project, 200)
    run = carry_out(runs.start(candidate, suite))
    streak = waiting.PATIENCE + candidate.endpoint.concurrency
    assert run.state == JobState.FAILED
    assert "failed in a row" in Run.objects.get(pk=run.pk).message
    assert "out of order" in Run.objects.get(pk=run.pk).message
    assert Sample.objects.filter(part__run=run, error="").count() == 30
    assert stub.counts()["requests"] <= 30 + streak + candidate.endpoint.concurrency

    stub.reset()
    again = carry_out(runs.start(candidate, suite))  # starting the same resumes it
    assert (again.pk, again.state, again.done) == (run.pk, JobState.DONE, 200)
    assert stub.counts()["requests"] == 170
    assert score_of(again, "exact_match").answered == 200


def test_it_does_not_give_up_when_failures_are_scattered(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    stub.reset(every=2, kind="400")
    run = carry_out(runs.start(candidate, words(project, 80)))
    assert (run.state, run.done, run.errors) == (JobState.DONE, 40, 40)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "tail \udfff\x00", "🏠 \U0010ffff"])
def test_it_stores_whatever_a_model_says(
    project: Project, candidate: Candidate, stub: StubServer, text: str
) -> None:
    stub.reset(say=text)
    run = carry_out(runs.start(candidate, words(project, 2)))
    assert (run.state, run.errors) == (JobState.DONE, 0)
    sample = Sample.objects.filter(part__run=run).first()
    assert sample.raw == "".join(
        "\ufffd" if c == "\x00" or "\ud800" <= c <= "\udfff" else c for c in text
    )
    assert sample.value == 0.0
    sample.raw.encode()


def test_it_tells_why_a_benchmark_cannot_be_run(project: Project, candidate: Candidate) -> None:
    rows = choice_rows(3)
    rows[2]["answer"] = 9
    run = carry_out(runs.start(candidate, make_suite(project, choice(rows=rows))))
    assert run.state == JobState.FAILED
    assert "row 2: doc_to_target" in Run.objects.get(pk=run.pk).message


def test_a_running_part_that_is_cancelled_keeps_its_answers(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    stub.reset(delay=0.1)
    run = runs.start(candidate, words(project, 200))
    progress = jobs.claim(Part, run.children()[0].pk)
    assert progress
    beats = progress.beat

    def cancelled_meanwhile(force: bool = False) -> None:
        if Sample.objects.filter(part__run=run).count() >= 8:
            runs.cancel(run)
        beats(force)

    progress.beat = cancelled_meanwhile
    with pytest.raises(Cancelled):
        runs.execute(progress.job, progress)
    stored = Sample.objects.filter(part__run=run).count()
    assert 8 <= stored < 60
    assert stub.counts()["requests"] <= stored + 2 * candidate.endpoint.concurrency


def test_a_worker_that_lost_its_lease_writes_nothing_more(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    run = runs.start(candidate, words(project, 50))
    part = run.children()[0]
    progress = jobs.claim(Part, part.pk)
    assert progress
    Part.objects.filter(pk=part.pk).update(owner="another worker")
    progress.beat = lambda force=False: None  # between two beats nobody has noticed yet
    with pytest.raises(LeaseLost):
        runs.execute(progress.job, progress)
    assert not Sample.objects.filter(part=part).exists()
    assert not Score.objects.filter(part=part).exists()


def test_it_cancels_waiting_parts_at_once(project: Project, candidate: Candidate) -> None:
    run = runs.start(candidate, make_suite(project))
    runs.cancel(run)
    run.settle()
    run.refresh_from_db()
    assert run.state == JobState.CANCELLED
    assert {part.state for part in run.children()} == {JobState.CANCELLED}
    assert runs.start(candidate, run.suite) == run  # resumed
    assert Run.objects.get(pk=run.pk).state == JobState.QUEUED


def test_the_key_goes_to_the_server_and_nowhere_else(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    key = "sk-a-very-secret-key"
    endpoint = candidate.endpoint
    candidates.change_endpoint(
        endpoint,
        base_url=endpoint.base_url,
        served_model=endpoint.served_model,
        concurrency=4,
        api_key=key,
    )
    stub.reset(match="No 1:", kind="400")
    run = carry_out(runs.start(candidate, words(project, 5)))
    assert set(stub.counts()["keys"]) == {f"Bearer {key}"}
    for row in (*Sample.objects.filter(part__run=run).values(), *Run.objects.values()):
        assert key not in str(row)
