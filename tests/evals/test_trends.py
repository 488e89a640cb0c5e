"""A model over time: what joins, what does not, and what changed in between."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evals import trends
from evals.models import Candidate, Run, Suite
from portal.accounts.models import Project, User
from tests.evals.making import (
    answer,
    choice,
    choice_rows,
    make_candidate,
    make_run,
    make_suite,
)

pytestmark = pytest.mark.django_db
HALF, MOST = [1.0, 0.0] * 10, [1.0] * 15 + [0.0] * 5


@pytest.fixture
def suite(project: Project) -> Suite:
    return make_suite(project, choice(), answer())


@pytest.fixture
def alder(project: Project, suite: Suite) -> Candidate:
    candidate = make_candidate(project, "Alder v1", base_model="Alder")
    make_run(candidate, suite, {"colours": HALF, "words": HALF})
    return candidate


def serve(run: Run, server: str) -> Run:
    Run.objects.filter(pk=run.pk).update(server=server)
    return run


def address(candidate: Candidate, query: str = "") -> str:
    return reverse("evals:trend", args=[candidate.pk]) + query


def test_a_new_server_is_marked_and_joined(alder: Candidate, suite: Suite) -> None:
    later = serve(make_run(alder, suite, {"colours": MOST, "words": HALF}), "vLLM 9")
    found = trends.trend([alder], suite.slug)
    assert [series.name for series in found.series] == ["words", "colours"]
    colours = found.series[1]
    assert [point.mark.value for point in colours.points] == [0.5, 0.75]
    assert all(point.comparable for point in colours.points)
    assert found.changes[later.pk] == ["server: vLLM 9"] and found.numbers == {later.pk: 1}


def test_a_new_version_with_other_questions_is_not_joined(
    project: Project, alder: Candidate, suite: Suite
) -> None:
    changed = choice(rows=choice_rows(20, prefix="Now: "))
    second = make_suite(project, changed, answer(), version=2)
    make_run(alder, second, {"colours": MOST, "words": HALF})
    found = {series.name: series.points[1] for series in trends.trend([alder], suite.slug).series}
    assert not found["colours"].comparable
    assert found["words"].comparable  # the same questions, asked in the same way
    assert trends.suites_of([alder]) == [second]


def test_named_versions_of_a_model_stand_in_one_trend(
    client: Client, vera: User, project: Project, alder: Candidate, suite: Suite
) -> None:
    tuned = make_candidate(project, "Alder v2", base_model="Alder")
    make_candidate(project, "Birch", base_model="Birch")
    run = make_run(tuned, suite, {"colours": MOST, "words": HALF})
    assert trends.versions_of(alder) == [tuned]
    assert "model: Alder v2" in trends.trend([alder, tuned], suite.slug).changes[run.pk]
    client.force_login(vera)
    alone = client.get(address(alder)).content.decode()
    both = client.get(address(alder, f"?m={tuned.pk}")).content.decode()
    assert 'class="join' not in alone and 'class="join' in both
    assert "model: Alder v2" in both and "Birch" not in both


def test_what_is_not_valid_has_no_dot(
    client: Client, vera: User, alder: Candidate, suite: Suite
) -> None:
    make_run(alder, suite, {"colours": [1.0] * 10 + [None] * 10, "words": HALF})
    client.force_login(vera)
    page = client.get(address(alder)).content.decode()
    assert page.count('class="dot"') == 3


def test_the_page_takes_the_same_queries_for_many_runs(
    client: Client, vera: User, alder: Candidate, suite: Suite
) -> None:
    client.force_login(vera)
    client.get(address(alder))
    with CaptureQueriesContext(connection) as few:
        client.get(address(alder))
    for _ in range(5):
        make_run(alder, suite, {"colours": MOST, "words": HALF})
    with CaptureQueriesContext(connection) as many:
        client.get(address(alder))
    assert len(many) == len(few) <= 14


def test_the_table_can_be_taken_away(
    client: Client, vera: User, alder: Candidate, suite: Suite
) -> None:
    serve(make_run(alder, suite, {"colours": MOST, "words": HALF}), "vLLM 9")
    client.force_login(vera)
    rows = json.loads(client.get(address(alder, "?format=json")).getvalue())
    last = [row for row in rows if row["benchmark"] == "colours"][-1]
    assert (last["value"], last["server"], last["changed"]) == (0.75, "vLLM 9", "server: vLLM 9")
