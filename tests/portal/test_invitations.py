"""Links to join or to set a new password: once, for seven days, never written down."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts import invitations
from portal.accounts.models import AuditEntry, Invitation, Membership, Project, Role, User
from portal.accounts.views.invitations import PER_MINUTE
from tests.portal.racing import race

PASSWORD = "correct-horse-battery"


def opened(client: Client, token: str) -> Any:
    """The page that a link leads to."""
    return client.get(reverse("accounts:invitation", args=[token]), follow=True)


def fill(client: Client, name: str, password: str = PASSWORD) -> Any:
    form = {"username": name, "password1": password, "password2": password}
    return client.post(reverse("accounts:join"), form)


@pytest.fixture
def token(project: Project, alice: User) -> str:
    return invitations.create(project, Role.ENGINEER, email="nora@example.org", by=alice)[1]


@pytest.mark.django_db
def test_somebody_new_chooses_name_and_password_and_is_in(client: Client, token: str) -> None:
    page = opened(client, token)
    assert "Claims assistant" in page.text and "alice invites you" in page.text
    assert fill(client, "nora").headers["Location"] == "/"
    nora = User.objects.get(username="nora")
    assert nora.check_password(PASSWORD) and nora.email == "nora@example.org"
    assert Membership.objects.get(user=nora).role == Role.ENGINEER
    assert client.get("/").status_code == 200
    actions = AuditEntry.objects.filter(actor=nora).values_list("action", flat=True)
    assert set(actions) == {"member.join", "person.sign_in"}


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["short-1", "1234567890123", "qwertyuiop", "nora-nora-nora"])
def test_weak_passwords_are_refused(client: Client, token: str, password: str) -> None:
    opened(client, token)
    assert fill(client, "nora-nora-nora", password).status_code == 422
    assert not User.objects.filter(username__startswith="nora").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["alice", "ALICE", "command", "a b", ""])
def test_names_are_used_once(client: Client, token: str, name: str) -> None:
    opened(client, token)
    assert fill(client, name).status_code == 422
    assert Invitation.objects.get().state == "open"


@pytest.mark.django_db
def test_somebody_with_an_account_joins_by_one_button(token: str, mallory: User) -> None:
    client = Client()
    client.force_login(mallory)
    assert "Join as mallory" in opened(client, token).text
    assert Membership.objects.filter(user=mallory).count() == 1  # looking is not joining
    client.post(reverse("accounts:join"))
    assert Membership.objects.get(user=mallory, project__name="Claims assistant").role == "engineer"
    assert "<h1>Claims assistant</h1>" in client.get("/").text


@pytest.mark.django_db
def test_a_member_keeps_the_role_and_the_link_its_use(token: str, vera: User) -> None:
    client = Client()
    client.force_login(vera)
    assert "You are a member of Claims assistant already." in opened(client, token).text
    assert Membership.objects.get(user=vera).role == Role.VIEWER
    assert Invitation.objects.get().state == "open"


@pytest.mark.django_db
def test_signing_in_first_leads_back_to_the_invitation(token: str, mallory: User) -> None:
    client = Client()
    assert "/accounts/login/?next=/accounts/invitation/" in opened(client, token).text
    form = {"username": "mallory", "password": "mallory-has-a-long-password"}
    page = client.post("/accounts/login/?next=/accounts/invitation/", form, follow=True)
    assert "Join as mallory" in page.text


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["used", "revoked", "expired", "unknown"])
def test_a_link_that_is_over_says_so_kindly(client: Client, token: str, state: str) -> None:
    now = timezone.now()
    changes = {
        "used": {"accepted_at": now}, "revoked": {"revoked_at": now},
        "expired": {"expires_at": now}, "unknown": {"token_hash": "x"},
    }  # fmt: skip
    Invitation.objects.update(**changes[state])
    page = opened(client, token)
    assert page.status_code == 410 and page.context["state"] == state
    assert fill(client, "nora").status_code == 410
    assert not User.objects.filter(username="nora").exists()


@pytest.mark.django_db
def test_what_is_taken_back_while_the_page_is_open_does_not_let_in(
    client: Client, token: str, alice: User
) -> None:
    opened(client, token)
    invitation = Invitation.objects.get()
    assert invitations.revoke(invitation, by=alice) is True
    assert fill(client, "nora").status_code == 410
    with pytest.raises(invitations.NotOpen):
        invitations.join(invitation, alice)


@pytest.mark.django_db
def test_it_lasts_seven_days(client: Client, token: str) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=6, hours=23)):
        assert opened(client, token).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=7, hours=1)):
        assert opened(client, token).status_code == 410


@pytest.mark.django_db
def test_the_secret_is_kept_and_logged_nowhere(
    client: Client, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    link = client.get(reverse("accounts:invitation", args=[token]))
    assert link.status_code == 302 and token not in link["Location"]
    assert link["Referrer-Policy"] == "same-origin" and "no-store" in link["Cache-Control"]
    page = client.get(link["Location"])
    assert page["Referrer-Policy"] == "same-origin" and token not in page.text
    opened(client, token[:-1] + "x")
    for _ in range(PER_MINUTE + 1):
        last = opened(client, token)
    assert last.status_code == 429
    sessions = str([session.get_decoded() for session in Session.objects.all()])
    stored = sessions + str(list(Invitation.objects.values()) + list(AuditEntry.objects.values()))
    assert token not in stored
    assert token[:-1] not in "\n".join(record.getMessage() for record in caplog.records)


@pytest.mark.django_db
def test_a_password_link_sets_a_new_one_and_ends_all_sessions(
    client: Client, project: Project, alice: User, erik: User
) -> None:
    elsewhere = Client()
    elsewhere.force_login(erik)
    _first, old = invitations.password_link(project, erik, by=alice)
    _second, token = invitations.password_link(project, erik, by=alice)
    assert opened(client, old).status_code == 410  # the newer link ends the older
    assert "For the account erik" in opened(client, token).text
    form = {"new_password1": PASSWORD, "new_password2": PASSWORD}
    assert client.post(reverse("accounts:join"), form)["Location"] == "/accounts/login/"
    erik.refresh_from_db()
    assert erik.check_password(PASSWORD)
    assert elsewhere.get("/").status_code == 302
    assert opened(client, token).status_code == 410
    assert Membership.objects.get(user=erik).role == Role.ENGINEER


@pytest.mark.django_db
def test_an_administrator_makes_no_way_into_other_projects(project: Project, alice: User) -> None:
    erik = User.objects.create_user("erik")
    elsewhere = Project.objects.create(name="Elsewhere")
    for each in (project, elsewhere):
        Membership.objects.create(project=each, user=erik, role=Role.VIEWER)
    with pytest.raises(invitations.CannotInvite, match="erik"):
        invitations.password_link(project, erik, by=alice)
    Membership.objects.create(project=elsewhere, user=alice, role=Role.ADMIN)
    assert invitations.password_link(project, erik, by=alice)
    User.objects.filter(pk=erik.pk).update(is_superuser=True)
    erik.refresh_from_db()
    with pytest.raises(invitations.CannotInvite):
        invitations.password_link(project, erik, by=alice)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_accept_at_once_one_comes_in(project: Project, alice: User, token: str) -> None:
    invitation = Invitation.objects.get()
    people = [User.objects.create_user(name) for name in ("nora", "otto")]

    def accept(person: User) -> str:
        try:
            invitations.join(invitation, person)
        except invitations.NotOpen:
            return "late"
        return "in"

    assert race(*(partial(accept, person) for person in people)) == ["in", "late"]
    assert Membership.objects.filter(user__in=people).count() == 1
