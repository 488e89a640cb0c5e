"""Registering and changing candidates, installing suites and starting runs in the browser's way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from evals import candidates
from evals.forms import KEEP_KEY, AmountField
from evals.models import Candidate, Run, Suite
from portal.accounts.models import Project
from tests.evals.making import answer, choice, make_candidate, make_suite
from workers.models import JobState

pytestmark = pytest.mark.django_db
KEY = "sk-0123456789-wxyz"


def fields(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Viking 7B",
        "base_url": "http://127.0.0.1:8000/v1",
        "served_model": "viking",
        "api_key": KEY,
        "concurrency": "8",
        "languages": "de, en",
    } | changes


@pytest.fixture
def registered(as_erik: Client) -> Candidate:
    as_erik.post(reverse("evals:candidate_new"), fields())
    return Candidate.objects.get()


def edit(client: Client, candidate: Candidate, **changes: Any) -> Any:
    url = reverse("evals:candidate_edit", args=[candidate.pk])
    return client.post(url, fields(api_key=KEEP_KEY) | changes)


def key_of(candidate: Candidate) -> str:
    return candidates.spec(Candidate.objects.get(pk=candidate.pk).endpoint).api_key


def test_registering_makes_a_candidate_and_queues_its_check(
    as_erik: Client, registered: Candidate
) -> None:
    assert registered.languages == ["de", "en"]
    assert registered.endpoint.latest_probe.state == JobState.QUEUED
    assert key_of(registered) == KEY


def test_no_page_shows_the_key(as_erik: Client, registered: Candidate) -> None:
    for name in ("candidate", "candidate_edit"):
        text = as_erik.get(reverse(f"evals:{name}", args=[registered.pk])).text
        assert KEY not in text and registered.endpoint.key_encrypted not in text
    assert "••••wxyz" in as_erik.get(registered.get_absolute_url()).text


def test_a_key_without_visible_end_is_shown_to_be_there(as_erik: Client) -> None:
    as_erik.post(reverse("evals:candidate_new"), fields(api_key="pq-7z"))
    text = as_erik.get(Candidate.objects.get().get_absolute_url()).text
    assert "••••" in text and "pq-7z" not in text


def test_editing_keeps_the_key(as_erik: Client, registered: Candidate) -> None:
    assert edit(as_erik, registered, name="Viking 7B chat", concurrency="16").status_code == 302
    registered.refresh_from_db()
    assert (registered.name, registered.endpoint.concurrency) == ("Viking 7B chat", 16)
    assert key_of(registered) == KEY


def test_editing_the_server_forgets_the_key_and_says_so(
    as_erik: Client, registered: Candidate
) -> None:
    edit(as_erik, registered, base_url="http://127.0.0.1:9000/v1")
    assert key_of(registered) == ""
    assert "forgotten" in as_erik.get(registered.get_absolute_url()).text


def test_emptying_the_field_removes_the_key(as_erik: Client, registered: Candidate) -> None:
    edit(as_erik, registered, api_key="")
    assert key_of(registered) == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "http://169.254.169.254/v1"),
        ("base_url", "http://8.8.8.8/v1"),
        ("base_url", "file:///etc/passwd"),
        ("base_url", "http://me:secret@127.0.0.1/v1"),
        ("base_url", "not a URL"),
        ("base_url", "http://127.0.0.1:99999/v1"),
        ("concurrency", "0"),
        ("concurrency", "100000"),
        ("parameters", "-1"),
        ("name", ""),
        ("served_model", ""),
        ("api_key", "schlüssel"),
        ("api_key", "two\nlines"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(
    as_erik: Client, field: str, value: str
) -> None:
    response = as_erik.post(reverse("evals:candidate_new"), fields(**{field: value}))
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert not Candidate.objects.exists()


def test_a_name_is_used_once_in_a_project(as_erik: Client, registered: Candidate) -> None:
    response = as_erik.post(reverse("evals:candidate_new"), fields())
    assert response.status_code == 422 and "name" in response.context["form"].errors
    other = make_candidate(registered.project, "Other")
    assert edit(as_erik, other, name=registered.name).status_code == 422
    assert edit(as_erik, registered).status_code == 302  # its own name is no clash
    make_candidate(Project.objects.create(name="Another"), registered.name)


def test_the_check_can_be_repeated(as_erik: Client, registered: Candidate) -> None:
    registered.endpoint.probes.update(state=JobState.DONE)
    as_erik.post(reverse("evals:candidate_check", args=[registered.pk]))
    assert registered.endpoint.probes.filter(state=JobState.QUEUED).count() == 1


def test_a_shipped_suite_is_installed_by_its_button(as_erik: Client) -> None:
    as_erik.post(reverse("evals:suite_install"), {"slug": "demo"})
    assert Suite.objects.get().slug == "demo"
    as_erik.post(reverse("evals:suite_install"), {"slug": "../../etc"})
    assert Suite.objects.count() == 1


def start(client: Client, suite: Suite, *chosen: Candidate, **more: Any) -> Any:
    data = {"suite": suite.pk, "candidates": [candidate.pk for candidate in chosen], **more}
    return client.post(reverse("evals:run_new"), data)


def test_one_run_leads_to_its_page_and_several_to_the_list(
    as_erik: Client, project: Project
) -> None:
    suite = make_suite(project)
    first, second = make_candidate(project, "One"), make_candidate(project, "Two")
    response = start(as_erik, suite, first)
    assert response.headers["Location"] == Run.objects.get().get_absolute_url()
    assert Run.objects.get().created_by.username == "erik"
    assert start(as_erik, suite, first, second).headers["Location"] == reverse("evals:runs")
    assert Run.objects.count() == 2


def test_a_refused_run_shows_the_evidence(as_erik: Client, project: Project) -> None:
    candidate = make_candidate(project, "Mute", can=["chat"])
    response = start(as_erik, make_suite(project, choice()), candidate)
    assert response.status_code == 422
    assert "no logprobs here" in response.text and "Mute" in response.text
    assert not Run.objects.exists()


def test_an_unchecked_candidate_is_refused_in_words(as_erik: Client, project: Project) -> None:
    response = start(as_erik, make_suite(project), make_candidate(project, can=None))
    assert response.status_code == 422 and "has not been checked" in response.text


def test_short_answers_alone_can_be_asked_of_a_mute_server(
    as_erik: Client, project: Project
) -> None:
    candidate = make_candidate(project, "Mute", can=["chat"])
    suite = make_suite(project, choice(), answer())
    assert start(as_erik, suite, candidate, scoring="generate").status_code == 302
    assert Run.objects.get().parts.get().benchmark.scoring == "generate"


def test_nothing_of_another_project_can_be_chosen(as_erik: Client, project: Project) -> None:
    other = Project.objects.create(name="Another")
    response = start(as_erik, make_suite(other), make_candidate(other))
    assert response.status_code == 422
    assert set(response.context["form"].errors) == {"suite", "candidates"}
    assert not Run.objects.exists()


def test_a_run_is_cancelled_and_resumed_by_its_buttons(as_erik: Client, project: Project) -> None:
    start(as_erik, make_suite(project), make_candidate(project))
    run = Run.objects.get()
    as_erik.post(reverse("workers:cancel", args=[run.label, run.pk]))
    assert {part.state for part in run.parts.all()} == {JobState.CANCELLED}
    as_erik.post(reverse("evals:run_resume", args=[run.pk]))
    assert {part.state for part in run.parts.all()} == {JobState.QUEUED}


@pytest.mark.parametrize(
    ("written", "amount"),
    [("0,20", "0.20"), ("0.20", "0.20"), ("12", "12"), ("0,125", "0.125"), (" 3,5 ", "3.5")],
)
def test_a_price_takes_comma_and_point(written: str, amount: str) -> None:
    assert AmountField(decimal_places=6, max_digits=12).clean(written) == Decimal(amount)


@pytest.mark.parametrize("written", ["1,234", "1.234,5", "1,234.5", "1,2,3", "free"])
def test_a_price_that_reads_in_two_ways_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        AmountField(decimal_places=6, max_digits=12).clean(written)
