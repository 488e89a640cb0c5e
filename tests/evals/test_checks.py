"""A check counts for a while; what it says decides how a model may be asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from evals import candidates, llm, runs
from evals.models import Candidate, Part, Probe, Run
from evals.models.candidates import Checked
from portal.accounts.models import Project, User
from tests.evals.making import (
    EVERYTHING,
    choice,
    make_candidate,
    make_probe,
    make_suite,
)
from tests.evals.stub_server import StubServer
from workers import jobs
from workers.models import JobState

pytestmark = pytest.mark.django_db
LETTERS = ("chat", "completions", "top_logprobs", "chat_top_logprobs")


def carry_out(run: Run) -> Part:
    (part,) = run.parts.all()
    progress = jobs.claim(Part, part.pk)
    assert progress
    jobs.perform(progress, runs.execute)
    return Part.objects.get(pk=part.pk)


def started(project: Project, stub: StubServer) -> Run:
    candidate = make_candidate(project, base_url=stub.base_url)
    return runs.start(candidate, make_suite(project, choice("colours")))


def age(probe: Probe, **changes: Any) -> None:
    Probe.objects.filter(pk=probe.pk).update(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"finished_at": timezone.now() - timedelta(hours=25)},
        {"probes_version": llm.PROBE_VERSION - 1},
        {"server": "stub stub 0.9"},
    ],
    ids=["old", "older probes", "another version of the server"],
)
def test_a_run_checks_the_server_anew_when_the_last_check_no_longer_counts(
    project: Project, stub: StubServer, changes: dict[str, Any]
) -> None:
    run = started(project, stub)
    age(run.candidate.endpoint.verified, **changes)
    part = carry_out(run)
    assert (part.state, part.done) == (JobState.DONE, 8)
    newest = Candidate.objects.get(pk=run.candidate.pk).endpoint.verified
    assert newest.probes_version == llm.PROBE_VERSION
    assert Probe.objects.count() == 2
    assert Run.objects.get(pk=run.pk).server == "stub stub 1.0"


def test_a_run_does_not_check_again_what_was_checked_just_now(
    project: Project, stub: StubServer
) -> None:
    assert carry_out(started(project, stub)).state == JobState.DONE
    assert Probe.objects.count() == 1


def test_a_run_stops_with_the_evidence_when_the_server_is_no_longer_able(
    project: Project, stub: StubServer
) -> None:
    run = started(project, stub)
    age(run.candidate.endpoint.verified, probes_version=0)
    stub.reset(logprobs=False)
    part = carry_out(run)
    assert part.state == JobState.FAILED
    assert "without log-probabilities" in part.message
    assert not part.samples.exists()


def test_what_the_server_can_do_instead_is_offered(project: Project) -> None:
    candidate = make_candidate(project, can=LETTERS)
    with pytest.raises(runs.CannotStart) as refused:
        runs.start(candidate, make_suite(project), scoring="options")
    assert refused.value.offers == ["generate"]
    assert [verdict["name"] for verdict in refused.value.evidence] == ["echo_logprobs"]


def test_an_offer_is_taken_by_one_click(client: Client, project: Project, erik: User) -> None:
    client.force_login(erik)
    candidate, suite = make_candidate(project, can=LETTERS), make_suite(project)
    form = {"suite": suite.pk, "candidates": candidate.pk, "scoring": "options"}
    page = client.post("/runs/new/", form)
    assert 'name="instead" value="generate"' in page.content.decode()
    client.post("/runs/new/", form | {"instead": "generate"})
    assert Run.objects.get().options == {"scoring": "generate"}


def test_the_badge_names_letters(project: Project) -> None:
    assert make_candidate(project, "A", can=LETTERS).endpoint.checked == Checked.LETTERS
    assert make_candidate(project, "B", can=EVERYTHING).endpoint.checked == Checked.ALL
    assert make_candidate(project, "C", can=("chat",)).endpoint.checked == Checked.SHORT


def test_the_software_that_a_server_says_it_is_is_taken_over_by_one_click(
    client: Client, project: Project, erik: User
) -> None:
    client.force_login(erik)
    candidate = make_candidate(project)
    probe = candidate.endpoint.verified
    values = {"dialect": "vllm", "label": "vLLM", "because": "owned_by vllm", "asked": "generic"}
    found = {"name": "software", "ok": None, "summary": "", "evidence": {}, "code": "speaks"}
    age(probe, verdicts=[found | {"values": values}])
    assert "Ask it as vLLM" in client.get(candidate.get_absolute_url()).content.decode()
    client.post(f"{candidate.get_absolute_url()}software/")
    endpoint = Candidate.objects.get(pk=candidate.pk).endpoint
    assert (endpoint.dialect, endpoint.revision) == ("vllm", 2)
    assert candidates.accept_software(endpoint) is False


def test_prompts_are_scored_by_the_way_that_was_proven(project: Project) -> None:
    endpoint = make_candidate(project, can=None).endpoint
    endpoint.dialect = "vllm"
    endpoint.save()
    make_probe(endpoint, ("loglikelihood", "native_logprobs", "batch_prompts"))
    assert candidates.spec(endpoint).route == "prompt_logprobs"
    make_probe(endpoint, ("loglikelihood", "native_logprobs", "echo_logprobs"))
    assert candidates.spec(endpoint).route == "echo"


def test_rows_keep_how_long_a_text_may_be(project: Project) -> None:
    endpoint = make_candidate(project).endpoint
    kept = {"base_url": endpoint.base_url, "served_model": "stub", "concurrency": 4}
    candidates.change_endpoint(endpoint, **kept, context_tokens=8192)
    candidates.change_endpoint(endpoint, **kept)
    endpoint.refresh_from_db()
    assert (endpoint.context_tokens, endpoint.revision) == (8192, 1)
