"""Rank scores on pages, in files and by the API: own results, and records of the real EuroEval."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evals import imports, rank_boards
from evals.models import Part, Score, Standing, Suite
from evals.rank_boards import NEW, OLD, Variant
from evals.stats import rank_scores
from evals.stats.rank_scores import Place
from evals.styles.protocols import RESAMPLED, plan
from portal.accounts import keys
from portal.accounts.models import Project, User
from tests.evals.making import make_candidate, make_suite
from tests.evals.styling import style_run, two_languages

pytestmark = pytest.mark.django_db
SENTIMENT = "euro_style_chat_sentiment_de"


@pytest.fixture
def as_vera(vera: User) -> Client:
    client = Client()
    client.force_login(vera)
    return client


@pytest.fixture
def suite(project: Project) -> Suite:
    return two_languages(project)


@pytest.fixture
def three(project: Project, suite: Suite) -> Suite:
    """Two models with all there is, of which one often says nothing, and one without two tasks."""
    style_run(make_candidate(project, "Alder"), suite, 0.9)
    style_run(make_candidate(project, "Birch"), suite, 0.3, unread=0.3)
    style_run(
        make_candidate(project, "Cedar"), suite, 0.6, without={SENTIMENT},
        failed={"euro_style_chat_knowledge_de"},
    )  # fmt: skip
    return suite


def row_of(board: rank_boards.Board, name: str) -> rank_boards.Row:
    return next(row for row in board.rows if row.name == name)


def test_each_question_once_gives_the_draws_of_protocol_a_among_its_answers(
    three: Suite,
) -> None:
    part = Part.objects.filter(benchmark__name="euro_style_chat_reading_de").first()
    values = np.array([s.metrics["f1"] for s in part.samples.order_by("doc_id")])
    drawn: list[list[float]] = [[] for _ in range(10)]
    for each in plan(RESAMPLED, len(values), 4242):
        drawn[each.iteration] += [values[each.row]] * each.times
    assert part.replicates == pytest.approx([np.mean(each) for each in drawn])


def test_a_metric_of_the_whole_set_has_ten_scores_around_its_own(three: Suite) -> None:
    part = Part.objects.get(benchmark__name=SENTIMENT, run__candidate__name="Birch")
    score = Score.objects.get(part=part, metric="mcc")
    assert len(part.replicates) == 10 and len(set(part.replicates)) > 5
    assert score.low - 0.2 < np.mean(part.replicates) < score.high + 0.2


def test_under_protocol_a_the_ten_are_those_that_were_asked(project: Project) -> None:
    suite = two_languages(project)
    benchmark = suite.benchmarks.get(name="euro_style_chat_reading_en")
    benchmark.options = benchmark.options | {"protocol": "A"}
    benchmark.save()
    others = {each.name for each in suite.benchmarks.all()} - {benchmark.name}
    run = style_run(make_candidate(project, "Alder"), suite, 0.6, without=others)
    part = run.parts.get()
    score = part.scores.get(metric="f1")
    assert len(part.replicates) == 10
    assert np.mean(part.replicates) == pytest.approx(score.value)
    half = 1.96 * np.std(part.replicates, ddof=1) / np.sqrt(10)
    assert score.high - score.value == pytest.approx(half)


def test_the_board_holds_what_the_formula_gives_and_names_what_is_missing(three: Suite) -> None:
    board = rank_boards.own(three)
    assert [row.name for row in board.rows] == ["Alder", "Birch", "Cedar"]
    best, second, incomplete = board.rows
    assert best.overall and best.overall.place == 1 and second.overall
    assert best.overall.low <= best.overall.value <= best.overall.high < second.overall.low
    assert incomplete.overall is None and "de" not in incomplete.ranks
    assert incomplete.ranks["en"].value > 1
    assert [(each.key, why) for each, why in board.missing(incomplete)] == [
        (SENTIMENT, "not_run"), ("euro_style_chat_knowledge_de", "not_valid"),
    ]  # fmt: skip
    assert (best.ranked, incomplete.ranked) == (14, 12)
    mine = [each for each in board.datasets if each.language == "en"]
    raw = [[row.given[each.key].replicates for each in mine] for row in (best, second, incomplete)]
    (expected, *_others) = rank_scores.board(raw, [Place(each.task, "en") for each in mine])
    assert best.ranks["en"][:3] == pytest.approx(expected[:3], abs=1e-6)


def test_answers_that_could_not_be_read_are_counted_and_starred(three: Suite) -> None:
    board = rank_boards.own(three)
    assert not row_of(board, "Alder").starred and row_of(board, "Birch").starred
    samples = Score.objects.filter(part__run__candidate__name="Birch", metric="extraction_failed")
    assert row_of(board, "Birch").failed == round(sum(s.value * s.answered for s in samples))


def test_the_older_formula_shares_ranks_by_welchs_test_and_has_no_interval(three: Suite) -> None:
    best, second, incomplete = rank_boards.own(three, OLD).rows
    assert best.overall and second.overall and incomplete.overall is None
    assert (best.overall.place, second.overall.place) == (1, 2)
    assert best.overall.low is None and 1 <= best.overall.value < second.overall.value


def test_it_is_computed_once_until_a_result_changes(
    three: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = rank_boards.own(three)
    with monkeypatch.context() as patched:
        patched.setattr(rank_scores, "board", None)
        assert rank_boards.own(three).rows == first.rows
    style_run(make_candidate(three.project, "Dogwood"), three, 0.99)
    assert {row.name for row in rank_boards.own(three).rows} == {
        "Alder", "Birch", "Cedar", "Dogwood",
    }  # fmt: skip
    assert Standing.objects.filter(suite=three, view=f"rank scores|{NEW}").count() == 1


def test_results_from_before_the_ten_scores_were_kept_are_missing(three: Suite) -> None:
    part = Part.objects.get(benchmark__name=SENTIMENT, run__candidate__name="Alder")
    Part.objects.filter(pk=part.pk).update(replicates=[])
    board = rank_boards.own(three)
    assert [why for _each, why in board.missing(row_of(board, "Alder"))] == ["no_replicates"]


def test_the_page_shows_formula_interval_star_and_what_is_missing(
    three: Suite, as_vera: Client
) -> None:
    address = reverse("evals:rank_scores", args=[three.slug])
    assert address in as_vera.get(reverse("evals:board", args=[three.slug])).text
    page = as_vera.get(address).text
    assert "Formula of EuroEval 18.0." in page and "★" in page and "12 of 14 data sets" in page
    assert "Cedar: 2 data sets are missing" in page
    assert "Sentiment (German): not run" in page and "Knowledge (German): not valid" in page
    old = as_vera.get(address, {"formula": OLD}).text
    assert "Formula of EuroEval 16.x." in old and "no interval" in old


def test_its_table_comes_as_a_file(three: Suite, as_vera: Client) -> None:
    answer = as_vera.get(reverse("evals:rank_scores", args=[three.slug]), {"format": "json"})
    rows = json.loads(b"".join(answer.streaming_content))
    overall = {row["model"]: row for row in rows if row["language"] == "overall"}
    assert overall["Alder"]["rank"] == 1 and overall["Alder"]["low"] is not None
    assert overall["Cedar"]["rank_score"] is None
    assert overall["Cedar"]["missing"] == "Sentiment, Knowledge"
    assert {row["results"] for row in rows} == {"own"} and len(rows) == 3 * 3


def test_more_models_need_no_more_queries(three: Suite, as_vera: Client) -> None:
    address = reverse("evals:rank_scores", args=[three.slug])

    def queries() -> int:
        as_vera.get(address)  # computed and kept
        with CaptureQueriesContext(
            connection,
        ) as made:
            assert as_vera.get(address).status_code == 200
        return len(made)

    before = queries()
    style_run(make_candidate(three.project, "Dogwood"), three, 0.5)
    assert queries() == before <= 20


def test_a_suite_without_such_tasks_says_so(project: Project, as_vera: Client) -> None:
    suite = make_suite(project)
    page = as_vera.get(reverse("evals:rank_scores", args=[suite.slug])).text
    assert "This suite has no rank scores" in page
    address = reverse("evals:rank_scores", args=[suite.slug])
    assert address not in as_vera.get(reverse("evals:board", args=[suite.slug])).text


def record(model: str, dataset: str, mean: float, **changes: Any) -> dict[str, Any]:
    """A record of EuroEval 16.x with ten scores around ``mean``."""
    raw = [{"mcc": mean + (at - 4.5) / 100, "macro_f1": 0.5} for at in range(10)]
    return {
        "dataset": dataset, "task": dataset.split("-")[0], "languages": ["de"], "model": model,
        "results": {"raw": raw, "total": {
            "test_mcc": 100 * mean, "test_mcc_se": 1.0, "test_macro_f1": 50.0,
        }},
        "few_shot": True, "validation_split": False, "euroeval_version": "16.11.0",
    } | changes  # fmt: skip


def keep(project: Project, *records: dict[str, Any]) -> None:
    content = "\n".join(map(json.dumps, records)).encode()
    imports.confirm(imports.receive(project, [imports.File("results.jsonl", content)]))


TEST = Variant("test", few_shot=True)


def test_records_of_euroeval_are_ranked_among_themselves(project: Project) -> None:
    keep(
        project, record("a/one", "sent-de", 0.7), record("a/one", "know-de", 0.6),
        record("b/two", "sent-de", 0.4), record("b/two", "know-de", 0.5),
        record("c/three", "sent-de", 0.6),
    )  # fmt: skip
    assert rank_boards.variants(project) == [TEST]
    for formula in (NEW, OLD):
        board = rank_boards.imported(project, TEST, formula)
        assert [row.name for row in board.rows] == ["a/one", "b/two", "c/three"]
        assert [row.overall and row.overall.place for row in board.rows] == [1, 2, None]
        assert board.missing(board.rows[2])[0][0].title == "know-de"
    old = rank_boards.imported(project, TEST, OLD).rows
    spread = np.std([0.7, 0.4, 0.6])
    sent = 1 + (0.7 - 0.6) / spread + (0.6 - 0.4) / spread
    assert old[0].overall and old[0].overall.value == 1.0
    assert old[1].overall and old[1].overall.value == pytest.approx((sent + 3) / 2)


def test_another_split_stands_apart_and_the_newest_record_counts(project: Project) -> None:
    keep(project, record("a/one", "sent-de", 0.2), record("b/two", "sent-de", 0.5))
    keep(
        project, record("a/one", "sent-de", 0.9),
        record("a/one", "sent-de", 0.1, validation_split=True),
        record("c/three", "know-de", 0.3, few_shot=False),
    )  # fmt: skip
    assert rank_boards.variants(project) == [
        TEST, Variant("test", few_shot=False), Variant("val", few_shot=True),
    ]  # fmt: skip
    board = rank_boards.imported(project, TEST)
    assert [row.name for row in board.rows] == ["a/one", "b/two"]


def test_a_record_without_its_ten_scores_is_missing_and_said_so(project: Project) -> None:
    bare = record("a/one", "sent-de", 0.7)
    bare["results"] = {"total": bare["results"]["total"]}
    keep(project, bare, record("b/two", "sent-de", 0.5))
    board = rank_boards.imported(project, TEST)
    assert board.rows[0].name == "b/two"
    assert [why for _each, why in board.missing(board.rows[1])] == ["no_replicates"]


def test_own_results_and_records_never_share_a_board(
    three: Suite, project: Project, as_vera: Client
) -> None:
    keep(project, record("a/one", "sent-de", 0.7), record("b/two", "sent-de", 0.5))
    own = as_vera.get(reverse("evals:rank_scores", args=[three.slug])).text
    theirs = as_vera.get(reverse("evals:imported_rank_scores")).text
    assert "Alder" in own and "a/one" not in own
    assert "a/one" in theirs and "Alder" not in theirs


def test_records_page_needs_no_more_queries_for_more_records(
    project: Project, as_vera: Client
) -> None:
    address = reverse("evals:imported_rank_scores")
    keep(project, record("a/one", "sent-de", 0.7))
    with CaptureQueriesContext(connection) as before:
        as_vera.get(address)
    keep(project, *(record(f"b/{at}", "sent-de", 0.5) for at in range(30)))
    with CaptureQueriesContext(connection) as after:
        assert "b/29" in as_vera.get(address).text
    assert len(after) == len(before) <= 15


def test_without_records_the_page_leads_on(as_vera: Client, as_erik: Client) -> None:
    address = reverse("evals:imported_rank_scores")
    assert reverse("evals:import_new") in as_erik.get(address).text
    assert "Ask an engineer" in as_vera.get(address).text


def test_the_api_gives_both_and_never_mixed(three: Suite, project: Project, erik: User) -> None:
    _key, secret = keys.issue(project, "CI", ["read"], erik)
    header = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    address = "/api/v1/rank-scores"
    own = Client().get(address, {"suite": three.slug}, **header).json()
    assert (own["formula"], own["benchmarks"]) == ("18.0", 14)
    best, _second, last = own["rows"]
    assert best["overall"]["rank"] == 1 and len(best["languages"]) == 2
    assert last["overall"] is None and last["missing"][0] == {
        "benchmark": "Sentiment", "language": "de", "reason": "not_run",
    }  # fmt: skip
    keep(project, record("a/one", "sent-de", 0.7), record("b/two", "sent-de", 0.5))
    theirs = Client().get(address, {"formula": "16.x"}, **header).json()
    assert [row["model"] for row in theirs["rows"]] == ["a/one", "b/two"]
    none = Client().get(address, {"split": "val"}, **header).json()
    assert none["rows"] == []
    assert Client().get(address, {"suite": "nothing"}, **header).status_code == 404


def test_a_file_of_euroeval_gives_its_ten_scores_in_the_scale_of_its_total() -> None:
    from evals.formats import euroeval

    whole = record("a/one", "sent-de", 0.7)
    (mcc, f1) = euroeval.read(io.BytesIO(json.dumps(whole).encode()))
    assert np.mean(mcc.replicates) == pytest.approx(mcc.value) and len(f1.replicates) == 10
    odd = record("a/one", "sent-de", 0.7)
    odd["results"]["raw"][3]["mcc"] = "much"
    (mcc, _f1) = euroeval.read(io.BytesIO(json.dumps(odd).encode()))
    assert mcc.replicates == [] and mcc.value == pytest.approx(70)
    wrong = record("a/one", "sent-de", 0.7)
    wrong["results"]["total"]["test_mcc"] = 12.0
    (mcc, _f1) = euroeval.read(io.BytesIO(json.dumps(wrong).encode()))
    assert mcc.replicates == []
