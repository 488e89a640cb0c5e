"""The same questions asked in another way are another measurement: never in one column."""

from __future__ import annotations

from typing import Any

import pytest

from evals import boards, leaderboard, trends
from evals.models import Candidate, SavedBoard, Suite
from evals.models.suites import Scoring
from portal.accounts.models import Project, User
from tests.evals.making import answer, letter, make_candidate, make_run, make_suite

pytestmark = pytest.mark.django_db
RIGHT = {"options": [1.0] * 7 + [0.0], "letter": [1.0, 0.0] * 4, "generate": [0.0] * 7 + [1.0]}
MEANS = {mode: sum(values) / len(values) for mode, values in RIGHT.items()}


def asked(mode: str, name: str = "") -> dict[str, Any]:
    """The same rows and the same prompt, under one title, asked as ``mode`` says."""
    found = letter(name or f"colours_{mode}", title="Colours")
    if mode != Scoring.GENERATE:
        return found | {"scoring": mode}
    task = {name: value for name, value in found["task"].items() if name != "doc_to_choice"} | {
        "output_type": "generate_until",
        "doc_to_target": "{{'ABCD'[answer]}}",
    }
    task |= {key: answer()["task"][key] for key in ("generation_kwargs", "metric_list")}
    return found | {"scoring": mode, "metric": "exact_match", "task": task}


@pytest.fixture
def suite(project: Project) -> Suite:
    return make_suite(project, *(asked(mode) for mode in RIGHT))


def measured(suite: Suite, name: str, *modes: str) -> Candidate:
    candidate = Candidate.objects.filter(name=name).first() or make_candidate(suite.project, name)
    make_run(candidate, suite, {f"colours_{mode}": RIGHT[mode] for mode in modes})
    return candidate


def test_each_way_of_asking_has_a_column_of_its_own(suite: Suite) -> None:
    assert len({each.questions_id for each in suite.benchmarks.all()}) == 1
    for mode in RIGHT:
        measured(suite, mode, mode)
    measured(suite, "all", *RIGHT)
    found = leaderboard.board(suite, leaderboard.View())
    columns = {benchmark.scoring: benchmark.pk for benchmark in found.benchmarks}
    assert set(columns) == set(RIGHT)
    for row in found.rows:
        values = {
            mode: cell and cell.value for mode, pk in columns.items() for cell in [row.cells[pk]]
        }
        mine = RIGHT if row.candidate.name == "all" else [row.candidate.name]
        assert values == {mode: MEANS[mode] if mode in mine else None for mode in RIGHT}
    # Whoever was asked in one way only is compared with nobody over all of them.
    assert [row.candidate.name for row in found.ranked] == ["all"]


@pytest.mark.parametrize("mode", RIGHT)
def test_a_board_of_one_way_of_asking_shows_that_way_alone(suite: Suite, mode: str) -> None:
    measured(suite, "all", *RIGHT)
    found = leaderboard.board(suite, leaderboard.View(scoring=mode))
    assert [benchmark.scoring for benchmark in found.benchmarks] == [mode]
    assert found.rows[0].overall[0] == MEANS[mode]
    assert {record["scoring"] for record in leaderboard.records(found)} == {mode}


def test_a_later_version_asked_otherwise_takes_over_no_result(project: Project, erik: User) -> None:
    name = "colours"
    versions = [
        make_suite(project, asked(mode, name), version=number)
        for number, mode in enumerate(("options", "letter"), start=1)
    ]
    candidate = make_candidate(project, "Alder")
    for suite, mode in zip(versions, ("options", "letter"), strict=True):
        make_run(candidate, suite, {name: RIGHT[mode]})
        found = leaderboard.board(suite, leaderboard.View())
        assert [row.overall[0] for row in found.rows] == [MEANS[mode]]

    saved = boards.keep(SavedBoard(project=project, slug="both", name="Both"), versions, by=erik)
    both = boards.compute(saved)
    assert [benchmark.scoring for benchmark in both.benchmarks] == ["options", "letter"]
    cells = both.rows[0].cells
    assert [cells[each.pk].value for each in both.benchmarks] == [MEANS["options"], MEANS["letter"]]

    (series,) = trends.trend([candidate], versions[0].slug).series
    assert [point.comparable for point in series.points] == [True, False]
