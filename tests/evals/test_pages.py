"""The pages of evals: who sees them, what they show, and what they cost."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evals.models import Candidate, Part, Run, Sample, Suite
from portal.accounts.models import Project, User
from tests.evals.making import answer, choice, make_candidate, make_run, make_suite
from workers.models import JobState

pytestmark = pytest.mark.django_db
HALF = [1.0, 0.0] * 10


@pytest.fixture
def suite(project: Project) -> Suite:
    return make_suite(project, choice(), answer())


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return make_candidate(project, "Viking <7B>", parameters=7.0, languages=["de"])


@pytest.fixture
def run(candidate: Candidate, suite: Suite) -> Run:
    return make_run(candidate, suite, {"colours": HALF, "words": HALF})


@pytest.fixture
def as_vera(client: Client, vera: User) -> Client:
    client.force_login(vera)
    return client


def pages(run: Run) -> dict[str, str]:
    sample = Sample.objects.filter(part__run=run)[3]
    return {
        "candidates": reverse("evals:candidates"),
        "candidate": reverse("evals:candidate", args=[run.candidate_id]),
        "suites": reverse("evals:suites"),
        "suite": reverse("evals:suite", args=[run.suite_id]),
        "runs": reverse("evals:runs"),
        "run": reverse("evals:run", args=[run.pk]),
        "progress": reverse("evals:run_progress", args=[run.pk]),
        "sample": reverse("evals:sample", args=[run.pk, sample.pk]),
        "board": reverse("evals:board", args=["small"]),
        "methods": reverse("evals:methods"),
    }


def test_a_viewer_sees_every_page(as_vera: Client, run: Run) -> None:
    for name, url in pages(run).items():
        assert as_vera.get(url).status_code == 200, name
    assert as_vera.get(reverse("evals:leaderboard")).headers["Location"] == pages(run)["board"]


def test_another_projects_people_find_nothing(client: Client, run: Run, mallory: User) -> None:
    client.force_login(mallory)
    urls = pages(run)
    for name in ("candidate", "suite", "run", "progress", "sample", "board"):
        assert client.get(urls[name]).status_code == 404, name
    for name in ("candidates", "suites", "runs"):
        assert "Viking" not in client.get(urls[name]).text
        assert "Small suite" not in client.get(urls[name]).text
    for name in ("run_resume",):
        assert client.post(reverse(f"evals:{name}", args=[run.pk])).status_code == 404
    for name in ("candidate_check", "candidate_edit"):
        assert client.post(reverse(f"evals:{name}", args=[run.candidate_id])).status_code == 404


def test_a_sample_is_found_under_its_own_run_alone(
    as_vera: Client, run: Run, suite: Suite, project: Project
) -> None:
    other = make_run(make_candidate(project, "Other"), suite, {"colours": HALF, "words": HALF})
    sample = Sample.objects.filter(part__run=other).first()
    assert as_vera.get(reverse("evals:sample", args=[run.pk, sample.pk])).status_code == 404


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("candidate_new", None),
        ("candidate_edit", "candidate_id"),
        ("candidate_check", "candidate_id"),
        ("suite_install", None),
        ("run_new", None),
        ("run_resume", "pk"),
    ],
)
def test_only_engineers_change_things(
    as_vera: Client, run: Run, erik: User, name: str, of: str | None
) -> None:
    url = reverse(f"evals:{name}", args=[getattr(run, of)] if of else [])
    before = (Run.objects.count(), Candidate.objects.count(), Suite.objects.count())
    assert as_vera.post(url, {"slug": "demo"}).status_code == 403
    assert (Run.objects.count(), Candidate.objects.count(), Suite.objects.count()) == before
    as_vera.force_login(erik)
    assert as_vera.post(url, {"slug": "demo"}).status_code in (302, 422)


@pytest.mark.parametrize("name", ["run_resume", "candidate_check"])
def test_reading_an_address_changes_nothing(as_erik: Client, run: Run, name: str) -> None:
    pk = run.candidate_id if name.startswith("candidate") else run.pk
    assert as_erik.get(reverse(f"evals:{name}", args=[pk])).status_code == 405


def cost(client: Client, url: str) -> int:
    client.get(url)
    with CaptureQueriesContext(connection) as counted:
        assert client.get(url).status_code == 200
    return len(counted)


def test_thirty_rows_cost_a_list_as_many_queries_as_three(
    as_vera: Client, run: Run, project: Project, suite: Suite
) -> None:
    lists = {
        **{name: pages(run)[name] for name in ("candidates", "suites", "runs", "board", "sample")},
        "home": "/",
        "activity": reverse("workers:activity"),
    }

    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            candidate = make_candidate(project, f"Model {number}")
            make_run(candidate, suite, {"colours": HALF, "words": HALF})
            make_suite(project, choice(), slug=f"suite-{number}", name=f"Suite {number}")

    grow(1, 3)
    few = {name: cost(as_vera, url) for name, url in lists.items()}
    grow(3, 30)
    assert {name: cost(as_vera, url) for name, url in lists.items()} == few
    assert max(few.values()) <= 18


def test_a_run_costs_the_same_however_many_samples_it_has(
    as_vera: Client, run: Run, project: Project, suite: Suite
) -> None:
    big = make_run(make_candidate(project, "Other"), suite, {"colours": HALF * 5, "words": HALF})
    url = reverse("evals:run", args=[run.pk])
    assert cost(as_vera, reverse("evals:run", args=[big.pk])) == cost(as_vera, url) <= 16


def test_names_are_shown_as_text(as_vera: Client, run: Run) -> None:
    for name in ("candidates", "candidate", "runs", "run", "board"):
        text = as_vera.get(pages(run)[name]).text
        assert "Viking &lt;7B&gt;" in text and "Viking <7B>" not in text


def test_what_a_model_says_is_shown_as_text(as_vera: Client, run: Run) -> None:
    evil = '<script>alert(1)</script><img src=x onerror="alert(2)">{{ 7|add:7 }}\u202e'
    sample = Sample.objects.filter(part__run=run, part__benchmark__name="words").first()
    Sample.objects.filter(pk=sample.pk).update(
        prompt=json.dumps([{"role": "user", "content": evil}]), answer=evil, raw=evil + "!"
    )
    for url in (
        reverse("evals:sample", args=[run.pk, sample.pk]),
        reverse("evals:run", args=[run.pk]),
    ):
        text = as_vera.get(url).text
        assert "<script>alert" not in text and "<img src=x" not in text
        assert "&lt;script&gt;" in text


def test_a_sample_shows_prompt_target_answer_and_numbers(as_vera: Client, run: Run) -> None:
    sample = Sample.objects.filter(part__run=run, correct=False).first()
    text = as_vera.get(sample.get_absolute_url()).text
    for words in (sample.prompt, sample.target, sample.answer, "wrong", "exact_match"):
        if words != "exact_match" or sample.part.benchmark.name == "words":
            assert words in text


def test_the_samples_of_a_run_can_be_filtered(as_vera: Client, run: Run) -> None:
    url = reverse("evals:run", args=[run.pk])
    for show, of, expected in (("wrong", "words", 10), ("correct", "", 20), ("error", "", 0)):
        page = as_vera.get(url, {"show": show, "benchmark": of}).context["page"]
        assert page.paginator.count == expected
    assert as_vera.get(url, {"show": "nonsense", "benchmark": "no"}).status_code == 200


def test_the_progress_of_a_run_says_204_until_something_changes(
    as_vera: Client, candidate: Candidate, suite: Suite
) -> None:
    run = make_run(candidate, suite, {"colours": HALF, "words": HALF})
    Part.objects.filter(run=run).update(state=JobState.RUNNING)
    run.settle()
    url = reverse("evals:run_progress", args=[run.pk])
    version = as_vera.get(url).context["run"].version
    assert as_vera.get(url, {"v": version}).status_code == 204
    Part.objects.filter(run=run).update(done=7, version=99)
    again = as_vera.get(url, {"v": version})
    assert again.status_code == 200 and again.context["run"].version != version


def test_the_board_keeps_its_state_in_the_address(
    as_vera: Client, run: Run, project: Project, suite: Suite
) -> None:
    better = make_candidate(project, "Better")
    make_run(better, suite, {"colours": [1.0] * 20, "words": [0.0] * 20})
    url = reverse("evals:board", args=["small"])

    def names(**query: Any) -> list[str]:
        lines = as_vera.get(url, query).context["rows"]
        return [line["row"].candidate.name for line in lines]

    assert names(sort="-words") == ["Viking <7B>", "Better"]
    assert names(sort="words") == ["Better", "Viking <7B>"]
    assert names(sort="-colours") == ["Better", "Viking <7B>"]
    assert names(sort="model") == ["Better", "Viking <7B>"]
    assert names(q="VIK") == ["Viking <7B>"]
    assert names(language="de") == ["Viking <7B>", "Better"]
    assert names(language="no such", scoring="no such", sort="no such") == names()
    assert as_vera.get(url, {"version": "7"}).status_code == 404


def test_the_board_is_a_page_without_scripts_and_a_part_with_them(
    as_vera: Client, run: Run
) -> None:
    url = reverse("evals:board", args=["small"])
    assert "<html" in as_vera.get(url).text
    part = as_vera.get(url, headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith('<section id="board"') and "<html" not in part


def test_every_number_of_the_board_leads_to_its_run(as_vera: Client, run: Run) -> None:
    text = as_vera.get(reverse("evals:board", args=["small"])).text
    for name in ("colours", "words"):
        assert f"{run.get_absolute_url()}?benchmark={name}#samples" in text


def test_the_csv_holds_the_board(as_vera: Client, run: Run) -> None:
    Candidate.objects.filter(pk=run.candidate_id).update(name="=HYPERLINK(1)")
    response = as_vera.get(reverse("evals:board", args=["small"]), {"format": "csv"})
    assert response.headers["Content-Type"].startswith("text/csv")
    assert 'filename="leaderboard-small-v1.csv"' in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode("utf-8-sig"), newline="")))
    assert [row["benchmark"] for row in rows] == ["overall", "words", "colours"]
    assert {row["model"] for row in rows} == {"'=HYPERLINK(1)"}
    assert [float(row["value"]) for row in rows] == [0.5, 0.5, 0.5]
    assert rows[1]["run"] == str(run.pk)


@pytest.mark.parametrize("query", [{}, {"language": "de"}, {"scoring": "options"}])
def test_the_files_show_what_the_page_shows(
    as_vera: Client, run: Run, query: dict[str, str]
) -> None:
    from pyarrow import parquet

    url = reverse("evals:board", args=["small"])
    found = json.loads(as_vera.get(url, query | {"format": "json"}).getvalue())
    shown = as_vera.get(reverse("evals:board", args=["small"]), query).context["board"]
    assert {row["benchmark"] for row in found} == {
        "overall",
        *(benchmark.name for benchmark in shown.benchmarks),
    }
    data = as_vera.get(url, query | {"format": "parquet"}).getvalue()
    assert parquet.read_table(io.BytesIO(data)).to_pylist() == found


def test_there_is_no_file_of_an_unknown_kind(as_vera: Client, run: Run) -> None:
    assert as_vera.get("/leaderboard/small/?format=xlsx").status_code == 404


@pytest.mark.parametrize("name", ["candidates", "suites", "runs", "leaderboard"])
def test_empty_lists_say_what_to_do(client: Client, vera: User, erik: User, name: str) -> None:
    def said(user: User) -> str:
        client.force_login(user)
        return client.get(reverse(f"evals:{name}")).text.split('<div class="card empty"', 1)[1]

    asked = "Ask an engineer of this project"
    assert 'class="button' in said(erik) and asked not in said(erik)
    assert 'class="button' not in said(vera) and asked in said(vera)


def test_a_viewer_is_offered_nothing_that_would_be_refused(
    client: Client, vera: User, erik: User, run: Run
) -> None:
    own = [run.candidate_id]
    refused = {
        reverse("evals:candidate_new"),
        reverse("evals:candidate_edit", args=own),
        reverse("evals:candidate_check", args=own),
        reverse("evals:suite_install"),
        reverse("evals:run_new"),
    }
    shown = {}
    for user in (vera, erik):
        client.force_login(user)
        text = "".join(client.get(url).text for url in pages(run).values())
        shown[user] = {url for url in refused if f'"{url}' in text}
    assert shown == {vera: set(), erik: refused}


def test_a_search_of_the_board_without_a_hit_says_so(as_vera: Client, run: Run) -> None:
    url = reverse("evals:board", args=["small"])
    text = as_vera.get(url, {"q": "no such model", "language": "de"}).text
    assert "No model found" in text and "<table" not in text
    assert f'href="{url}?language=de"' in text


def test_a_failed_request_does_not_look_like_a_wrong_answer(as_vera: Client, run: Run) -> None:
    url = reverse("evals:run", args=[run.pk])
    wrong = Sample.objects.filter(part__run=run, correct=False).first()
    Sample.objects.filter(pk=wrong.pk).update(error="no reply", correct=None)
    text = as_vera.get(url).text
    assert '<span class="badge failed">wrong</span>' in text
    assert '<span class="badge paused">server error</span>' in text


def test_the_progress_of_a_run_is_announced_and_its_end_at_once(
    as_vera: Client, candidate: Candidate, suite: Suite
) -> None:
    run = make_run(candidate, suite, {"colours": HALF, "words": HALF})
    url = reverse("evals:run_progress", args=[run.pk])
    assert 'data-announce="Done" data-announce-now' in as_vera.get(url).text
    Part.objects.filter(run=run).update(state=JobState.RUNNING, done=7)
    run.settle()
    text = as_vera.get(url).text
    assert 'data-announce="14 of 40 samples"' in text and "data-announce-now" not in text


def test_a_suite_tells_what_it_takes_and_for_what_it_speaks(
    as_vera: Client, project: Project
) -> None:
    suite = make_suite(
        project,
        choice(tags=["colours"]),
        answer(),
        slug="told",
        tags=["starter"],
        licence="CC0-1.0",
    )
    text = as_vera.get(suite.get_absolute_url()).text
    for words in ("starter", "colours", "German", "English", "CC0-1.0", suite.sha256, "≤"):
        assert words in text
    listed = as_vera.get(reverse("evals:suites")).text
    assert "starter" in listed and "colours" in listed and '<span class="tag">de</span>' in listed


def test_the_questions_of_a_benchmark_can_be_read(as_vera: Client, run: Run) -> None:
    benchmark = run.suite.benchmarks.get(name="colours")
    evil = {"question": "<b>Which?</b>", "choices": ["<i>red</i>", "blue"], "answer": 0}
    benchmark.questions.lines = json.dumps(evil) + "\n" + benchmark.questions.lines
    benchmark.questions.save()
    url = reverse("evals:benchmark", args=[benchmark.pk])
    text = as_vera.get(url).text
    assert "&lt;b&gt;Which?&lt;/b&gt;" in text and "<b>Which" not in text
    assert "<li>&lt;i&gt;red&lt;/i&gt;</li>" in text and benchmark.questions.sha256 in text
    assert "Question 0" in text  # the prompt of a stored sample
    assert cost(as_vera, url) <= 10


def test_benchmarks_of_another_project_do_not_exist(
    client: Client, run: Run, mallory: User
) -> None:
    client.force_login(mallory)
    pk = run.suite.benchmarks.first().pk
    assert client.get(reverse("evals:benchmark", args=[pk])).status_code == 404
