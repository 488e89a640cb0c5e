"""``Idempotency-Key``: a request that is sent again is answered again, and done once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.models import IdempotencyKey, Project
from portal.api.problems import Problem, invalid

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
WORKING = timedelta(minutes=2)  # whoever takes longer has died
FORM = re.compile(r"[\x21-\x7e]{1,200}")


def once(
    request: HttpRequest, project: Project, answer: Callable[[], HttpResponse]
) -> HttpResponse:
    """What ``answer()`` gives; for a repeat what it gave the first time.

    The change and its stored answer are one transaction: after a crash there are both or
    neither. Only success is kept, so that a refusal can be put right and sent again.
    """
    key = request.headers[HEADER]
    if not FORM.fullmatch(key):
        raise invalid(HEADER, _("Write 1 to 200 plain signs without blanks, such as a UUID."))
    digest = _digest(request)
    mine = _reserve(project, key, digest)
    if mine is None:
        return _again(project, key, digest)
    try:
        with transaction.atomic():
            response = answer()
            kept = response.status_code < 300
            if kept:
                stored = {"text": response.content.decode(), "location": response.get("Location")}
                IdempotencyKey.objects.filter(pk=mine.pk).update(
                    status=response.status_code, body=stored
                )
            else:
                transaction.set_rollback(True)
    except BaseException:
        mine.delete()
        raise
    if not kept:
        mine.delete()
    return response


def _reserve(project: Project, key: str, digest: str) -> IdempotencyKey | None:
    """The row that makes this request the first; None when there is one."""
    now = timezone.now()
    mine = IdempotencyKey.objects.filter(project=project)
    mine.filter(created_at__lt=now - KEPT).delete()
    mine.filter(key=key, status=None, created_at__lt=now - WORKING).delete()
    try:
        with transaction.atomic():
            return mine.create(project=project, key=key, request_hash=digest)
    except IntegrityError:
        return None


def _again(project: Project, key: str, digest: str) -> HttpResponse:
    first = IdempotencyKey.objects.filter(project=project, key=key).first()
    if first and first.request_hash != digest:
        raise invalid(HEADER, _("It was sent with another request before. Make a new one."), key)
    if first is None or first.status is None:
        said = _("The first request with this Idempotency-Key is still being worked on.")
        raise Problem(409, said, headers={"Retry-After": "1"})
    answer = HttpResponse(
        first.body["text"], status=first.status, content_type="application/json; charset=utf-8"
    )
    answer["Idempotency-Replayed"] = "true"
    if first.body["location"]:
        answer["Location"] = first.body["location"]
    return answer


def _digest(request: HttpRequest) -> str:
    """Of method, path and body; equal JSON in another layout is the same request."""
    body = request.body
    with contextlib.suppress(ValueError, RecursionError):
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    parts = [request.method.encode(), request.get_full_path().encode(), body]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
