"""Signing in through a real OpenID provider (oidc-provider-mock, over HTTP)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.urls import reverse
from oidc_provider_mock import User as Claims
from oidc_provider_mock import run_server_in_thread

from portal.accounts import invitations
from portal.accounts.models import AuditEntry, Membership, Project, Role, User

pytestmark = pytest.mark.django_db
EMAIL = "nora@example.org"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    people = [
        Claims(
            sub="nora",
            claims={"email": EMAIL, "email_verified": True, "preferred_username": "nora"},
        ),
        Claims(sub="unverified", claims={"email": EMAIL, "email_verified": False}),
        Claims(sub="silent", claims={"email": EMAIL}),
    ]
    with run_server_in_thread(user_claims=people) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture(autouse=True)
def configured(settings: Any, provider: str) -> None:
    settings.OIDC_NAME = "Example login"
    settings.OUTBOUND_ALLOW = ["localhost"]
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [{
                "provider_id": "oidc", "name": "Example login", "client_id": "portal",
                "secret": "CANARY-secret", "settings": {"server_url": provider},
            }],
        }
    }  # fmt: skip


def sign_in(client: Client, sub: str, page: str = "/") -> Any:
    """What the portal answers to a browser that went to the provider and back."""
    onward = client.post(reverse("accounts:oidc"), {"next": page})
    assert onward.status_code == 200
    address = unescape(re.search(r'content="0; url=([^"]+)"', onward.text)[1])
    answer = httpx.post(address, data={"sub": sub})
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["Location"])
    assert back.path == "/accounts/oidc/callback/"
    return client.get(f"{back.path}?{back.query}")


def test_the_button_is_there_only_with_a_provider(client: Client, settings: Any) -> None:
    assert "Sign in with Example login" in client.get(reverse("accounts:login")).text
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": []}}
    assert "Sign in with" not in client.get(reverse("accounts:login")).text


def test_a_verified_address_opens_the_account_that_has_it(client: Client, erik: User) -> None:
    User.objects.filter(pk=erik.pk).update(email=EMAIL.upper())
    assert sign_in(client, "nora", "/runs/")["Location"] == "/runs/"
    assert client.get("/").context["user"] == erik
    assert SocialAccount.objects.get().user == erik
    entry = AuditEntry.objects.get(action="person.sign_in")
    assert entry.actor == erik and entry.details == {"through": "OpenID Connect"}
    # The next time the account is known by the provider's own name for it.
    User.objects.filter(pk=erik.pk).update(email="")
    again = Client()
    assert sign_in(again, "nora").status_code == 302
    assert again.get("/").context["user"] == erik


@pytest.mark.parametrize("sub", ["unverified", "silent"])
def test_an_address_that_nobody_has_verified_opens_nothing(
    client: Client, erik: User, sub: str
) -> None:
    User.objects.filter(pk=erik.pk).update(email=EMAIL)
    page = sign_in(client, sub)
    assert page.status_code == 403 and "there is no account for you here" in page.text
    assert client.get("/").status_code == 302
    assert not SocialAccount.objects.exists()


def test_an_address_of_two_accounts_opens_neither(client: Client, erik: User, vera: User) -> None:
    User.objects.update(email=EMAIL)
    assert sign_in(client, "nora").status_code == 403


def test_an_account_that_is_switched_off_stays_off(client: Client, erik: User) -> None:
    User.objects.filter(pk=erik.pk).update(email=EMAIL, is_active=False)
    assert "switched off" in sign_in(client, "nora").text
    assert client.get("/").status_code == 302


def test_whom_nobody_invited_stays_outside(client: Client, project: Project) -> None:
    assert sign_in(client, "nora").status_code == 403
    assert not User.objects.exists()


def test_a_default_role_lets_everybody_in(client: Client, project: Project, settings: Any) -> None:
    settings.OIDC_DEFAULT_ROLE = "viewer"
    User.objects.create_user("Nora")
    assert sign_in(client, "nora").status_code == 302
    nora = client.get("/").context["user"]
    assert (nora.username, nora.email, nora.has_usable_password()) == ("nora-2", EMAIL, False)
    assert Membership.objects.get(user=nora).role == Role.VIEWER
    # She has no password here, and her address is not hers to change.
    assert client.get(reverse("accounts:password")).status_code == 404
    client.post(reverse("accounts:settings"), {"username": "nora-2", "email": "x@example.org"})
    nora.refresh_from_db()
    assert nora.email == EMAIL


def test_an_invitation_by_address_or_link_lets_in(client: Client, project: Project) -> None:
    invitations.create(project, Role.ENGINEER, email=EMAIL, by=None)
    assert sign_in(client, "nora").status_code == 302
    assert Membership.objects.get().role == Role.ENGINEER
    _invitation, token = invitations.create(project, Role.RATER, by=None)
    other = Client()
    page = other.get(reverse("accounts:invitation", args=[token]), follow=True)
    assert "Join with Example login" in page.text
    assert sign_in(other, "silent").status_code == 302
    assert Membership.objects.get(role=Role.RATER).user.username == "person"


def test_somebody_elses_answer_is_not_taken(client: Client, erik: User) -> None:
    """Without the state that this browser was given, a code signs nobody in."""
    User.objects.filter(pk=erik.pk).update(email=EMAIL)
    page = client.get("/accounts/oidc/callback/?code=x&state=y")
    assert page.status_code == 403 and client.get("/").status_code == 302
    assert "You have stopped" not in page.text
    started = client.post(reverse("accounts:oidc"))
    state = re.search(r"state=(\w+)", started.text)[1]
    stopped = client.get(f"/accounts/oidc/callback/?error=access_denied&state={state}")
    assert "You have stopped signing in" in stopped.text


def test_it_asks_only_hosts_on_the_list(client: Client, settings: Any, caplog: Any) -> None:
    settings.OUTBOUND_ALLOW = ["elsewhere.example"]
    page = client.post(reverse("accounts:oidc"))
    assert page.status_code == 502 and "cannot be reached" in page.text
    assert "PORTAL_OUTBOUND_ALLOW" in caplog.text and "CANARY" not in caplog.text


def test_it_does_not_lead_to_other_sites(client: Client, erik: User) -> None:
    User.objects.filter(pk=erik.pk).update(email=EMAIL)
    assert sign_in(client, "nora", "https://elsewhere.example/")["Location"] == "/"
