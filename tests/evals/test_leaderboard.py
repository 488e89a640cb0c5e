from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals import leaderboard
from evals.leaderboard import Row, View
from evals.models import Candidate, Standing, Suite
from portal.accounts.models import Project
from tests.evals.making import answer, choice, make_candidate, make_run, make_suite

pytestmark = pytest.mark.django_db
Values = Sequence[float | None]
EVERYTHING = View()


@pytest.fixture
def suite(project: Project) -> Suite:
    """Two columns: choices in English, answers in German."""
    return make_suite(project, choice(), answer())


def right(share: float, of: int = 100) -> list[float]:
    """0/1 values of which ``share`` are 1, evenly spread."""
    return [float(int((n + 1) * share) > int(n * share)) for n in range(of)]


def measured(suite: Suite, name: str, colours: Values | None, words: Values | None) -> Candidate:
    candidate = Candidate.objects.filter(name=name).first() or make_candidate(suite.project, name)
    values = {"colours": colours, "words": words}
    make_run(candidate, suite, {key: value for key, value in values.items() if value is not None})
    return candidate


def rows(suite: Suite, view: View = EVERYTHING) -> dict[str, Row]:
    return {row.candidate.name: row for row in leaderboard.board(suite, view).rows}


def test_the_best_comes_first_with_its_mean_over_benchmarks(suite: Suite) -> None:
    measured(suite, "weak", right(0.3), right(0.2))
    measured(suite, "strong", right(0.9), right(0.7))
    found = rows(suite)
    assert list(found) == ["strong", "weak"]
    value, low, high = found["strong"].overall
    assert value == pytest.approx(0.8)
    assert low < value < high
    assert found["strong"].rank == (1, 1) and found["weak"].rank == (2, 2)


def test_a_difference_that_could_be_chance_gives_both_the_same_ranks(suite: Suite) -> None:
    measured(suite, "first", right(0.52), right(0.5))
    measured(suite, "second", list(reversed(right(0.5))), list(reversed(right(0.5))))
    measured(suite, "last", right(0.05), right(0.05))
    found = rows(suite)
    assert found["first"].rank == found["second"].rank == (1, 2)
    assert found["last"].rank == (3, 3)


def test_the_gap_is_paired_on_the_same_samples(suite: Suite) -> None:
    good = right(0.6)
    worse = list(good)
    worse[good.index(1.0)] = 0.0  # one sample differs, all others are equal
    measured(suite, "good", good, good)
    measured(suite, "worse", worse, good)
    found = rows(suite)
    gap = found["worse"].gap
    assert gap.value == pytest.approx(-0.005)
    # Unpaired, two shares of 100 samples would be known to 0.1 at best.
    assert gap.low > -0.03 and gap.high <= 0
    assert found["good"].gap is None


def test_missing_is_not_zero(suite: Suite) -> None:
    measured(suite, "half", right(0.9), None)
    measured(suite, "whole", right(0.1), right(0.1))
    found = rows(suite)
    assert list(found) == ["whole", "half"]
    assert (found["half"].overall, found["half"].rank, found["half"].gap) == (None, None, None)
    assert found["whole"].rank == (1, 1)
    colours, words = found["half"].cells.values()
    assert sorted([colours is None, words is None]) == [False, True]


def test_a_score_that_is_not_valid_does_not_count(suite: Suite) -> None:
    broken: list[float | None] = [*right(1.0, 94), *[None] * 6]
    measured(suite, "broken", broken, right(1.0))
    measured(suite, "whole", right(0.4), right(0.4))
    found = rows(suite)
    assert found["broken"].overall is None
    assert found["whole"].rank == (1, 1)
    cells = found["broken"].cells.values()
    assert sorted(cell.valid for cell in cells) == [False, True]


def test_a_few_unanswered_samples_do_not_exclude(suite: Suite) -> None:
    measured(suite, "nearly", [*right(0.5, 96), *[None] * 4], right(0.5))
    measured(suite, "whole", right(0.4), right(0.4))
    found = rows(suite)
    assert found["nearly"].overall[0] == pytest.approx(0.5)
    assert found["whole"].gap is not None


def test_a_filter_changes_what_overall_means(suite: Suite) -> None:
    measured(suite, "chooser", right(0.9), right(0.2))
    measured(suite, "writer", right(0.3), right(0.7))
    assert rows(suite)["chooser"].overall[0] == pytest.approx(0.55)
    german = rows(suite, View(language="de"))
    assert list(german) == ["writer", "chooser"]
    assert german["chooser"].overall[0] == pytest.approx(0.2)
    choices = rows(suite, View(scoring="options"))
    assert list(choices) == ["chooser", "writer"]
    assert choices["writer"].overall[0] == pytest.approx(0.3)
    assert not rows(suite, View(language="de", scoring="options"))


def test_who_misses_a_column_counts_under_a_filter_without_it(suite: Suite) -> None:
    measured(suite, "half", right(0.9), None)
    assert rows(suite)["half"].overall is None
    assert rows(suite, View(language="en"))["half"].overall[0] == pytest.approx(0.9)


def test_a_new_run_refreshes_the_board(suite: Suite) -> None:
    measured(suite, "model", right(0.2), right(0.2))
    assert rows(suite)["model"].overall[0] == pytest.approx(0.2)
    measured(suite, "model", right(0.8), right(0.8))
    assert rows(suite)["model"].overall[0] == pytest.approx(0.8)
    measured(suite, "another", right(0.9), right(0.9))
    assert list(rows(suite)) == ["another", "model"]


def test_the_fit_is_computed_once_for_the_same_results(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(suite, "model", right(0.2), right(0.2))
    first = rows(suite)["model"]
    monkeypatch.setattr(leaderboard, "compute", None)
    assert rows(suite)["model"].overall == first.overall
    Standing.objects.all().delete()  # a cache can be dropped at any time
    monkeypatch.undo()
    assert rows(suite)["model"].overall == first.overall


def test_results_of_an_endpoint_that_has_changed_are_gone(suite: Suite) -> None:
    candidate = measured(suite, "model", right(0.2), right(0.2))
    candidate.endpoint.revision += 1
    candidate.endpoint.save()
    assert not rows(suite)


def test_it_shows_one_version_of_a_suite_alone(suite: Suite, project: Project) -> None:
    measured(suite, "model", right(0.2), right(0.2))
    assert not rows(make_suite(project, choice(), answer(), version=2, name="Newer"))


def queries(suite: Suite) -> int:
    with CaptureQueriesContext(connection) as counted:
        leaderboard.records(leaderboard.board(suite, EVERYTHING))
    return len(counted)


def test_it_takes_as_many_queries_for_thirty_models_as_for_three(suite: Suite) -> None:
    for number in range(3):
        measured(suite, f"model {number}", right(0.3, 5), right(0.2, 5))
    leaderboard.board(suite, EVERYTHING)
    few = queries(suite)
    for number in range(3, 30):
        measured(suite, f"model {number}", right(0.3, 5), right(0.2, 5))
    leaderboard.board(suite, EVERYTHING)
    assert queries(suite) == few <= 8


def test_records_say_everything_a_table_needs(suite: Suite) -> None:
    measured(suite, "model", right(0.5), None)
    found = leaderboard.records(leaderboard.board(suite, EVERYTHING))
    assert [record["benchmark"] for record in found] == ["overall", "words", "colours"]
    assert len({tuple(record) for record in found}) == 1  # the same columns in each
    overall, words, colours = found
    assert (overall["value"], overall["valid"]) == (None, False)
    assert (words["value"], words["asked"]) == (None, None)
    assert colours["value"] == 0.5
    assert colours["low"] < 0.5 < colours["high"]
    assert (colours["answered"], colours["asked"], colours["valid"]) == (100, 100, True)
    assert colours["run"] is not None


def test_ranks_and_verdicts_are_corrected_for_the_number_of_pairs(suite: Suite) -> None:
    """8 of 8 alone are p = 0.008; among 15 pairs Holm leaves 0.12, Benjamini–Hochberg less."""
    same = right(0.5)
    ahead = [1.0] * 8 + same[8:]
    behind = [0.0] * 8 + same[8:]
    measured(suite, "ahead", ahead, None)
    measured(suite, "behind", behind, None)
    for name in ("x", "y"):
        measured(suite, name, [0.0] * 100, None)
    choice_only = View(scoring="options")
    holm = {r.candidate.name: r for r in leaderboard.board(suite, choice_only).rows}
    found = leaderboard.board(suite, choice_only, correction="bh")
    bh = {r.candidate.name: r for r in found.rows}
    assert found.pairs == 6
    assert holm["behind"].gap.p == pytest.approx(2 * 2**-7, rel=0.01)
    assert bh["behind"].gap.p < holm["behind"].gap.p < 0.05
    assert holm["ahead"].rank == (1, 1) and holm["x"].rank == (3, 4)
