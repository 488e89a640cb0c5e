"""Who asks: a key for machines, or a signed-in person; in which project, and what they may."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja.utils import check_csrf

from portal.accounts import audit, keys
from portal.accounts.models import ApiKey, Project, Role, Scope, User
from portal.accounts.permissions import roles_at_least
from portal.api.problems import SENTENCES, Problem

log = logging.getLogger(__name__)
WINDOW = 60  # seconds in which PORTAL_API_RATE requests are answered
SAFE = {"GET", "HEAD", "OPTIONS"}
# What a person's role must be for what a key needs a scope for.
ROLES = {Scope.READ: Role.VIEWER, Scope.RUN: Role.ENGINEER, Scope.INGEST: Role.ENGINEER}


@dataclass(frozen=True)
class Caller:
    """``key`` or ``user`` is set, never both."""

    project: Project
    key: ApiKey | None = None
    user: User | None = None
    role: str = ""

    @property
    def name(self) -> str:
        return self.key.name if self.key else self.user.get_username()  # type: ignore[union-attr]

    @property
    def scopes(self) -> list[str]:
        return [scope.value for scope in Scope if self.may(scope)]

    def may(self, scope: Scope) -> bool:
        return self.key.allows(scope) if self.key else self.role in roles_at_least(ROLES[scope])

    def demand(self, scope: Scope) -> None:
        """Raise Problem unless the caller may do what needs ``scope``."""
        if self.may(scope):
            return
        if self.key:
            said = _("The key “%(name)s” lacks the scope “%(scope)s”. Use a key that has it.")
            raise Problem(403, said % {"name": self.key.name, "scope": scope.value})
        said = _("This needs the role “%(role)s” in this project.")
        raise Problem(403, said % {"role": ROLES[scope].label})

    def acting(self) -> AbstractContextManager[Any]:
        """Within: the audit log names the key."""
        return audit.acting_as(self.key) if self.key else nullcontext()

    def count(self) -> None:
        """Count this request. Raises Problem when there were too many within a minute."""
        now = time()
        who = f"key-{self.key.pk}" if self.key else f"user-{self.user.pk}"  # type: ignore[union-attr]
        slot = f"api-rate-{who}-{int(now // WINDOW)}"
        try:
            cache.add(slot, 0, timeout=WINDOW)
            asked = cache.incr(slot)
        except Exception as error:  # dropped in between, or the cache is away: do answer
            log.warning("Requests of %s are not counted: %s", who, error)
            return
        if asked > settings.API_RATE:
            wait = WINDOW - int(now % WINDOW)
            said = _("More than %(count)d requests within a minute. Try again in %(wait)d s.")
            raise Problem(
                429,
                said % {"count": settings.API_RATE, "wait": wait},
                headers={"Retry-After": str(wait)},
            )


def identify(request: HttpRequest) -> Caller:
    """Who asks. A key goes before a session; a wrong key is never excused by one."""
    header = request.headers.get("Authorization")
    if header is not None:
        kind, _space, secret = header.partition(" ")
        key = keys.find(secret.strip()) if kind.lower() == "bearer" and secret.strip() else None
        if key is None:
            raise nobody(_("This key is unknown, expired or revoked."))
        return Caller(key.project, key=key)
    if not request.user.is_authenticated:
        raise nobody(str(SENTENCES[401]))
    if request.project is None:
        raise Problem(403, _("You are a member of no project."))
    if request.method not in SAFE and check_csrf(request):
        raise Problem(403, _("Send the token of the cookie “csrftoken” as “X-CSRFToken”."))
    return Caller(request.project, user=request.user, role=request.role)


def nobody(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="Prüfstand API"'})


class Bearer:
    """A key in the header ``Authorization``. The guard has identified the caller before."""

    openapi_security_schema = {
        "type": "http",
        "scheme": "bearer",
        "description": "A key for machines. Administrators issue keys; each has scopes.",
    }

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(self, request: HttpRequest) -> Caller | None:
        return getattr(request, "caller", None)


class Session(Bearer):
    """The session of a signed-in person."""

    openapi_security_schema = {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.SESSION_COOKIE_NAME,
        "description": (
            "The session of a signed-in person. Viewers may read, engineers may run. "
            "Changes need the header X-CSRFToken, too."
        ),
    }


def needs(scope: Scope) -> list[Bearer]:
    """The ``auth`` of an operation."""
    return [Bearer(scope), Session(scope)]


READ, RUN = needs(Scope.READ), needs(Scope.RUN)
