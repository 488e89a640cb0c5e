"""Keys for machines: issued once, found by their hash, revoked."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from portal.accounts import audit
from portal.accounts.models import ApiKey, Project, Scope, User

START = "pst_"
LENGTH = 40  # letters and digits: 238 bits, so a plain hash is enough
PREFIX = len(START) + 4
USED_EVERY = timedelta(minutes=1)


@transaction.atomic
def issue(
    project: Project,
    name: str,
    scopes: Iterable[str],
    by: User | None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is kept nowhere: this is the one time to show it."""
    secret = START + "".join(
        secrets.choice(string.ascii_letters + string.digits) for _ in range(LENGTH)
    )
    key = ApiKey.objects.create(
        project=project,
        name=name,
        prefix=secret[:PREFIX],
        key_hash=digest(secret),
        scopes=[scope.value for scope in Scope if scope in set(scopes)],
        created_by=by,
        expires_at=expires_at,
    )
    audit.record(
        project, "api_key.issue", key, by=by,
        prefix=key.prefix, scopes=key.scopes, expires_at=_day(expires_at),
    )  # fmt: skip
    return key, secret


def find(secret: str) -> ApiKey | None:
    """The usable key with this secret, its project loaded; None for any other text.

    One hash and one look-up by it, whatever the text: how long it takes tells nothing.
    """
    key = (
        ApiKey.objects.usable()
        .select_related("project", "created_by")
        .filter(key_hash=digest(secret))
        .first()
    )
    if key:
        _used(key)
    return key


@transaction.atomic
def revoke(key: ApiKey, *, by: User | None) -> bool:
    """``key`` opens nothing from now on; False when it was revoked already."""
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        return False
    audit.record(key.project, "api_key.revoke", key, by=by, prefix=key.prefix)
    return True


def digest(secret: str) -> str:
    """What is kept of ``secret``, and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _day(moment: datetime | None) -> str | None:
    return moment and moment.date().isoformat()


def _used(key: ApiKey) -> None:
    """Remember the use, at most once a minute: reading must not become writing."""
    now = timezone.now()
    if key.last_used_at and key.last_used_at > now - USED_EVERY:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_EVERY)
    ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
    key.last_used_at = now
