"""The page that shows what each server can do, from its last check."""

from __future__ import annotations

import csv

import pytest
from django.test import Client

from evals import candidates, llm, matrix
from evals.models import Probe
from portal.accounts.models import Project, User
from tests.evals.making import make_candidate
from tests.evals.stub_server import StubServer
from workers import jobs

pytestmark = pytest.mark.django_db
PAGE = "/models/servers/"


def checked(project: Project, stub: StubServer, name: str = "Alder") -> Probe:
    candidate = make_candidate(project, name, base_url=stub.base_url, can=None)
    probe = candidates.check(candidate.endpoint)
    progress = jobs.claim(Probe, probe.pk)
    assert progress
    jobs.perform(progress, candidates.run_check)
    return Probe.objects.get(pk=probe.pk)


def test_each_cell_leads_to_the_evidence_of_the_check(
    client: Client, project: Project, vera: User, stub: StubServer
) -> None:
    probe = checked(project, stub)
    client.force_login(vera)
    page = client.get(PAGE).content.decode()
    link = f"{probe.endpoint.candidate.get_absolute_url()}#finding-echo_logprobs"
    assert link in page
    assert "stub stub 1.0" in page
    evidence = client.get(probe.endpoint.candidate.get_absolute_url()).content.decode()
    assert 'id="finding-echo_logprobs"' in evidence


def test_what_is_not_known_is_neither_yes_nor_no(project: Project) -> None:
    make_candidate(project, "Never checked", can=None)
    (row,) = matrix.rows(project)
    assert row.probe is None
    assert row.cells == [None] * len(matrix.COLUMNS)
    assert {record["chat"] for record in matrix.records([row])} == {None}


def test_a_check_with_other_questions_is_marked(project: Project) -> None:
    candidate = make_candidate(project)
    Probe.objects.update(probes_version=llm.PROBE_VERSION - 1)
    (row,) = matrix.rows(project)
    assert (row.candidate, row.old) == (candidate, True)


def test_the_table_can_be_taken_away(
    client: Client, project: Project, vera: User, stub: StubServer
) -> None:
    checked(project, stub)
    client.force_login(vera)
    text = b"".join(client.get(f"{PAGE}?format=csv").streaming_content).decode("utf-8-sig")
    (row,) = csv.DictReader(text.splitlines())
    assert row["model"] == "Alder"
    assert row["echo_logprobs"].lower() == "true"
    assert row["native_logprobs"] == ""


def test_other_projects_are_not_shown(client: Client, project: Project, vera: User) -> None:
    make_candidate(Project.objects.create(name="Elsewhere"), "Secret model")
    client.force_login(vera)
    assert "Secret model" not in client.get(PAGE).content.decode()


def test_many_servers_cost_no_more_queries(
    client: Client, project: Project, vera: User, django_assert_max_num_queries: object
) -> None:
    client.force_login(vera)
    for number in range(5):
        make_candidate(project, f"Model {number}")
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        client.get(PAGE)
