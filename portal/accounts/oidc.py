"""Signing in through an OpenID provider, when the settings name one.

django-allauth speaks the protocol; who may come in is decided here. Its own pages (sign-up,
password, e-mail, connections) have no address. Nobody comes in by being known to the provider:
there must be an account with the verified e-mail, an invitation, or a default role.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError, AuthProcess
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from requests.adapters import BaseAdapter

from portal.accounts import audit, invitations
from portal.accounts.models import Invitation, Membership, User
from portal.accounts.people import default_project
from portal.outbound import OutboundPolicy, OutboundRefused

PROVIDER = "oidc"
INVITATION_KEY = "invitation"  # in the session: the link that was opened in this browser
SECONDS = 20
VERIFIED = (True, "true")  # some providers write the word
log = logging.getLogger(__name__)


def configured() -> bool:
    return bool(settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"])


def begin(request: HttpRequest, page: str) -> HttpResponse:
    """Send the browser to the provider; ``page`` is where it goes on afterwards."""
    provider = Adapter(request).get_provider(request, PROVIDER)
    try:
        answer = provider.redirect(request, AuthProcess.LOGIN, next_url=page)
    except (requests.RequestException, KeyError, ValueError) as error:
        log.warning("The OpenID provider cannot be used: %s", _told(error))
        return problem(request, "unreachable", status=502)
    if "Location" not in answer:
        return answer
    # Not a redirect: our policy lets no form lead to another site, and should not.
    context = {"address": answer["Location"], "name": settings.OIDC_NAME}
    return render(request, "accounts/oidc_begin.html", context)


def problem(request: HttpRequest, reason: str, status: int = 403) -> HttpResponse:
    """The page that says why nobody was signed in and what to do."""
    return render(request, "accounts/oidc_problem.html", {"reason": reason}, status=status)


class NoAccounts(DefaultAccountAdapter):
    """allauth makes no accounts and tells nothing."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        pass

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        pass


class Adapter(DefaultSocialAccountAdapter):
    """Who comes in, and over which connection the provider is asked."""

    def get_requests_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, GuardedTransport())
        return session

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find or make the account behind ``sociallogin``, or answer with a page that says no."""
        person = sociallogin.user if sociallogin.is_existing else None
        if person is None:
            with transaction.atomic():
                person = _person(request, _claims(sociallogin))
                if person is not None:
                    sociallogin.connect(request, person)
        if person is None or not person.is_active:
            raise ImmediateHttpResponse(problem(request, "unknown" if person is None else "off"))
        audit.record_person("person.sign_in", person, through="OpenID Connect")

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None,
        extra_context: Any = None,
    ) -> None:  # fmt: skip
        log.warning("Signing in through the OpenID provider failed: %s", _told(exception) or error)
        reason = "cancelled" if error == AuthError.CANCELLED else "failed"
        raise ImmediateHttpResponse(problem(request, reason))


def _told(error: object) -> str:
    """An error for the log: our own words in full, of others only the kind (no tokens)."""
    for each in (error, getattr(error, "__cause__", None)):
        if isinstance(each, OutboundRefused):
            return str(each)
    return type(error).__name__ if error else ""


def _claims(sociallogin: SocialLogin) -> dict[str, Any]:
    data = sociallogin.account.extra_data
    return data.get("userinfo") or data.get("id_token") or {}


def _person(request: HttpRequest, claims: dict[str, Any]) -> User | None:
    """The one account with the verified e-mail; else a new one when something lets it in."""
    email = str(claims.get("email") or "") if claims.get("email_verified") in VERIFIED else ""
    if email:
        known = list(User.objects.filter(email__iexact=email)[:2])
        if known:
            return known[0] if len(known) == 1 else None
    invitation = _invitation(request, email)
    role = settings.OIDC_DEFAULT_ROLE
    if not invitation and not role:
        return None
    person = User.objects.create_user(_free_name(claims, email), email=email)
    if not invitation:
        project = default_project()
        Membership.objects.create(project=project, user=person, role=role)
        audit.record(project, "member.join", person, by=person, role=role)
        return person
    try:
        invitations.join(invitation, person)
    except invitations.NotOpen:  # somebody else was faster with the link
        person.delete()
        return None
    return person


def _invitation(request: HttpRequest, email: str) -> Invitation | None:
    """The open invitation of this browser, or the one that names the verified e-mail."""
    rows = Invitation.objects.open().filter(user=None).select_related("project")
    opened = rows.filter(pk=request.session.get(INVITATION_KEY)).first()
    return opened or (rows.filter(email__iexact=email).first() if email else None)


def _free_name(claims: dict[str, Any], email: str) -> str:
    """The name that the provider gives, with a number when it is taken."""
    wanted = str(claims.get("preferred_username") or email.partition("@")[0] or "person")
    kept = "".join(c for c in wanted if c.isalnum() or c in "@.+-_")[:120] or "person"
    name, number = kept, 1
    while name == audit.COMMAND or User.objects.filter(username__iexact=name).exists():
        number += 1
        name = f"{kept}-{number}"
    return name


class GuardedTransport(BaseAdapter):
    """Carries out requests of the ``requests`` library through ``portal.outbound``."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        policy = OutboundPolicy(
            allow=tuple(settings.OUTBOUND_ALLOW), max_bytes=settings.OUTBOUND_MAX_BYTES
        )
        try:
            return _send(policy, request)
        except (OutboundRefused, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise requests.ConnectionError(
                urlsplit(request.url).hostname, request=request
            ) from error

    def close(self) -> None:
        """Each request has a connection of its own."""


@async_to_sync
async def _send(policy: OutboundPolicy, request: requests.PreparedRequest) -> requests.Response:
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with (
        policy.session(timeout=timeout) as session,
        session.request(
            request.method, request.url, data=request.body, allow_redirects=False,
            # Bytes come unpacked, and of any size up to the policy's.
            headers={k: v for k, v in request.headers.items() if k.lower() != "accept-encoding"},
        ) as answer,
    ):  # fmt: skip
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, request.url, request
        response.headers.update(answer.headers)
        response.encoding = answer.charset
        response._content = await answer.read()
        return response
