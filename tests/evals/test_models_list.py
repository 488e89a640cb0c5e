"""The list of models: found by their facts, in the order asked for."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evals import candidates
from evals.models import Candidate, Probe
from evals.models.candidates import Checked
from portal.accounts.models import Project
from tests.evals.making import make_candidate, make_probe

pytestmark = pytest.mark.django_db


@pytest.fixture
def everyone(project: Project) -> list[Candidate]:
    return [
        make_candidate(
            project, "Alder", parameters=7.0, licence="MIT", quantisation="bf16", languages=["de"]
        ),
        make_candidate(
            project, "Rowan", parameters=24.0, licence="Apache-2.0", quantisation="fp8",
            languages=["de", "en"], can=("chat",),
        ),
        make_candidate(project, "Viking", can=None),
        make_candidate(project, "Birch", parameters=1.5, licence="MIT", can=()),
    ]  # fmt: skip


def names(client: Client, **query: Any) -> list[str]:
    page = client.get(reverse("evals:candidates"), query).context["page"]
    return [candidate.name for candidate in page.object_list]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["Alder", "Birch", "Rowan", "Viking"]),
        ({"q": "OWA"}, ["Rowan"]),
        ({"licence": "MIT"}, ["Alder", "Birch"]),
        ({"quantisation": "fp8"}, ["Rowan"]),
        ({"language": "de"}, ["Alder", "Rowan"]),
        ({"smallest": "7"}, ["Alder", "Rowan"]),
        ({"smallest": "1,5", "largest": "7"}, ["Alder", "Birch"]),
        ({"smallest": "many", "largest": "nan"}, ["Alder", "Birch", "Rowan", "Viking"]),
        ({"checked": "all"}, ["Alder"]),
        ({"checked": "short"}, ["Rowan"]),
        ({"checked": "not"}, ["Viking"]),
        ({"checked": "unusable"}, ["Birch"]),
        ({"sort": "size"}, ["Birch", "Alder", "Rowan", "Viking"]),
        ({"sort": "-size"}, ["Rowan", "Alder", "Birch", "Viking"]),
        ({"sort": "licence"}, ["Rowan", "Alder", "Birch", "Viking"]),
        ({"sort": "-model"}, ["Viking", "Rowan", "Birch", "Alder"]),
        ({"sort": "check"}, ["Alder", "Rowan", "Birch", "Viking"]),
        ({"sort": "nonsense", "page": "99"}, ["Alder", "Birch", "Rowan", "Viking"]),
    ],
)
def test_models_are_found_by_their_facts(
    as_erik: Client, everyone: list[Candidate], query: dict[str, str], expected: list[str]
) -> None:
    assert names(as_erik, **query) == expected


def test_a_filter_without_a_hit_says_so(as_erik: Client, everyone: list[Candidate]) -> None:
    text = as_erik.get(reverse("evals:candidates"), {"licence": "none such"}).text
    assert "No model found" in text and "<table" not in text


def test_the_list_is_a_part_for_scripts(as_erik: Client, everyone: list[Candidate]) -> None:
    part = as_erik.get(reverse("evals:candidates"), headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith('<section id="models"') and "<html" not in part


def test_a_list_reads_only_the_checks_that_count(project: Project) -> None:
    candidate = make_candidate(project)
    for _ in range(5):
        done = make_probe(candidate.endpoint)
    waiting = candidates.check(candidate.endpoint)
    found = Candidate.objects.for_list().get(pk=candidate.pk)
    assert set(found.endpoint.probes.all()) == {done, waiting}
    assert (found.endpoint.latest_probe, found.endpoint.verified) == (waiting, done)
    assert found.endpoint.checked == Checked.RUNNING
    Probe.objects.filter(pk=waiting.pk).update(state="failed")
    assert Candidate.objects.for_list().get().endpoint.checked == Checked.FAILED


def test_the_list_costs_the_same_however_many_checks(
    as_erik: Client, project: Project, everyone: list[Candidate]
) -> None:
    def cost() -> int:
        as_erik.get(reverse("evals:candidates"))
        with CaptureQueriesContext(connection) as counted:
            assert as_erik.get(reverse("evals:candidates")).status_code == 200
        return len(counted)

    few = cost()
    for number in range(60):
        make_probe(make_candidate(project, f"Model {number}").endpoint)
    assert cost() == few <= 10
