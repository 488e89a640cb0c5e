"""Joining by a link, as a browser sends the form: with an origin, which is checked."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from portal.accounts import invitations
from portal.accounts.models import Project, Role
from tests.portal.people import make_person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "long-enough-for-nora"


def test_somebody_new_joins_and_later_sets_a_new_password(page: Page) -> None:
    alice = make_person("alice", Role.ADMIN)
    project = Project.objects.get()
    _invitation, token = invitations.create(project, Role.ENGINEER, by=alice)
    page.goto(f"/accounts/invitation/{token}/")
    page.get_by_label("Name").fill("nora")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Make my account and join").click()
    expect(page.get_by_text("You are now a member of Claims assistant.")).to_be_visible()
    nora = project.memberships.get(user__username="nora").user
    _invitation, token = invitations.password_link(project, nora, by=alice)
    page.context.clear_cookies()
    page.goto(f"/accounts/invitation/{token}/")
    page.get_by_label("New password", exact=True).fill(f"{PASSWORD}-2")
    page.get_by_label("The same again").fill(f"{PASSWORD}-2")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("The new password is set.")).to_be_visible()
