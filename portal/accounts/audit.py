"""Write down who did what to which object; read by the project's administrators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db.models import Model

from portal.accounts.models import ApiKey, AuditEntry, Project, User

COMMAND = "command"  # nobody is signed in on a shell
HIDDEN = "•••"
# Words of a detail's name that make its value a secret; "tokens" counts, "token" is one.
SECRET = re.compile(r"(^|_)(secret|key|password|passwd|token|authorization|cookie)($|_)", re.I)
LONGEST = 300

_acting: ContextVar[str] = ContextVar("acting", default="")


@contextmanager
def acting_as(key: ApiKey) -> Iterator[None]:
    """Within: what is recorded was done by ``key``, not by a person."""
    with acting_for(f"{key.name} ({key.prefix}…)"):
        yield


@contextmanager
def acting_for(name: str) -> Iterator[None]:
    """Within: what is recorded was done by ``name``, such as a schedule, not by a person."""
    reset = _acting.set(name)
    try:
        yield
    finally:
        _acting.reset(reset)


def record(
    project: Project | None,
    action: str,
    target: Model | None = None,
    *,
    by: User | None = None,
    **details: Any,
) -> AuditEntry:
    """A new entry: ``record(project, "candidate.register", candidate, by=user, host="gpu01")``.

    Call it inside the transaction of the change, so that both happen or neither. The actor
    is the key of the request or the schedule, else ``by``, else a command of the shell.
    Details must be small and fit for JSON; values named like a secret are blanked.
    """
    return AuditEntry.objects.create(
        project=project,
        actor=by,
        actor_name=_actor(by),
        action=action,
        target_type=target._meta.label_lower if target else "",
        target_id=str(target.pk) if target else "",
        target_name=_short(str(target)) if target else "",
        details={name: _harmless(name, value) for name, value in details.items()},
    )


def record_person(action: str, person: User, **details: Any) -> None:
    """An entry about ``person`` themselves, such as a sign-in, in each of their projects."""
    for project in Project.objects.of(person):
        record(project, action, person, by=person, **details)


def _actor(by: User | None) -> str:
    if name := _acting.get():
        return name
    return by.get_username() if by else COMMAND


def _harmless(name: str, value: Any) -> Any:
    """``value`` as JSON takes it, without secrets, endless texts or control characters."""
    if SECRET.search(name):
        return HIDDEN
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, dict):
        return {str(key): _harmless(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_harmless(name, inner) for inner in list(value)[:50]]
    return _short(str(value))


def _short(text: str) -> str:
    """NUL is no text for PostgreSQL."""
    return text.replace("\0", "")[:LONGEST]
