"""The home page: what waits, what runs, what happened since the last visit."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from evals import leaderboard
from evals.models import Candidate, Run
from evals.news import news
from portal.accounts.models import Project
from tests.evals.making import choice, choice_rows, make_candidate, make_run, make_suite
from workers.models import JobState

pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - timedelta(days=7)


@pytest.fixture
def run(project: Project) -> Run:
    values = {"colours": [1.0, 0.0], "words": [1.0, 1.0]}
    return make_run(make_candidate(project, "Alder"), make_suite(project), values)


def test_a_failed_run_waits_until_a_later_one_makes_up_for_it(project: Project, run: Run) -> None:
    assert news(project, LONG_AGO).waiting == []
    Run.objects.filter(pk=run.pk).update(state=JobState.FAILED)
    (item,) = news(project, LONG_AGO).waiting
    assert (item.url, "failed" in item.reason) == (run.get_absolute_url(), True)
    make_run(run.candidate, run.suite, {"colours": [1.0], "words": [1.0]})
    assert news(project, LONG_AGO).waiting == []


def test_samples_without_an_answer_wait(project: Project) -> None:
    candidate = make_candidate(project)
    run = make_run(candidate, make_suite(project), {"colours": [1.0, None], "words": [None, 1.0]})
    (item,) = news(project, LONG_AGO).waiting
    assert item.url == run.get_absolute_url() and item.reason.startswith("2 samples have no answer")


def test_a_server_that_is_not_checked_or_cannot_be_asked_waits(project: Project) -> None:
    make_candidate(project, "fine")
    new, dumb = make_candidate(project, "new", can=None), make_candidate(project, "dumb", can=())
    found = {item.title: item.reason for item in news(project, LONG_AGO).waiting}
    assert set(found) == {new.name, dumb.name}
    assert "not been checked" in found["new"] and "could not be asked" in found["dumb"]


def test_only_what_is_newer_than_the_last_visit_is_news(project: Project, run: Run) -> None:
    found = news(project, LONG_AGO)
    assert (found.finished, found.registered) == ([run], [run.candidate])
    found = news(project, timezone.now())
    assert (found.finished, found.registered) == ([], [])


def test_the_models_that_none_beats_are_named(project: Project, as_erik: Client) -> None:
    suite = make_suite(project, choice(rows=choice_rows(40)))
    for name, right in (("Alder", 38), ("Birch", 36), ("Cedar", 4)):
        values = {"colours": [float(n < right) for n in range(40)]}
        make_run(make_candidate(project, name), suite, values)
    assert news(project, LONG_AGO).leaders == []  # the home page computes no board
    leaderboard.refresh(suite)
    (found,) = news(project, LONG_AGO).leaders
    assert [candidate.name for candidate, _ in found.best] == ["Alder", "Birch"]
    assert (found.measured, found.best[0][1]) == (3, 38 / 40)
    assert "of 3 models" in as_erik.get("/").content.decode()


def test_other_projects_have_other_news(run: Run, mallory: object) -> None:
    Run.objects.update(state=JobState.FAILED)
    assert all(not part for part in news(Project.objects.get(name="Elsewhere"), LONG_AGO))


def test_a_visit_lasts_while_somebody_looks(as_erik: Client, run: Run) -> None:
    assert "Alder" in as_erik.get("/").content.decode()
    with time_machine.travel(timezone.now() + timedelta(minutes=20)):
        assert as_erik.get("/").context["since"] < timezone.now() - timedelta(days=6)
    with time_machine.travel(timezone.now() + timedelta(hours=3)):
        since = as_erik.get("/").context["since"]
        assert timedelta(hours=2) < timezone.now() - since < timedelta(hours=3)
        assert as_erik.get("/").context["since"] == since


def test_the_number_of_queries_does_not_grow(
    project: Project,
    run: Run,
    as_erik: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    as_erik.get("/")
    for number in range(12):
        candidate = make_candidate(project, f"More {number}", can=None if number % 2 else ())
        Candidate.objects.filter(pk=candidate.pk).update(created_at=timezone.now())
    with django_assert_max_num_queries(18):
        page = as_erik.get("/").content.decode()
    assert page.count("<li>") >= 5
