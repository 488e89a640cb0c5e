"""Every address of the site × every kind of person: who gets in, who does not.

An address without an entry in ``ADDRESSES`` fails the first test, so nobody adds a page
without saying whom it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from portal.accounts.models import Membership, Project, Role, User
from tests.conventions.things import Things, make_things

PUBLIC = None
SUPERUSER = "superuser"  # the people who run the portal, whatever their role
MEMBER = "member"
# Written out again here, so that a change of the rules shows as a failure.
SUFFICES = {
    Role.ADMIN: {Role.ADMIN},
    Role.ENGINEER: {Role.ADMIN, Role.ENGINEER},
    Role.RATER: {Role.ADMIN, Role.ENGINEER, Role.RATER},
    Role.VIEWER: {Role.ADMIN, Role.ENGINEER, Role.VIEWER},
    MEMBER: set(Role),
    PUBLIC: set(Role),
    SUPERUSER: set(),
}


class Address(NamedTuple):
    """Who may use an address, how it is asked, and what it names."""

    needs: str | None  # a role; MEMBER: any; PUBLIC: no sign-in
    methods: tuple[str, ...] = ("get",)
    names: tuple[str, ...] = ()  # its arguments; the object they belong to is the project's
    owned: bool = False  # names something of one project: others get 404
    form: Callable[[Things], dict[str, Any]] = lambda things: {}
    answers: tuple[int, ...] = ()  # what its own answer may be, beside a page or a redirect


def post(needs: str | None, *names: str, **more: Any) -> Address:
    return Address(needs, ("post",), names, owned=bool(names), **more)


def of(needs: str, *names: str, methods: tuple[str, ...] = ("get",)) -> Address:
    return Address(needs, methods, names, owned=True)


BOTH = ("get", "post")
# Logging out ends in the sign-in page; who reads metrics shows a token, not a session.
ODD = {"accounts:logout", "metrics"}
ADDRESSES = {
    "home": Address(MEMBER),
    "help:index": Address(MEMBER),
    "help:page": Address(MEMBER, names=("help_page",)),
    "healthz": Address(PUBLIC),
    "readyz": Address(PUBLIC),
    "metrics": Address(PUBLIC),
    "patterns": Address(Role.ADMIN),
    "api_docs": Address(Role.VIEWER),
    "robots.txt": Address(PUBLIC),
    "accounts:login": Address(PUBLIC, BOTH),
    "accounts:logout": post(PUBLIC),
    "accounts:language": post(PUBLIC, form=lambda things: {"language": "de"}),
    "accounts:theme": post(PUBLIC, form=lambda things: {"theme": "dark"}),
    "accounts:project": Address(
        MEMBER, ("post",), owned=True, form=lambda things: {"project": things.project.pk}
    ),
    # Nothing is configured, invited or counted in these tests.
    "accounts:oidc": post(PUBLIC, answers=(404,)),
    "openid_connect_callback": Address(PUBLIC, answers=(404,)),
    "accounts:invitation": Address(PUBLIC, names=("token",)),
    "accounts:join": Address(PUBLIC, BOTH, answers=(410,)),
    "accounts:too_often": Address(PUBLIC, answers=(429,)),
    "accounts:settings": Address(MEMBER, BOTH),
    "accounts:password": Address(MEMBER, BOTH),
    "accounts:project_settings": Address(Role.ADMIN, BOTH),
    "accounts:project_new": Address(SUPERUSER, BOTH),
    "accounts:member_role": post(Role.ADMIN, "membership"),
    "accounts:member_remove": post(Role.ADMIN, "membership"),
    "accounts:member_password": post(Role.ADMIN, "membership"),
    "accounts:invite": post(Role.ADMIN),
    "accounts:link": Address(Role.ADMIN),
    "accounts:invitation_revoke": post(Role.ADMIN, "invitation"),
    "accounts:keys": Address(Role.ADMIN, BOTH),
    "accounts:key_revoke": post(Role.ADMIN, "key"),
    "accounts:audit": Address(Role.ADMIN),
    "accounts:audit_file": Address(Role.ADMIN),
    "evals:candidates": Address(Role.VIEWER),
    "evals:servers": Address(Role.VIEWER),
    "evals:candidate_new": Address(Role.ENGINEER, BOTH),
    "evals:candidate": of(Role.VIEWER, "candidate"),
    "evals:candidate_edit": of(Role.ENGINEER, "candidate", methods=BOTH),
    "evals:candidate_card": of(Role.VIEWER, "candidate"),
    "evals:candidate_price": post(Role.ENGINEER, "candidate"),
    "evals:candidate_check": post(Role.ENGINEER, "candidate"),
    "evals:candidate_server": post(Role.ENGINEER, "candidate"),
    "evals:candidate_server_remove": post(Role.ENGINEER, "candidate"),
    "evals:candidate_software": post(Role.ENGINEER, "candidate"),
    "evals:trend": of(Role.VIEWER, "candidate"),
    "evals:euroeval_start": of(Role.ENGINEER, "candidate", methods=BOTH),
    "evals:euroeval": of(Role.VIEWER, "euroeval"),
    "evals:euroeval_resume": post(Role.ENGINEER, "euroeval"),
    "evals:suites": Address(Role.VIEWER),
    "evals:suite_install": post(Role.ENGINEER),
    "evals:european": Address(Role.VIEWER),
    "evals:suite": of(Role.VIEWER, "suite"),
    "evals:suite_pack": of(Role.ENGINEER, "suite"),
    "evals:packs": Address(Role.ENGINEER, BOTH),
    "evals:pack": of(Role.ENGINEER, "waiting_pack", methods=BOTH),
    "evals:pack_discard": post(Role.ENGINEER, "waiting_pack"),
    "evals:pack_keys": Address(Role.ENGINEER),
    "evals:pack_key_trust": post(Role.ADMIN),
    "evals:pack_key_distrust": post(Role.ADMIN, "trusted_key"),
    "evals:benchmark": of(Role.VIEWER, "benchmark"),
    "evals:runs": Address(Role.VIEWER),
    "evals:run_new": Address(Role.ENGINEER, BOTH),
    "evals:run": of(Role.VIEWER, "run"),
    "evals:run_progress": of(Role.VIEWER, "run"),
    "evals:run_files": of(Role.VIEWER, "run"),
    "evals:run_resume": post(Role.ENGINEER, "run"),
    "evals:sample": of(Role.VIEWER, "run", "sample"),
    "evals:schedules": Address(Role.VIEWER),
    "evals:schedule_new": Address(Role.ENGINEER, BOTH),
    "evals:schedule_edit": of(Role.ENGINEER, "schedule", methods=BOTH),
    "evals:schedule_pause": post(Role.ENGINEER, "schedule"),
    "evals:schedule_delete": post(Role.ENGINEER, "schedule"),
    "evals:external": Address(Role.VIEWER),
    "evals:import_new": Address(Role.ENGINEER, BOTH),
    "evals:import": of(Role.VIEWER, "kept"),
    "evals:import_confirm": post(Role.ENGINEER, "kept"),
    "evals:import_file": of(Role.VIEWER, "kept"),
    "evals:import_samples": of(Role.VIEWER, "kept"),
    "evals:import_remove": post(Role.ENGINEER, "kept"),
    "evals:leaderboard": Address(Role.VIEWER),
    "evals:imported_rank_scores": Address(Role.VIEWER),
    "evals:board": of(Role.VIEWER, "slug"),
    "evals:rank_scores": of(Role.VIEWER, "slug"),
    "evals:compare": Address(Role.VIEWER),
    "evals:compare_sample": of(Role.VIEWER, "benchmark", "doc_id"),
    "evals:saved_boards": Address(Role.VIEWER),
    "evals:saved_board_new": Address(Role.ENGINEER, BOTH),
    "evals:saved_board": of(Role.VIEWER, "board"),
    "evals:saved_board_edit": of(Role.ENGINEER, "board", methods=BOTH),
    "evals:saved_board_delete": post(Role.ENGINEER, "board"),
    "evals:saved_board_default": post(Role.ENGINEER, "board"),
    "evals:saved_board_share": post(Role.ADMIN, "board"),
    "evals:saved_board_unshare": post(Role.ADMIN, "board"),
    # No board is shared in these tests.
    "evals:shared_board": Address(PUBLIC, names=("token",), answers=(404,)),
    "evals:regressions": Address(Role.VIEWER),
    "evals:playground": Address(Role.ENGINEER, BOTH),
    "evals:playground_answer": post(Role.ENGINEER, "candidate"),
    "evals:question_keep": post(Role.ENGINEER),
    "evals:questions": Address(Role.VIEWER),
    "evals:questions_file": Address(Role.VIEWER, names=("kind",)),
    "evals:question_delete": post(Role.ENGINEER, "question"),
    "evals:methods": Address(Role.VIEWER),
    "workers:activity": Address(Role.VIEWER),
    "workers:progress": of(Role.VIEWER, "label", "run"),
    "workers:cancel": post(Role.ENGINEER, "label", "run"),
}
REQUESTS = [(name, method) for name, entry in ADDRESSES.items() for method in entry.methods]
ROLES = list(Role)
# A member of the project and a non-member in each role, a member of none, a stranger.
PEOPLE = 2 * len(ROLES) + 2


def walk(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    """The names of all addresses, with their namespaces; the route where there is no name."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver) and pattern.namespace == "api":
            continue  # machines ask there: tests/conventions/test_api_operations.py
        if isinstance(pattern, URLResolver):
            space = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            yield from walk(pattern.url_patterns, space)
        elif isinstance(pattern, URLPattern):
            yield prefix + (pattern.name or str(pattern.pattern))


def test_every_address_says_whom_it_is_for() -> None:
    assert sorted(walk(get_resolver().url_patterns)) == sorted(ADDRESSES)


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Hundreds of people are made here, and nobody guesses their passwords."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def things(project: Project) -> Things:
    return make_things(project)


def ask(person: User | None, name: str, method: str, things: Things, **settings: Any) -> Any:
    """The answer that ``person`` gets."""
    client = Client(**settings)
    if person:
        client.force_login(person)
    address = ADDRESSES[name]
    url = f"/{name}"
    if name != "robots.txt":
        url = reverse(name, args=[getattr(things, argument) for argument in address.names])
    return getattr(client, method)(url, address.form(things) if method == "post" else None)


def let_in(answer: Any, name: str) -> bool:
    """Whether the view did its work: a page, a redirect elsewhere, or a form with faults."""
    own = ADDRESSES[name].answers
    sent_to_sign_in = answer.status_code == 302 and answer["Location"].startswith("/accounts/login")
    return answer.status_code in {200, 204, 302, 422, *own} and not sent_to_sign_in


def suffices(role: str, name: str) -> bool:
    """Whether the table says that ``role`` is enough for the address."""
    return role in SUFFICES[ADDRESSES[name].needs]


@pytest.mark.django_db
def test_people_who_run_the_portal_need_no_role_for_what_is_theirs(
    things: Things, alice: User
) -> None:
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    for name in [name for name, entry in ADDRESSES.items() if entry.needs == SUPERUSER]:
        assert let_in(ask(alice, name, "get", things), name)


def test_the_walk_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    asked = len(REQUESTS) * PEOPLE
    with capsys.disabled():
        print(
            f"\n{len(ADDRESSES)} addresses, {len(REQUESTS)} with their methods, "
            f"× {PEOPLE} kinds of people = {asked} combinations"
        )
    assert asked >= 10 * len(ADDRESSES)


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "method"), REQUESTS)
def test_strangers_are_asked_to_sign_in(name: str, method: str, things: Things) -> None:
    answer = ask(None, name, method, things)
    if ADDRESSES[name].needs is PUBLIC:
        assert let_in(answer, name) or name in ODD
    else:
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/login/?next=")


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "method"), REQUESTS)
def test_who_is_a_member_nowhere_gets_no_further(name: str, method: str, things: Things) -> None:
    answer = ask(User.objects.create_user("nobody"), name, method, things)
    if ADDRESSES[name].needs is PUBLIC:
        assert let_in(answer, name) or name in ODD
    else:
        assert answer.status_code == 403
        assert "accounts/no_project.html" in {template.name for template in answer.templates}


@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("name", "method"), REQUESTS)
def test_a_role_lets_in_where_it_suffices(
    name: str, method: str, role: str, things: Things
) -> None:
    person = User.objects.create_user("member", password="long-enough-secret")
    Membership.objects.create(project=things.project, user=person, role=role)
    answer = ask(person, name, method, things)
    if suffices(role, name):
        assert let_in(answer, name) or name in ODD, answer.status_code
    else:
        assert answer.status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("name", "method"), REQUESTS)
def test_things_of_another_project_do_not_exist(
    name: str, method: str, role: str, things: Things
) -> None:
    person = User.objects.create_user("mallory", password="long-enough-secret")
    elsewhere = Project.objects.create(name="Elsewhere")
    Membership.objects.create(project=elsewhere, user=person, role=role)
    answer = ask(person, name, method, things)
    if not suffices(role, name):
        # Refused before the thing is looked for, or as if it were not there.
        assert answer.status_code in ({403, 404} if ADDRESSES[name].owned else {403})
    elif ADDRESSES[name].owned:
        assert answer.status_code == 404
    else:
        assert let_in(answer, name) or name in ODD, answer.status_code


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name, method in REQUESTS if method == "post"])
def test_changes_need_a_token_of_the_page(name: str, things: Things, alice: User) -> None:
    answer = ask(alice, name, "post", things, enforce_csrf_checks=True)
    assert answer.status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", [n for n, entry in ADDRESSES.items() if "get" not in entry.methods]
)
def test_an_address_that_changes_something_cannot_be_followed(
    name: str, things: Things, alice: User
) -> None:
    assert ask(alice, name, "get", things).status_code == 405
