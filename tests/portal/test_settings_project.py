"""Members, roles and the name of a project, as its administrators change them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from portal.accounts import invitations, members
from portal.accounts.models import AuditEntry, Invitation, Membership, Project, Role, User
from tests.portal.racing import race


@pytest.fixture
def as_alice(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def of(user: User) -> Membership:
    return Membership.objects.get(user=user)


def post(client: Client, address: str, *args: object, **form: Any) -> Any:
    return client.post(reverse(f"accounts:{address}", args=args), form, follow=True)


@pytest.mark.django_db
def test_a_role_is_changed_and_works_from_the_next_page_on(as_alice: Client, erik: User) -> None:
    as_erik = Client()
    as_erik.force_login(erik)
    assert as_erik.get("/runs/").status_code == 200
    post(as_alice, "member_role", of(erik).pk, role=Role.RATER)
    assert as_erik.get("/runs/").status_code == 403
    entry = AuditEntry.objects.get(action="member.change_role")
    assert (entry.actor_name, entry.target_name) == ("alice", "erik")
    assert entry.details == {"role": "rater", "role_before": "engineer"}
    post(as_alice, "member_role", of(erik).pk, role="emperor")
    assert of(erik).role == Role.RATER


@pytest.mark.django_db
def test_a_member_is_removed_with_their_links(
    as_alice: Client, project: Project, alice: User, erik: User
) -> None:
    invitations.password_link(project, erik, by=alice)
    post(as_alice, "member_remove", of(erik).pk)
    assert not Membership.objects.filter(user=erik).exists()
    assert not Invitation.objects.filter(user=erik).exists()
    assert AuditEntry.objects.filter(action="member.remove", target_name="erik").exists()


@pytest.mark.django_db
def test_the_last_administrator_stays(as_alice: Client, project: Project, alice: User) -> None:
    page = post(as_alice, "member_remove", of(alice).pk)
    assert "A project needs an administrator" in page.text
    assert (
        "A project needs an administrator"
        in post(as_alice, "member_role", of(alice).pk, role=Role.VIEWER).text
    )
    # Somebody who cannot sign in any more is no administrator.
    gone = User.objects.create_user("gone", is_active=False)
    Membership.objects.create(project=project, user=gone, role=Role.ADMIN)
    post(as_alice, "member_remove", of(alice).pk)
    assert of(alice).role == Role.ADMIN
    User.objects.filter(pk=gone.pk).update(is_active=True)
    post(as_alice, "member_role", of(alice).pk, role=Role.VIEWER)
    assert of(alice).role == Role.VIEWER


@pytest.mark.django_db(transaction=True)
def test_two_administrators_who_remove_each_other_leave_one(project: Project, alice: User) -> None:
    adam = User.objects.create_user("adam")
    Membership.objects.create(project=project, user=adam, role=Role.ADMIN)

    def remove(membership: Membership, by: User) -> str:
        try:
            members.remove(membership, by=by)
        except members.LastAdministrator:
            return "refused"
        return "removed"

    outcomes = race(partial(remove, of(adam), alice), partial(remove, of(alice), adam))
    assert outcomes == ["refused", "removed"]
    assert project.memberships.filter(role=Role.ADMIN).count() == 1


@pytest.mark.django_db
def test_a_link_is_shown_once(as_alice: Client, project: Project) -> None:
    page = post(as_alice, "invite", role=Role.RATER, email="rita@example.org")
    address = page.context["address"]
    token = address.rstrip("/").rpartition("/")[2]
    assert address in page.text and "no-store" in page["Cache-Control"]
    assert "Role: Rater. For rita@example.org." in page.text
    again = as_alice.get(reverse("accounts:link"), follow=True)
    assert token not in again.text and Invitation.objects.count() == 1
    assert invitations.find(token).role == Role.RATER
    listed = as_alice.get(reverse("accounts:project_settings")).text
    assert "rita@example.org" in listed and token not in listed
    post(as_alice, "invitation_revoke", Invitation.objects.get().pk)
    assert invitations.find(token).state == "revoked"
    assert post(as_alice, "invite", role="emperor").status_code == 422


@pytest.mark.django_db
def test_a_forgotten_password_gets_a_link(as_alice: Client, erik: User) -> None:
    page = post(as_alice, "member_password", of(erik).pk)
    assert "Link for a new password of erik" in page.text
    assert Invitation.objects.get().user == erik
    User.objects.filter(pk=erik.pk).update(is_superuser=True)
    assert "manage.py person" in post(as_alice, "member_password", of(erik).pk).text
    assert Invitation.objects.count() == 1


@pytest.mark.django_db
def test_ids_of_another_project_change_nothing(as_alice: Client, mallory: User) -> None:
    theirs = of(mallory)
    invitation, _token = invitations.create(theirs.project, Role.VIEWER, by=None)
    for name, pk, form in [
        ("member_role", theirs.pk, {"role": "viewer"}), ("member_remove", theirs.pk, {}),
        ("member_password", theirs.pk, {}), ("invitation_revoke", invitation.pk, {}),
    ]:  # fmt: skip
        assert post(as_alice, name, pk, **form).status_code == 404
    assert of(mallory).role == Role.ENGINEER
    assert Invitation.objects.get().state == "open"


@pytest.mark.django_db
def test_the_project_is_renamed_but_not_to_a_name_that_is_taken(
    as_alice: Client, project: Project, mallory: User
) -> None:
    page = post(as_alice, "project_settings", name="Elsewhere")
    assert page.status_code == 422 and "exists already" in page.text
    post(as_alice, "project_settings", name="Claims 2")
    project.refresh_from_db()
    assert project.name == "Claims 2"
    assert AuditEntry.objects.get().details == {"name_before": "Claims assistant"}


@pytest.mark.django_db
def test_who_runs_the_portal_makes_further_projects(as_alice: Client, alice: User) -> None:
    assert post(as_alice, "project_new", name="Second").status_code == 403
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    post(as_alice, "project_new", name="Second")
    assert Membership.objects.get(project__name="Second").role == Role.ADMIN
    assert "<h1>Second</h1>" in as_alice.get("/").text


@pytest.mark.django_db
def test_the_page_takes_the_same_queries_for_many_members(
    as_alice: Client, project: Project, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        person = User.objects.create_user(f"p{number}")
        Membership.objects.create(project=project, user=person)
        invitations.create(project, Role.VIEWER, by=person)
    with django_assert_max_num_queries(8):
        assert as_alice.get(reverse("accounts:project_settings")).status_code == 200
