from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from evals import candidates, llm
from evals.models import Candidate, Endpoint, Probe
from portal import secrets
from portal.accounts.models import Project
from tests.evals.making import make_candidate, make_probe
from tests.evals.stub_server import MODEL, StubServer
from workers import jobs
from workers.models import JobState

pytestmark = pytest.mark.django_db
KEY = "sk-0123456789-wxyz"


@pytest.fixture
def endpoint(project: Project) -> Endpoint:
    candidate = candidates.register(
        project,
        name="Viking 7B",
        base_url="http://127.0.0.1:8000/v1/",
        served_model="viking",
        api_key=KEY,
        parameters=7.0,
    )
    make_probe(candidate.endpoint)
    return candidate.endpoint


def change(endpoint: Endpoint, **changes: Any) -> bool:
    values = {
        "base_url": endpoint.base_url,
        "served_model": endpoint.served_model,
        "concurrency": endpoint.concurrency,
    }
    return candidates.change_endpoint(endpoint, **values | changes)


def check(probe: Probe) -> Probe:
    progress = jobs.claim(Probe, probe.pk)
    assert progress
    jobs.perform(progress, candidates.run_check)
    return Probe.objects.get(pk=probe.pk)


def test_registering_queues_a_check(project: Project) -> None:
    candidate = candidates.register(
        project, name="A", base_url="http://127.0.0.1:1/v1", served_model="a"
    )
    (probe,) = candidate.endpoint.probes.all()
    assert (probe.state, probe.endpoint_revision) == (JobState.QUEUED, 1)
    assert candidate.endpoint.verified is None


def test_the_database_holds_the_key_only_encrypted(endpoint: Endpoint) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM evals_endpoint")
        stored = str(cursor.fetchall())
    assert KEY not in stored and KEY[:12] not in stored
    assert endpoint.key_last_four == "wxyz"
    assert secrets.decrypt(endpoint.key_encrypted) == KEY
    assert candidates.spec(endpoint).api_key == KEY


def test_a_short_key_shows_nothing_of_itself(endpoint: Endpoint) -> None:
    change(endpoint, api_key="abcdefg")
    assert endpoint.key_last_four == ""
    assert candidates.spec(endpoint).api_key == "abcdefg"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:8000/v1",
        "http://localhost:8000/v1",
        "http://127.0.0.1:8001/v1",
        "http://127.0.0.1/v1",
    ],
    ids=["scheme", "host", "port", "default port"],
)
def test_the_key_is_forgotten_when_the_server_changes(endpoint: Endpoint, url: str) -> None:
    assert change(endpoint, base_url=url) is True
    endpoint.refresh_from_db()
    assert (endpoint.key_encrypted, endpoint.key_last_four) == ("", "")
    assert candidates.spec(endpoint).api_key == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "http://127.0.0.1:8000/other/v1"},
        {"base_url": "HTTP://127.0.0.1:8000/v1"},
        {"served_model": "viking-2"},
        {"concurrency": 32},
    ],
    ids=["path", "spelling", "served name", "concurrency"],
)
def test_the_key_is_kept_otherwise(endpoint: Endpoint, changes: dict[str, Any]) -> None:
    assert change(endpoint, **changes) is False
    assert candidates.spec(endpoint).api_key == KEY


def test_the_default_port_is_the_same_server(endpoint: Endpoint) -> None:
    change(endpoint, base_url="https://gpu01/v1", api_key=KEY)
    assert change(endpoint, base_url="https://gpu01:443/v1") is False
    assert candidates.spec(endpoint).api_key == KEY


def test_a_new_key_that_comes_with_the_new_server_is_kept(endpoint: Endpoint) -> None:
    assert change(endpoint, base_url="http://127.0.0.1:9000/v1", api_key="another-key") is False
    assert candidates.spec(endpoint).api_key == "another-key"


def test_an_empty_key_removes_it(endpoint: Endpoint) -> None:
    assert change(endpoint, api_key="") is False
    assert (endpoint.key_encrypted, endpoint.key_last_four) == ("", "")


@pytest.mark.parametrize(
    ("changes", "grown"),
    [
        ({"base_url": "http://127.0.0.1:8000/v2"}, 1),
        ({"served_model": "viking-2"}, 1),
        ({"dialect": "tgi"}, 1),
        ({"dialect": "generic"}, 0),
        ({"concurrency": 32}, 0),
        ({"api_key": "another-key"}, 0),
        ({"base_url": "http://127.0.0.1:8000/v1/"}, 0),
    ],
)
def test_the_revision_grows_when_answers_may_differ(
    endpoint: Endpoint, changes: dict[str, Any], grown: int
) -> None:
    change(endpoint, **changes)
    endpoint.refresh_from_db()
    assert endpoint.revision == 1 + grown
    assert (endpoint.verified is None) == bool(grown)  # the old check says nothing any more


def test_a_change_without_a_word_on_the_software_keeps_it(endpoint: Endpoint) -> None:
    change(endpoint, dialect="tgi")
    change(endpoint, concurrency=32)
    assert candidates.spec(endpoint).dialect == "tgi"


def test_a_change_queues_a_check_of_the_new_revision(endpoint: Endpoint) -> None:
    change(endpoint, served_model="viking-2")
    assert endpoint.probes.filter(state=JobState.QUEUED, endpoint_revision=2).count() == 1


def test_a_check_that_waits_is_not_queued_twice(endpoint: Endpoint) -> None:
    assert candidates.check(endpoint) == candidates.check(endpoint)


def test_a_check_stores_verdicts_capabilities_and_server(
    project: Project, stub: StubServer
) -> None:
    candidate = make_candidate(project, base_url=stub.base_url, can=None)
    probe = check(candidates.check(candidate.endpoint))
    assert (probe.state, probe.done) == (JobState.DONE, 1)
    assert probe.server == "stub stub 1.0"
    assert probe.probes_version == llm.PROBE_VERSION
    assert [verdict["name"] for verdict in probe.verdicts] == list(llm.PROBES)
    assert all(verdict["evidence"] for verdict in probe.verdicts if verdict["ok"])
    assert probe.can("loglikelihood") and probe.can("chat") and not probe.can("anything else")
    assert Candidate.objects.get().endpoint.verified == probe
    assert candidates.spec(candidate.endpoint).batch_prompts


def test_a_check_finds_a_server_without_log_probabilities(
    project: Project, stub: StubServer
) -> None:
    stub.reset(logprobs=False)
    candidate = make_candidate(project, base_url=stub.base_url, can=None)
    probe = check(candidates.check(candidate.endpoint))
    assert probe.state == JobState.DONE
    assert not probe.can("loglikelihood") and probe.can("chat")
    assert {verdict["name"] for verdict in probe.failed_verdicts()} >= {"echo_logprobs"}
    (echo,) = [v for v in probe.verdicts if v["name"] == "echo_logprobs"]
    assert echo["evidence"]["request"].startswith("POST completions")


def test_a_check_of_a_server_that_is_away_is_a_finding_and_no_failure(project: Project) -> None:
    candidate = make_candidate(project, can=None)
    probe = check(candidates.check(candidate.endpoint))
    assert probe.state == JobState.DONE
    assert not any(probe.capabilities.values())
    assert probe.verdicts[0]["name"] == "reachable" and probe.verdicts[0]["ok"] is False


def test_the_evidence_of_a_check_never_holds_the_key(project: Project, stub: StubServer) -> None:
    candidate = make_candidate(project, base_url=stub.base_url, can=None)
    change(candidate.endpoint, api_key=MODEL + KEY)
    probe = check(candidates.check(candidate.endpoint))
    assert KEY not in str(probe.verdicts)
    assert MODEL in str(probe.verdicts)
