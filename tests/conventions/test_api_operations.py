"""Every operation of the API × every kind of key and person: who gets in, who does not.

An operation without an entry in ``OPERATIONS`` fails the first test.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import pytest
from django.core.cache import cache
from django.test import Client

from evals import packs
from portal.accounts import keys
from portal.accounts.models import Membership, Project, Role, Scope, User
from portal.api.problems import MEDIA_TYPE
from portal.api.site import MOUNT, operations
from tests.conventions.things import Things, make_things
from tests.evals.making import make_suite


class Entry(NamedTuple):
    """The scope it takes, its body, and whether it names a thing of the project."""

    scope: Scope
    owned: bool = False
    body: Callable[[Things], Any] | None = None
    query: str = ""


def read(owned: bool = False, query: str = "") -> Entry:
    return Entry(Scope.READ, owned, query=query)


def run(owned: bool = False, body: Callable[[Things], Any] | None = None) -> Entry:
    return Entry(Scope.RUN, owned, body)


def own_pack() -> bytes:
    """A pack that this portal has signed."""
    with TemporaryFile() as out:
        source, _made = Project.objects.get_or_create(name="Source")
        packs.export(make_suite(source), out)
        out.seek(0)
        return out.read()


ENDPOINT = {"base_url": "http://127.0.0.1:9/v1", "served_model": "new"}
IMPORT = {
    "name": "board.csv", "content": "model,Elo\nA,1200\n", "source": "A board",
    "dated": "2026-01-02",
}  # fmt: skip
OPERATIONS = {
    "GET me": read(),
    "GET openapi.json": read(),
    "GET candidates": read(),
    "POST candidates": run(body=lambda things: ENDPOINT | {"name": "New"}),
    "GET candidates/{candidate}": read(owned=True),
    "PATCH candidates/{candidate}": run(True, lambda things: {"notes": "changed"}),
    "GET candidates/{candidate}/endpoint": read(owned=True),
    "PUT candidates/{candidate}/endpoint": run(True, lambda things: ENDPOINT),
    "POST candidates/{candidate}/endpoint/check": run(owned=True),
    "GET candidates/{candidate}/endpoint/check": read(owned=True),
    "GET suites": read(),
    "POST suites": run(body=lambda things: {"slug": "demo"}),
    "GET suites/{suite}": read(owned=True),
    "GET suites/{suite}/benchmarks": read(owned=True),
    "GET suites/{suite}/pack": run(owned=True),
    "POST packs": run(body=lambda things: own_pack()),
    "GET runs": read(),
    # Refused with 422 wherever the caller gets in: the endpoint is not checked.
    "POST runs": run(body=lambda t: {"candidate": t.candidate, "suite": t.suite}),
    "GET runs/{run}": read(owned=True),
    "POST runs/{run}/cancel": run(owned=True),
    "POST runs/{run}/resume": run(owned=True),
    "GET runs/{run}/scores": read(owned=True),
    "GET runs/{run}/samples": read(owned=True),
    "GET runs/{run}/export": read(owned=True),
    "GET samples/{sample}": read(owned=True),
    "GET schedules": read(),
    "POST schedules": run(
        body=lambda t: {
            "suite": t.slug,
            "candidates": [t.candidate],
            "every": "day",
            "at": "02:00",
        }
    ),
    "GET schedules/{schedule}": read(owned=True),
    "PATCH schedules/{schedule}": run(True, lambda things: {"paused": True}),
    "DELETE schedules/{schedule}": run(owned=True),
    "GET boards": read(),
    "GET boards/{board}": read(owned=True),
    "POST imports": run(body=lambda t: IMPORT),
    "GET external": read(),
    "GET rank-scores": read(owned=True, query="?suite=things"),
    "GET leaderboard": read(owned=True, query="?suite=things"),
}
MODEL_IN_BODY = {"POST runs", "POST schedules"}
IN = {200, 201, 202, 204}
ROLES = {
    Role.ADMIN: {Scope.READ, Scope.RUN},
    Role.ENGINEER: {Scope.READ, Scope.RUN},
    Role.VIEWER: {Scope.READ},
    Role.RATER: set(),
}
# No key, a wrong one, an expired one; each scope, all of them, here and elsewhere; a member and
# a non-member in each role, a member of none.
KINDS = 3 + 2 * (len(Scope) + 1) + 2 * len(ROLES) + 1


def test_every_operation_says_what_it_takes() -> None:
    there = sorted(f"{method} {path.lstrip('/')}" for method, path, _operation in operations())
    assert there == sorted(OPERATIONS)


def test_the_walk_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(
            f"\n{len(OPERATIONS)} operations of the API × {KINDS} kinds of callers "
            f"= {len(OPERATIONS) * KINDS} combinations"
        )


@pytest.fixture
def things(project: Project) -> Things:
    cache.clear()
    return make_things(project)


def ask(client: Client, name: str, things: Things) -> Any:
    method, path = name.split()
    entry = OPERATIONS[name]
    given = b"" if entry.body is None else entry.body(things)
    kind = "application/zip" if name == "POST packs" else "application/json"
    body = given if isinstance(given, bytes) else json.dumps(given).encode()
    url = MOUNT + path.format(**things._asdict()) + entry.query
    data = {} if method == "GET" else {"data": body, "content_type": kind}
    return getattr(client, method.lower())(url, **data)


def with_key(project: Project, *scopes: Scope) -> Client:
    _key, secret = keys.issue(project, "CI", scopes, by=None)
    return bearer(secret)


def bearer(secret: str) -> Client:
    return Client(headers={"authorization": f"Bearer {secret}"})


def signed_in(project: Project | None, role: str = "") -> Client:
    person, client = User.objects.create_user("somebody"), Client()
    if project:
        Membership.objects.create(project=project, user=person, role=role)
    client.force_login(person)
    return client


def refused(answer: Any, status: int) -> bool:
    """Whether it is this status, as JSON that says so."""
    assert answer["Content-Type"] == MEDIA_TYPE, answer.content
    assert answer.json()["status"] == answer.status_code
    return answer.status_code == status


def let_in(name: str, answer: Any) -> bool:
    return answer.status_code in IN or (name == "POST runs" and answer.status_code == 422)


@pytest.mark.django_db
@pytest.mark.parametrize("name", OPERATIONS)
def test_without_a_good_key_nobody_gets_in(name: str, things: Things) -> None:
    key, secret = keys.issue(things.project, "CI", list(Scope), by=None)
    keys.revoke(key, by=None)
    for client in (Client(), bearer("pst_wrong"), bearer(secret), bearer("")):
        answer = ask(client, name, things)
        assert refused(answer, 401)
        assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_wrong_key_is_not_excused_by_a_session(name: str, things: Things) -> None:
    client = signed_in(things.project, Role.ADMIN)
    client.defaults["HTTP_AUTHORIZATION"] = "Bearer pst_wrong"
    assert refused(ask(client, name, things), 401)


@pytest.mark.django_db
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("scope", Scope)
def test_a_key_gets_in_by_its_scope_alone(name: str, scope: Scope, things: Things) -> None:
    answer = ask(with_key(things.project, scope), name, things)
    if scope == OPERATIONS[name].scope:
        assert let_in(name, answer) or name.endswith("endpoint/check"), answer.content
    else:
        assert refused(answer, 403)
        assert OPERATIONS[name].scope.value in answer.json()["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("scope", [*Scope, None])
def test_a_key_of_another_project_sees_nothing(
    name: str, scope: Scope | None, things: Things
) -> None:
    elsewhere = Project.objects.create(name="Elsewhere")
    client = with_key(elsewhere, *([scope] if scope else Scope))
    answer = ask(client, name, things)
    if scope and scope != OPERATIONS[name].scope:
        assert refused(answer, 403)
    elif name in MODEL_IN_BODY:
        assert refused(answer, 422)
        assert "No model has this id" in answer.json()["detail"]
    elif OPERATIONS[name].owned:
        assert refused(answer, 404)
    else:
        assert let_in(name, answer)
        shown = answer.content.decode()
        assert "Alder-7B" not in shown or name == "GET openapi.json"  # there as an example


@pytest.mark.django_db
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("role", ROLES)
def test_a_person_gets_in_by_the_role(name: str, role: Role, things: Things) -> None:
    answer = ask(signed_in(things.project, role), name, things)
    if OPERATIONS[name].scope in ROLES[role]:
        assert let_in(name, answer) or name.endswith("endpoint/check"), answer.content
    else:
        assert refused(answer, 403)


@pytest.mark.django_db
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("role", ROLES)
def test_a_person_of_another_project_sees_nothing(name: str, role: Role, things: Things) -> None:
    answer = ask(signed_in(Project.objects.create(name="Elsewhere"), role), name, things)
    if OPERATIONS[name].scope not in ROLES[role]:
        assert refused(answer, 403)
    elif name in MODEL_IN_BODY:
        assert refused(answer, 422)
        assert "No model has this id" in answer.json()["detail"]
    elif OPERATIONS[name].owned:
        assert refused(answer, 404)
    else:
        assert let_in(name, answer)


@pytest.mark.django_db
@pytest.mark.parametrize("name", OPERATIONS)
def test_who_is_a_member_nowhere_gets_no_further(name: str, things: Things) -> None:
    assert refused(ask(signed_in(None), name, things), 403)


@pytest.mark.django_db
@pytest.mark.parametrize("name", [n for n in OPERATIONS if not n.startswith("GET")])
def test_a_session_changes_nothing_without_its_token(name: str, things: Things) -> None:
    client = signed_in(things.project, Role.ADMIN)
    client.handler.enforce_csrf_checks = True
    answer = ask(client, name, things)
    assert refused(answer, 403)
    assert "X-CSRFToken" in answer.json()["detail"]
