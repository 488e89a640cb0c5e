from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from evals import candidates, leaderboard, runs
from evals.models import Run
from portal.accounts.models import Project
from tests.evals.making import answer, carry_out, choice, make_candidate, make_probe, make_suite
from tests.evals.stub_server import StubServer
from workers.models import JobState

pytestmark = pytest.mark.django_db


def test_it_makes_one_queued_part_for_each_benchmark(project: Project) -> None:
    candidate, suite = make_candidate(project), make_suite(project)
    run = Run.objects.get(pk=runs.start(candidate, suite).pk)
    parts = run.children()
    assert [part.benchmark.name for part in parts] == ["colours", "words"]
    assert [(part.state, part.total) for part in parts] == [("queued", 8), ("queued", 8)]
    assert run.state == JobState.QUEUED
    assert run.server == "stub stub 1.0"
    assert "lm-eval" in run.software


def test_it_is_one_run_when_the_same_is_started_twice(project: Project) -> None:
    candidate, suite = make_candidate(project), make_suite(project)
    first = runs.start(candidate, suite)
    assert runs.start(candidate, suite) == first
    assert runs.start(candidate, suite, again=True) == first  # it has not finished yet
    assert Run.objects.count() == 1


def test_it_shows_a_finished_run_and_asks_nothing(project: Project, stub: StubServer) -> None:
    candidate, suite = make_candidate(project, base_url=stub.base_url), make_suite(project)
    done = carry_out(runs.start(candidate, suite))
    asked = stub.counts()["requests"]
    same = runs.start(candidate, suite)
    assert (same, carry_out(same).state) == (done, JobState.DONE)
    assert stub.counts()["requests"] == asked


def test_it_repeats_a_finished_run_when_asked_to(project: Project, stub: StubServer) -> None:
    candidate, suite = make_candidate(project, base_url=stub.base_url), make_suite(project)
    first = carry_out(runs.start(candidate, suite))
    second = runs.start(candidate, suite, again=True)
    assert second != first
    assert (first.repeat, second.repeat) == (0, 1)
    carry_out(second)
    assert set(stub.asked().values()) == {2}


def test_another_revision_or_choice_of_benchmarks_is_another_run(project: Project) -> None:
    candidate, suite = make_candidate(project), make_suite(project)
    first = runs.start(candidate, suite)
    half = runs.start(candidate, suite, scoring="options")
    assert [part.benchmark.scoring for part in half.children()] == ["options"]
    endpoint = candidate.endpoint
    candidates.change_endpoint(
        endpoint, base_url="http://127.0.0.1:10/v1", served_model="stub", concurrency=4
    )
    make_probe(endpoint)
    candidate.refresh_from_db()
    moved = runs.start(candidate, suite)
    assert len({first.pk, half.pk, moved.pk}) == 3
    assert moved.endpoint_revision == first.endpoint_revision + 1


def test_the_same_languages_in_any_order_are_one_run(project: Project) -> None:
    suite = make_suite(project, choice(), answer(), answer("ord", language="da"))
    candidate = make_candidate(project)
    run = runs.start(candidate, suite, languages=["de", "da"])
    assert run.languages == ["da", "de"]
    assert [part.benchmark.name for part in run.children()] == ["words", "ord"]
    assert runs.start(candidate, suite, languages=("da", "de", "da")) == run
    short = runs.start(candidate, suite, scoring="generate")  # has no English: nothing left out
    assert runs.start(candidate, suite, scoring="generate", languages=["da", "de"]) == short


def test_all_languages_are_the_run_without_a_choice(project: Project) -> None:
    candidate, suite = make_candidate(project), make_suite(project)
    run = runs.start(candidate, suite)
    assert (run.options, run.options_hash) == ({}, "44136fa355b3678a")
    assert runs.start(candidate, suite, languages=["en", "de"]) == run


def test_an_unknown_language_names_those_there_are(project: Project) -> None:
    with pytest.raises(runs.UnknownLanguages, match=r"in: xx\. It has: de, en"):
        runs.start(make_candidate(project), make_suite(project), languages=["de", "xx"])
    assert not Run.objects.exists()


def test_a_run_in_one_language_fills_its_columns_of_the_board(
    project: Project, stub: StubServer
) -> None:
    candidate, suite = make_candidate(project, base_url=stub.base_url), make_suite(project)
    carry_out(runs.start(candidate, suite, languages=["de"]))
    (row,) = leaderboard.board(suite, leaderboard.View()).rows
    assert row.overall is None
    assert [cell is not None for cell in row.cells.values()] == [True, False]
    (german,) = leaderboard.board(suite, leaderboard.View(language="de")).rows
    assert german.overall and german.rank == (1, 1)


def test_the_database_refuses_a_second_run_of_the_same_identity(project: Project) -> None:
    run = runs.start(make_candidate(project), make_suite(project))
    fields = {
        name: getattr(run, name)
        for name in ("candidate", "suite", "endpoint_revision", "options_hash", "repeat")
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.create(**fields)


def test_it_refuses_an_endpoint_that_was_never_checked(project: Project) -> None:
    candidate = make_candidate(project, can=None)
    with pytest.raises(runs.CannotStart, match="has not been checked"):
        runs.start(candidate, make_suite(project))
    assert not Run.objects.exists()


def test_it_refuses_an_endpoint_that_changed_since_its_check(project: Project) -> None:
    candidate = make_candidate(project)
    candidates.change_endpoint(
        candidate.endpoint, base_url="http://127.0.0.1:10/v1", served_model="x", concurrency=4
    )
    with pytest.raises(runs.CannotStart, match="has not been checked"):
        runs.start(candidate, make_suite(project))


def test_it_refuses_what_the_server_cannot_do_and_shows_the_evidence(project: Project) -> None:
    candidate = make_candidate(project, can=["chat", "completions"])
    suite = make_suite(project)
    with pytest.raises(runs.CannotStart, match=r"Choice colours.*Log-probabilities") as refused:
        runs.start(candidate, suite)
    (verdict,) = refused.value.evidence
    assert verdict["name"] == "echo_logprobs"
    assert verdict["evidence"]["response"] == "no logprobs here"
    assert not Run.objects.exists()
    assert suite.frozen_at is None


def test_it_runs_the_benchmarks_that_the_server_can_do(project: Project) -> None:
    candidate = make_candidate(project, can=["chat"])
    run = runs.start(candidate, make_suite(project), scoring="generate")
    assert [part.benchmark.name for part in run.children()] == ["words"]


def test_it_refuses_a_suite_without_benchmarks_of_the_kind(project: Project) -> None:
    suite = make_suite(project, choice())
    with pytest.raises(runs.CannotStart, match="no benchmark of that kind"):
        runs.start(make_candidate(project), suite, scoring="generate")


def test_it_freezes_the_suite(project: Project) -> None:
    suite = make_suite(project, answer())
    runs.start(make_candidate(project), suite)
    suite.refresh_from_db()
    assert suite.frozen_at
