"""Several servers of one model share its requests, if a check finds that they are the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from evals import candidates, runs
from evals.models import Candidate, Part, Probe, Replica, Run
from portal.accounts.models import AuditEntry, Project, User
from tests.evals.making import choice, choice_rows, make_candidate, make_suite
from tests.evals.stub_server import StubServer
from workers import jobs
from workers.models import JobState

pytestmark = pytest.mark.django_db
KEY = "sk-0123456789-wxyz"


@pytest.fixture
def second() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


def perform(probe: Probe) -> None:
    progress = jobs.claim(Probe, probe.pk)
    assert progress
    jobs.perform(progress, candidates.run_check)


def with_two(project: Project, stub: StubServer, second: StubServer, **more: Any) -> Candidate:
    candidate = make_candidate(project, base_url=stub.base_url, **more)
    candidates.add_replica(candidate.endpoint, base_url=second.base_url)
    perform(candidate.endpoint.latest_probe)
    return Candidate.objects.get(pk=candidate.pk)


def carry_out(run: Run) -> Part:
    (part,) = run.parts.all()
    progress = jobs.claim(Part, part.pk)
    assert progress
    jobs.perform(progress, runs.execute)
    return Part.objects.get(pk=part.pk)


def test_a_second_server_is_used_once_the_check_finds_no_difference(
    project: Project, stub: StubServer, second: StubServer
) -> None:
    candidate = make_candidate(project, base_url=stub.base_url)
    replica = candidates.add_replica(candidate.endpoint, base_url=second.base_url, api_key=KEY)
    assert candidates.spec(candidate.endpoint).others == ()
    perform(candidate.endpoint.latest_probe)
    replica.refresh_from_db()
    assert replica.finding["code"] == "replica_same", replica.finding
    endpoint = Candidate.objects.get(pk=candidate.pk).endpoint
    spec = candidates.spec(endpoint)
    assert [(other.base_url, other.api_key) for other in spec.others] == [(second.base_url, KEY)]
    assert spec.concurrency == 2 * endpoint.concurrency
    assert KEY not in f"{replica.key_encrypted}{replica.finding}{spec}"


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({"version": "stub 2.0"}, "replica_version"),
        ({"logprobs": False}, "replica_able"),
        ({"shift": 1.0}, "replica_model"),
    ],
)
def test_a_server_that_differs_is_not_used_and_says_why(
    project: Project, stub: StubServer, second: StubServer, faults: dict[str, Any], code: str
) -> None:
    second.reset(**faults)
    candidate = with_two(project, stub, second)
    (replica,) = candidate.endpoint.replicas.all()
    assert (replica.agrees, replica.finding["code"]) == (False, code)
    assert candidates.spec(candidate.endpoint).others == ()


def test_the_servers_share_the_requests(
    project: Project, stub: StubServer, second: StubServer
) -> None:
    candidate = with_two(project, stub, second)
    run = runs.start(candidate, make_suite(project, choice("colours", choice_rows(40))))
    stub.reset(delay=0.01)
    second.reset(delay=0.01)
    assert carry_out(run).state == JobState.DONE
    asked = [server.counts()["requests"] for server in (stub, second)]
    assert sum(asked) >= 40
    assert min(asked) > 0.25 * sum(asked)


def test_a_server_that_dies_loses_and_doubles_no_sample(
    project: Project, stub: StubServer, second: StubServer
) -> None:
    candidate = with_two(project, stub, second)
    suite = make_suite(project, choice("colours", choice_rows(60)))
    alone = carry_out(runs.start(make_candidate(project, "Alone", stub.base_url), suite))
    run = runs.start(candidate, suite)
    stub.reset(delay=0.02)
    second.reset(delay=0.02)

    def die() -> None:
        while second.counts()["requests"] < 15:
            time.sleep(0.02)
        second.process.kill()

    killer = threading.Thread(target=die)
    killer.start()
    part = carry_out(run)
    killer.join()
    assert (part.state, part.done, part.errors) == (JobState.DONE, 60, 0)
    samples = list(part.samples.order_by("doc_id").values_list("doc_id", "error", "loglikelihoods"))
    assert [doc for doc, _, _ in samples] == list(range(60))
    assert not any(error for _, error, _ in samples)
    expected = alone.samples.order_by("doc_id").values_list("loglikelihoods", flat=True)
    assert [logs for _, _, logs in samples] == list(expected)


def test_a_server_is_added_and_removed_on_the_page(
    client: Client, project: Project, erik: User
) -> None:
    client.force_login(erik)
    candidate = make_candidate(project)
    page = candidate.get_absolute_url()
    added = {"base_url": "http://127.0.0.1:10/v1/", "api_key": KEY}
    client.post(f"{page}servers/", added)
    (replica,) = Replica.objects.all()
    assert (replica.base_url, replica.key_last_four) == ("http://127.0.0.1:10/v1", "wxyz")
    shown = client.get(page).content.decode()
    assert "http://127.0.0.1:10/v1" in shown and KEY not in shown
    again = client.post(f"{page}servers/", added, follow=True).content.decode()
    assert "This server is known already." in again
    refused = client.post(f"{page}servers/", {"base_url": "http://169.254.169.254/v1"}, follow=True)
    assert Replica.objects.count() == 1
    assert "messages" in refused.content.decode()
    client.post(f"{page}servers/remove/", {"server": replica.pk})
    assert not Replica.objects.exists()
    verbs = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"candidate.add_server", "candidate.remove_server"} <= verbs
