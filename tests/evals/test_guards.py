"""What must never happen: old results with new answers, lost checks, changed suites, shown keys."""

from __future__ import annotations

import time

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse

from evals import candidates, leaderboard, runs, scores, waiting
from evals.engines import BenchmarkSpec, _asking, lm_eval
from evals.models import Benchmark, Candidate, Part, Probe, Sample
from evals.models.suites import SuiteFrozen
from portal.accounts.models import Project
from tests.evals.making import answer, answer_rows, carry_out, make_candidate, make_suite
from tests.evals.stub_server import MODEL, StubServer
from workers import jobs
from workers.models import JobState

pytestmark = pytest.mark.django_db


@pytest.fixture
def candidate(project: Project, stub: StubServer) -> Candidate:
    return make_candidate(project, base_url=stub.base_url)


def turn_to_another_model(candidate: Candidate) -> None:
    endpoint = candidate.endpoint
    candidates.change_endpoint(
        endpoint, base_url=endpoint.base_url, served_model="another", concurrency=4
    )


def test_a_change_of_the_endpoint_ends_runs_of_the_old_one(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    run = runs.start(candidate, make_suite(project))
    turn_to_another_model(candidate)
    run.refresh_from_db()
    assert run.state == JobState.CANCELLED
    with pytest.raises(runs.CannotStart, match="endpoint has changed"):
        runs.resume(run)


def test_a_part_never_asks_a_server_that_its_run_does_not_name(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    run = runs.start(candidate, make_suite(project))
    type(candidate.endpoint).objects.filter(candidate=candidate).update(revision=2)
    stub.reset()
    run = carry_out(run)
    assert {part.state for part in run.children()} == {JobState.FAILED}
    assert "endpoint has changed" in run.children()[0].message
    assert not Sample.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_check_slower_than_the_lease_keeps_it(
    project: Project, stub: StubServer, settings: object
) -> None:
    settings.LEASE_SECONDS = 1.5
    stub.reset(delay=0.4)
    candidate = make_candidate(project, base_url=stub.base_url, can=None)
    probe = candidates.check(candidate.endpoint)
    progress = jobs.claim(Probe, probe.pk)
    began = time.monotonic()
    jobs.perform(progress, candidates.run_check)
    assert time.monotonic() - began > django_settings.LEASE_SECONDS
    probe.refresh_from_db()
    assert (probe.state, probe.can("loglikelihood")) == (JobState.DONE, True)


@pytest.mark.django_db(transaction=True)
def test_a_cancel_does_not_wait_until_the_prompts_are_built(
    project: Project, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(spec: BenchmarkSpec) -> None:
        time.sleep(8)

    monkeypatch.setattr(lm_eval, "prepare", slowly)
    part = runs.start(candidate, make_suite(project)).children()[0]
    progress = jobs.claim(Part, part.pk)
    Part.objects.filter(pk=part.pk).update(cancel_requested=True)
    began = time.monotonic()
    jobs.perform(progress, runs.execute)
    assert time.monotonic() - began < 3
    part.refresh_from_db()
    assert part.state == JobState.CANCELLED


@pytest.mark.django_db(transaction=True)
def test_scoring_that_is_slower_than_the_lease_keeps_it_and_locks_nothing(
    project: Project, candidate: Candidate, monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    settings.LEASE_SECONDS = 1.5
    compute = scores.compute
    part = runs.start(candidate, make_suite(project)).children()[0]
    progress = jobs.claim(Part, part.pk)
    told: list[str] = []

    def slowly(*given: object) -> scores.Computed:
        told.append("computing")
        time.sleep(3)
        told.append("computed")
        return compute(*given)

    def fence() -> None:
        told.append("locked")
        return type(progress).fence(progress)

    def beat(force: bool = False) -> None:
        told.append("beat")
        return type(progress).beat(progress, force)

    monkeypatch.setattr(scores, "compute", slowly)
    monkeypatch.setattr(progress, "fence", fence)
    monkeypatch.setattr(progress, "beat", beat)
    jobs.perform(progress, runs.execute)
    meanwhile = told[told.index("computing") + 1 : told.index("computed")]
    assert set(meanwhile) == {"beat"}
    assert "locked" in told[told.index("computed") :]
    part.refresh_from_db()
    assert (part.state, part.scores.count() > 0) == (JobState.DONE, True)


@pytest.mark.django_db(transaction=True)
def test_a_cancel_does_not_wait_until_the_scores_are_computed(
    project: Project, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = runs.start(candidate, make_suite(project)).children()[0]
    progress = jobs.claim(Part, part.pk)
    began: list[float] = []

    def for_ages(*_: object) -> None:
        began.append(time.monotonic())
        time.sleep(8)

    read = runs.answers.read

    def cancelled_then(*given: object) -> object:
        Part.objects.filter(pk=part.pk).update(cancel_requested=True)
        return read(*given)

    monkeypatch.setattr(scores, "compute", for_ages)
    monkeypatch.setattr(runs.answers, "read", cancelled_then)
    jobs.perform(progress, runs.execute)
    assert time.monotonic() - began[0] < 3
    part.refresh_from_db()
    assert (part.state, part.done, part.scores.count()) == (JobState.CANCELLED, part.total, 0)


def test_a_document_that_cannot_be_scored_is_an_error_of_its_own(
    project: Project, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = _asking._score

    def stumble(task: object, document: _asking.Document) -> dict[str, float]:
        if document.doc_id == 3:
            raise ZeroDivisionError("an odd answer")
        return score(task, document)

    monkeypatch.setattr(_asking, "_score", stumble)
    run = carry_out(runs.start(candidate, make_suite(project, answer(rows=answer_rows(40)))))
    assert (run.state, run.done, run.errors) == (JobState.DONE, 39, 1)
    sample = Sample.objects.get(doc_id=3)
    assert (sample.error_kind, sample.value) == ("scoring", None)
    monkeypatch.setattr(_asking, "_score", score)
    runs.resume(run)
    assert carry_out(run).errors == 0


def test_prompts_that_a_server_refuses_do_not_end_the_part(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    stub.reset(kind="400", match="1")
    run = carry_out(runs.start(candidate, make_suite(project, answer(rows=answer_rows(200)))))
    assert run.state == JobState.DONE
    assert run.errors > waiting.PATIENCE + candidate.endpoint.concurrency


def test_a_suite_that_a_run_has_used_cannot_change(project: Project, candidate: Candidate) -> None:
    suite = make_suite(project)
    runs.start(candidate, suite)
    benchmark = Benchmark.objects.filter(suite=suite).first()
    benchmark.metric = "acc_norm"
    for change in (
        benchmark.save,
        lambda: Benchmark.objects.filter(suite=suite).update(metric="acc_norm"),
        lambda: Benchmark.objects.filter(suite=suite).delete(),
    ):
        with pytest.raises(SuiteFrozen):
            change()


def test_a_key_that_was_typed_never_comes_back_in_the_page(as_erik: Client) -> None:
    response = as_erik.post(
        reverse("evals:candidate_new"),
        {
            "name": "Elsewhere",
            "base_url": "http://169.254.169.254/v1",
            "served_model": MODEL,
            "api_key": "sk-CANARY-5e1f",
            "concurrency": 4,
        },
    )
    assert response.status_code == 422
    assert b"CANARY" not in response.content


def test_a_stored_key_that_cannot_be_read_is_told(project: Project, candidate: Candidate) -> None:
    type(candidate.endpoint).objects.update(key_encrypted="not a token of ours")
    part = runs.start(candidate, make_suite(project)).children()[0]
    jobs.perform(jobs.claim(Part, part.pk), runs.execute)
    part.refresh_from_db()
    assert part.state == JobState.FAILED
    assert "unexpected" not in part.message.lower()


def test_results_stay_on_the_board_while_failed_samples_are_asked_again(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    stub.reset(kind="400", match="word1")
    suite = make_suite(project, answer(rows=answer_rows(60)))
    run = carry_out(runs.start(candidate, suite))
    Part.objects.filter(run=run).update(state=JobState.QUEUED)
    (row,) = leaderboard.board(suite, leaderboard.View()).rows
    assert any(cell is not None for cell in row.cells.values())


def test_a_run_that_cannot_be_resumed_says_why(as_erik: Client, project: Project) -> None:
    candidate = make_candidate(project)
    run = runs.start(candidate, make_suite(project))
    turn_to_another_model(candidate)
    response = as_erik.post(reverse("evals:run_resume", args=[run.pk]), follow=True)
    assert b"The endpoint has changed" in response.content
