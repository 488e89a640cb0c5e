"""The leaderboard as people see it: filters, wide boards, links; and what the worker does."""

from __future__ import annotations

import json
import threading
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evals import leaderboard, tasks
from evals.leaderboard import View
from evals.models import Benchmark, Candidate, Standing, Suite
from portal.accounts.models import Project, User
from tests.evals.making import answer, choice, make_candidate, make_run, make_suite
from workers.models import JobState

pytestmark = pytest.mark.django_db
LANGUAGES = ("de", "en", "fr", "nl", "pl")
FACTS: dict[str, dict[str, Any]] = {
    "Viking": {"parameters": 7.0, "licence": "MIT", "quantisation": "AWQ"},
    "Saxon": {"parameters": 70.0, "licence": "Llama", "base_model": "acme/oak-70b"},
    "Norman": {"licence": "MIT"},
}


def right(share: float, of: int = 40) -> list[float]:
    return [float(int((n + 1) * share) > int(n * share)) for n in range(of)]


@pytest.fixture
def wide(project: Project) -> Suite:
    """Fifteen benchmarks in five languages, one of them about summaries."""
    columns = [
        (choice if number % 2 else answer)(f"b-{code}-{number}", language=code)
        for code in LANGUAGES
        for number in range(3)
    ]
    columns[0]["tags"] = ["summaries"]
    return make_suite(project, *columns)


@pytest.fixture
def models(wide: Suite) -> dict[str, Candidate]:
    """Viking leads all but Polish, where Saxon does; Norman has no valid French."""
    made = {}
    for name, facts in FACTS.items():
        made[name] = make_candidate(wide.project, name, **facts)
        values: dict[str, list[float | None]] = {}
        for benchmark in wide.benchmarks.all():
            share = {"Viking": 0.8, "Saxon": 0.5, "Norman": 0.2}[name]
            if benchmark.language == "pl" and name == "Saxon":
                share = 1.0
            mine: list[float | None] = [*right(share)]
            if name == "Norman" and benchmark.name.startswith("b-fr"):
                mine = [None] * 40
            values[benchmark.name] = mine
        make_run(made[name], wide, values)
    return made


@pytest.fixture
def as_vera(client: Client, vera: User) -> Client:
    client.force_login(vera)
    return client


def board(client: Client, **query: Any) -> Any:
    return client.get(reverse("evals:board", args=["small"]), query)


def names(client: Client, **query: Any) -> list[str]:
    return [line["row"].candidate.name for line in board(client, **query).context["rows"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"q": "VIK"}, ["Viking"]),
        ({"q": "oak 70B"}, ["Saxon"]),
        ({"smallest": "8"}, ["Saxon"]),
        ({"largest": "7,0"}, ["Viking"]),
        ({"smallest": "1", "largest": "100"}, ["Viking", "Saxon"]),
        ({"licence": "MIT"}, ["Viking", "Norman"]),
        ({"quantisation": "AWQ"}, ["Viking"]),
        ({"licence": "MIT", "smallest": "60"}, []),
        ({"smallest": "nan", "largest": "-1"}, ["Viking", "Saxon", "Norman"]),
    ],
)
def test_a_filter_of_models_hides_rows_and_changes_no_number(
    as_vera: Client, models: dict[str, Candidate], query: dict[str, str], expected: list[str]
) -> None:
    every = {row.candidate.name: row for row in board(as_vera).context["board"].rows}
    assert names(as_vera, **query) == expected
    for line in board(as_vera, **query).context["rows"]:
        whole = every[line["row"].candidate.name]
        assert (line["row"].rank, line["row"].gap) == (whole.rank, whole.gap)
    url = reverse("evals:board", args=["small"])
    found = json.loads(as_vera.get(url, query | {"format": "json"}).getvalue())
    assert {record["model"] for record in found} == set(expected)


def test_a_use_case_narrows_the_benchmarks(as_vera: Client, models: dict[str, Candidate]) -> None:
    shown = board(as_vera, tag="summaries").context["board"]
    assert [benchmark.name for benchmark in shown.benchmarks] == ["b-de-0"]
    assert len(board(as_vera, tag="poems").context["board"].benchmarks) == 15


def test_a_wide_board_shows_a_column_for_each_language_first(
    as_vera: Client, models: dict[str, Candidate]
) -> None:
    page = board(as_vera)
    assert page.context["columns"] == "languages"
    assert "b-de-0" not in page.text and "First in each language" in page.text
    leaders = {x["language"]: x["row"].candidate.name for x in page.context["leaders"]}
    assert leaders == {"": "Viking", **dict.fromkeys(LANGUAGES, "Viking"), "pl": "Saxon"}
    assert names(as_vera, sort="-pl") == ["Saxon", "Viking", "Norman"]
    assert names(as_vera, sort="-fr") == ["Viking", "Saxon", "Norman"]  # Norman has no mean there
    every = board(as_vera, columns="benchmarks")
    assert "sort=-b-de-0" in every.text and "First in each language" not in every.text
    assert board(as_vera, language="pl").context["columns"] == "benchmarks"
    assert board(as_vera, columns="no such").context["columns"] == "languages"


def test_a_language_has_the_numbers_of_its_own_board(wide: Suite, models: Any) -> None:
    whole = leaderboard.board(wide, View(), by_language=True)
    for code in LANGUAGES:
        alone = leaderboard.board(wide, View(language=code))
        assert {row.candidate.pk: row.place for row in alone.rows if row.place} == {
            row.candidate.pk: row.languages[code] for row in whole.rows if code in row.languages
        }
    norman = next(row for row in whole.rows if row.candidate.name == "Norman")
    assert norman.place is None and sorted(norman.languages) == ["de", "en", "nl", "pl"]


def test_ranks_and_differences_lead_to_the_comparison(
    as_vera: Client, models: dict[str, Candidate]
) -> None:
    lines = {x["row"].candidate.name: x["compare"] for x in board(as_vera).context["rows"]}
    query = "suite=small&version=1&m={}&m={}"
    pair = query.format(models["Viking"].pk, models["Saxon"].pk)
    assert lines["Viking"].endswith(pair) and lines["Saxon"].endswith(pair)
    assert lines["Norman"] == ""
    assert as_vera.get(lines["Saxon"]).status_code == 200


def test_what_comes_from_outside_is_text_on_a_board(
    as_vera: Client, models: dict[str, Candidate], wide: Suite
) -> None:
    evil = '"><script>alert(1)</script>'
    Candidate.objects.filter(name="Viking").update(name=evil, licence=evil, quantisation=evil)
    for query in ({}, {"columns": "benchmarks"}, {"q": evil}):
        assert "<script>alert" not in board(as_vera, **query).text


def test_it_says_as_of_when_and_how_many_models_are_shown(
    as_vera: Client, models: dict[str, Candidate]
) -> None:
    text = board(as_vera, q="viking").text
    assert "As of " in text and "Shown: 1 of 3 models." in text


@pytest.mark.parametrize("columns", ["languages", "benchmarks"])
def test_a_board_costs_the_same_however_many_models_it_has(
    as_vera: Client, models: dict[str, Candidate], wide: Suite, columns: str
) -> None:
    def cost() -> int:
        board(as_vera, columns=columns)
        with CaptureQueriesContext(connection) as counted:
            assert board(as_vera, columns=columns).status_code == 200
        return len(counted)

    few = cost()
    values = {benchmark.name: right(0.4) for benchmark in wide.benchmarks.all()}
    for number in range(6):
        make_run(make_candidate(wide.project, f"Model {number}"), wide, values)
    assert cost() == few <= 12


def test_an_unchanged_board_reads_no_values(as_vera: Client, models: dict[str, Candidate]) -> None:
    board(as_vera)
    with CaptureQueriesContext(connection) as counted:
        board(as_vera)
    assert not [query for query in counted if '"evals_part"."values"' in query["sql"]]


def test_the_worker_has_the_usual_boards_ready(wide: Suite, models: Any) -> None:
    Standing.objects.all().delete()
    tasks.refresh_boards(wide.pk)
    with patch.object(leaderboard, "compute", side_effect=AssertionError("computed again")):
        for view in (View(), View(language="pl"), View(scoring="options"), View(tag="summaries")):
            leaderboard.board(wide, view, by_language=view == View())


def test_the_last_part_of_a_run_asks_for_the_boards(wide: Suite, models: Any) -> None:
    first, second = models["Viking"].runs.get().parts.all()[:2]
    with patch("workers.broker.poke") as poke, patch("evals.runs.execute"):
        second.run.parts.filter(pk=second.pk).update(state=JobState.RUNNING)
        execute(first)
        poke.assert_not_called()
        second.run.parts.filter(pk=second.pk).update(state=JobState.DONE)
        execute(first)
        poke.assert_called_once_with("evals.refresh_boards", wide.pk)


def execute(part: Any) -> None:
    from workers import jobs

    type(part).objects.filter(pk=part.pk).update(state=JobState.QUEUED)
    with patch.object(jobs, "perform", side_effect=lambda progress, body: body(progress.job, None)):
        tasks.execute_part(part.pk)


def test_two_who_open_a_board_at_once_compute_it_once(wide: Suite, models: Any) -> None:
    """The second waits for the first and takes what it kept."""
    Standing.objects.all().delete()
    benchmarks = leaderboard.shown(wide, View())
    cells = leaderboard.cells_of(benchmarks)
    computed = []

    def compute(*_of: Any) -> dict[str, Any]:
        computed.append(threading.get_ident())
        # What another thread would do meanwhile: it is held at the lock, so try without waiting.
        assert not leaderboard._fitting.acquire(blocking=False)
        return {}

    with patch.object(leaderboard, "compute", compute):
        leaderboard._standing(wide, View(), cells, None)
        leaderboard._standing(wide, View(), cells, None)  # had read no fit before it waited
    assert len(computed) == 1


def test_a_long_use_case_fits_the_key(wide: Suite) -> None:
    assert len(View(tag="x" * 500).key) <= 120
    assert View(tag="x" * 500).key != View(tag="x" * 501).key


def test_benchmarks_are_shown_language_by_language(wide: Suite) -> None:
    codes = [benchmark.language for benchmark in leaderboard.shown(wide, View())]
    assert codes == sorted(codes) and len(codes) == Benchmark.objects.count()
