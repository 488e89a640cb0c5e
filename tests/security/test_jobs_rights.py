"""A worker believes no message: it looks at the rows again when it begins."""

from __future__ import annotations

import pytest
from django.urls import reverse

from evals import candidates, runs
from evals.models import Candidate, Endpoint, Part, Probe, Sample
from evals.tasks import check_endpoint, execute_part
from portal.accounts.models import Project, User
from tests.evals.making import make_candidate, make_suite
from tests.evals.stub_server import StubServer
from tests.portal.people import signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def candidate(project: Project, stub: StubServer) -> Candidate:
    return make_candidate(project, base_url=stub.base_url)


@pytest.mark.parametrize("pk", [0, -1, 10**30, "1; DROP TABLE", None, {"pk": 1}, [1]])
def test_a_message_about_nothing_does_nothing(pk: object, stub: StubServer) -> None:
    for task in (execute_part, check_endpoint):
        try:
            task(pk)
        except (TypeError, ValueError, OverflowError):
            continue  # the task fails; nothing was claimed
    assert stub.counts()["requests"] == 0


def test_what_was_deleted_meanwhile_is_not_asked(candidate: Candidate, stub: StubServer) -> None:
    parts = runs.start(candidate, make_suite(candidate.project)).children()
    probe = candidates.check(candidate.endpoint)
    pks = [part.pk for part in parts]
    candidate.runs.all().delete()
    candidate.delete()
    stub.reset()
    for pk in pks:
        execute_part(pk)
    check_endpoint(probe.pk)
    assert stub.counts()["requests"] == 0
    assert not Part.objects.exists() and not Probe.objects.exists()


def test_what_was_cancelled_meanwhile_is_not_asked(candidate: Candidate, stub: StubServer) -> None:
    run = runs.start(candidate, make_suite(candidate.project))
    Part.objects.filter(run=run).update(cancel_requested=True)
    stub.reset()
    for part in run.children():
        execute_part(part.pk)
    assert stub.counts()["requests"] == 0


def test_an_address_that_is_no_longer_allowed_is_not_reached(
    candidate: Candidate, stub: StubServer, settings: object
) -> None:
    """The list of hosts is read when the job runs, not when somebody asked for it."""
    run = runs.start(candidate, make_suite(candidate.project))
    probe = candidates.check(candidate.endpoint)
    settings.OUTBOUND_ALLOW = ["192.0.2.0/24"]
    stub.reset()
    check_endpoint(probe.pk)
    for part in run.children():
        execute_part(part.pk)
    assert stub.counts()["requests"] == 0
    assert not Sample.objects.answered().exists()


def test_a_key_does_not_go_to_a_server_it_was_not_entered_for(
    project: Project, erik: User, vera: User, stub: StubServer
) -> None:
    key = "sk-CANARY-moved-0001"
    made = candidates.register(
        project, name="M", base_url="http://127.0.0.1:9/v1", served_model="stub", api_key=key
    )
    values = {"name": "M", "base_url": stub.base_url, "served_model": "stub",
              "concurrency": 1, "api_key": "•" * 8}  # fmt: skip
    edit = reverse("evals:candidate_edit", args=[made.pk])
    assert signed_in(vera).post(edit, values).status_code == 403
    check = reverse("evals:candidate_check", args=[made.pk])
    assert signed_in(vera).post(check).status_code == 403
    assert signed_in(erik).post(edit, values).status_code == 302
    assert Endpoint.objects.get().key_encrypted == ""
    stub.reset()
    check_endpoint(Probe.objects.latest("pk").pk)
    counts = stub.counts()
    assert counts["requests"] > 0
    assert not [given for given in counts["keys"] if key in given]
