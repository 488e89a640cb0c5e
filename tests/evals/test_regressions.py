"""Two servings of a model: what changed, whether it got worse, and which samples say so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evals import regressions
from evals.models import Candidate, Run, Suite
from evals.regressions import Side
from portal.accounts.models import Project, User
from tests.evals.making import answer, choice, make_candidate, make_run, make_suite

pytestmark = pytest.mark.django_db
BEFORE = [1.0] * 30 + [0.0] * 10
WORSE = [0.0] * 14 + [1.0] * 16 + [1.0] * 2 + [0.0] * 8


@pytest.fixture
def suite(project: Project) -> Suite:
    return make_suite(project, choice(), answer())


@pytest.fixture
def runs(project: Project, suite: Suite) -> list[Run]:
    full, small = make_candidate(project, "Alder bf16"), make_candidate(project, "Alder int4")
    words = [1.0, 0.0] * 20
    return [
        make_run(full, suite, {"colours": BEFORE, "words": words}),
        make_run(small, suite, {"colours": WORSE, "words": words}),
    ]


def sides(runs: list[Run]) -> list[Side]:
    return [Side(run.candidate) for run in runs]


def line(found: regressions.Report, name: str) -> regressions.Line:
    return next(line for line in found.lines if line.benchmark.name == name)


def address(**query: Any) -> str:
    pairs = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{reverse('evals:regressions')}?{pairs}"


def test_it_says_on_which_benchmark_the_model_got_worse(suite: Suite, runs: list[Run]) -> None:
    found = regressions.report(suite, *sides(runs), margin=0.02)
    colours, words = line(found, "colours"), line(found, "words")
    assert colours.change.value == pytest.approx(-0.3)
    assert (colours.verdict, len(colours.lost), len(colours.gained)) == ("worse", 14, 2)
    assert words.change.value == 0 and words.verdict == "unsure"
    assert found.overall.value == pytest.approx(-0.15)
    assert [flip.kind for flip in found.flips] == ["lost"] * 14 + ["gained"] * 2


def test_a_margin_wide_enough_excludes_a_worse_loss(suite: Suite, runs: list[Run]) -> None:
    found = regressions.report(suite, *sides(runs), margin=0.2)
    assert line(found, "words").verdict == "not_worse"
    assert line(found, "colours").verdict == "worse"


def test_two_runs_of_one_model_are_compared_as_they_were(
    project: Project, suite: Suite, runs: list[Run]
) -> None:
    candidate = runs[0].candidate
    later = make_run(candidate, suite, {"colours": WORSE, "words": [1.0, 0.0] * 20})
    old, new = Side(candidate, runs[0]), Side(candidate, later)
    assert regressions.suites_of(old, new) == [suite]
    found = regressions.report(suite, old, new)
    assert line(found, "colours").verdict == "worse"
    assert line(found, "colours").before.run == runs[0].pk


def test_runs_of_different_suites_have_nothing_in_common(
    project: Project, suite: Suite, runs: list[Run]
) -> None:
    other = make_suite(project, choice(), slug="other")
    alone = make_run(runs[0].candidate, other, {"colours": BEFORE})
    pair = Side(runs[0].candidate, runs[0]), Side(alone.candidate, alone)
    assert regressions.suites_of(*pair) == []


def test_the_page_leads_to_the_changed_samples_in_few_queries(
    client: Client, vera: User, runs: list[Run]
) -> None:
    client.force_login(vera)
    url = address(before=f"m{runs[0].candidate_id}", after=f"r{runs[1].pk}", margin="2,5")
    client.get(url)  # content types and the like are read once
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = client.get(url)
    assert len(queries) <= 18
    text = page.content.decode()
    sample = runs[1].parts.get(benchmark__name="colours").samples.first()
    assert reverse("evals:sample", args=[runs[1].pk, sample.pk]) in text
    assert "cannot tell" in text and "worse" in text and 'value="2.5"' in text
    better = client.get(url + "&show=gained").content.decode()
    assert better.count("Better</span>") == 2


def test_the_table_can_be_taken_away(client: Client, vera: User, runs: list[Run]) -> None:
    client.force_login(vera)
    url = address(before=f"m{runs[0].candidate_id}", after=f"m{runs[1].candidate_id}")
    rows = json.loads(client.get(url + "&format=json").getvalue())
    assert rows[0]["benchmark"] == "overall"
    colours = next(row for row in rows if row["benchmark"] == "colours")
    assert (colours["lost"], colours["gained"], colours["verdict"]) == (14, 2, "worse")
    assert colours["value_before"] == 0.75 and colours["margin"] == 0.02


@pytest.mark.parametrize("asked", ["x1", "m", "m99999", "r99999", "m" + "9" * 30, "mm"])
def test_what_is_not_there_is_not_found(
    client: Client, vera: User, runs: list[Run], asked: str
) -> None:
    client.force_login(vera)
    assert client.get(address(before=asked, after=f"r{runs[0].pk}")).status_code == 404


def test_models_and_runs_of_other_projects_are_not_found(
    client: Client, vera: User, runs: list[Run]
) -> None:
    foreign = Project.objects.create(name="Elsewhere")
    candidate: Candidate = make_candidate(foreign, "Foreign")
    run = make_run(candidate, make_suite(foreign, choice()), {"colours": BEFORE})
    client.force_login(vera)
    for asked in (f"m{candidate.pk}", f"r{run.pk}"):
        assert client.get(address(before=asked, after=f"r{runs[0].pk}")).status_code == 404
