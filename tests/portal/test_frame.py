"""The frame of every page, error pages, and the addresses for machines."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.conf import settings as project_settings
from django.core.checks import run_checks
from django.test import Client, RequestFactory
from django.urls import reverse

from portal import checks
from portal.accounts.models import Role
from portal.ui.context import Navigation
from tests.portal.people import make_person, signed_in

pytestmark = pytest.mark.django_db


def test_it_leads_to_every_part_and_marks_where_one_is() -> None:
    page = signed_in(make_person("erik")).get("/").content.decode()
    for words in ("Leaderboard", "Runs", "Suites", "Models", "Activity", "Methods"):
        assert f"</svg>{words}" in page
    assert 'aria-current="page"' not in page
    request = RequestFactory().get(reverse("evals:runs") + "7/samples/3/")
    request.role = Role.VIEWER
    links = [link for _label, links in Navigation(request) for link in links]
    assert [link.label for link in links if link.current] == ["Runs"]


def test_an_app_tells_its_numbers_for_the_navigation(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def nav_counts(project: object) -> dict[str, int]:
        asked.append(project)
        return {"evals:runs": 3}

    monkeypatch.setattr(apps.get_app_config("evals"), "nav_counts", nav_counts, raising=False)
    erik = make_person("erik")
    page = signed_in(erik).get("/").content.decode()
    assert '>3<span class="visually-hidden"> active</span>' in page
    assert asked == [erik.memberships.get().project]  # once, though the home page shows it twice


def test_it_needs_few_queries_for_the_frame(django_assert_max_num_queries: object) -> None:
    client = signed_in(make_person("erik"))
    client.get("/help/first-steps/")
    with django_assert_max_num_queries(4):  # session, person, memberships, what runs
        client.get("/help/first-steps/")


def test_the_policy_allows_our_own_scripts_and_nothing_inline() -> None:
    page = signed_in(make_person("alice", Role.ADMIN)).get(reverse("patterns"))
    policy = page["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "script-src" not in policy and "unsafe-eval" not in policy
    html = page.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"<style|\son\w+=", html)
    # An attribute may set --v, the shade of a heat cell, and nothing else.
    assert set(re.findall(r'style="([^"]*)"', html)) <= {f"--v:{share}" for share in range(101)}


def test_it_names_only_icons_that_exist() -> None:
    sprite = (project_settings.BASE_DIR / "portal/ui/static/ui/icons.svg").read_text()
    known = set(re.findall(r'symbol id="(\w+)"', sprite))
    folders = [project_settings.BASE_DIR / "templates", project_settings.BASE_DIR / "portal/ui"]
    used = set()
    for path in (p for folder in folders for p in Path(folder).rglob("*.*")):
        if path.suffix in {".html", ".py"}:
            used |= set(re.findall(r'{% icon "(\w+)"', path.read_text()))
    request = RequestFactory().get("/")
    used |= {link.icon for _label, links in Navigation(request) for link in links}
    assert used and used <= known


def test_an_unknown_address_gets_a_page_of_ours(client: Client) -> None:
    for visitor in (client, signed_in(make_person("erik"))):
        page = visitor.get("/no/such/page/")
        assert page.status_code == 404
        assert "Nothing is here" in page.content.decode()


def test_a_role_too_small_is_told_which_one_is_needed() -> None:
    page = signed_in(make_person("erik")).get(reverse("patterns"))
    assert page.status_code == 403
    assert "Administrator" in page.content.decode()


def test_a_broken_view_gets_a_page_without_the_frame(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(self: Navigation) -> None:
        raise RuntimeError("secret detail")

    client = signed_in(make_person("erik"))
    client.raise_request_exception = False
    monkeypatch.setattr(Navigation, "__iter__", explode)
    page = client.get("/")
    assert page.status_code == 500
    assert "Something broke here" in page.content.decode()
    assert "secret detail" not in page.content.decode()


def test_a_wrong_host_name_gets_a_plain_page(client: Client) -> None:
    page = client.get("/", headers={"Host": "elsewhere.example"})
    assert page.status_code == 400
    assert "could not be understood" in page.content.decode()


def test_robots_are_asked_to_stay_out(client: Client) -> None:
    assert b"Disallow: /\n" in client.get("/robots.txt").content


CHECKS = [
    ({"DEBUG": True, "ALLOWED_HOSTS": ["bench.example"]}, "portal.E001"),
    ({"DEBUG": True, "ALLOWED_HOSTS": ["*"]}, "portal.E001"),
    ({"ALLOWED_HOSTS": ["bench.example"]}, "portal.W001"),
    ({"DATA_DIR": "/proc/nowhere"}, "portal.E002"),
    ({"BROKER_URL": "carrier-pigeon://roof"}, "portal.E003"),
    ({"TIME_ZONE": "Mars/Olympus"}, "portal.E004"),
    ({"OUTBOUND_ALLOW": ["gpu 01"]}, "portal.E005"),
    ({"LEASE_SECONDS": 4.0}, "portal.E006"),
    ({"OIDC_ISSUER": "http://127.0.0.1/login"}, "portal.E007"),
    ({"OIDC_ISSUER": "http://127.0.0.1", "OIDC_DEFAULT_ROLE": "admin"}, "portal.E008"),
    ({"OIDC_ISSUER": "https://10.0.0.1"}, "portal.E009"),
    ({"OIDC_ISSUER": "http://login.example"}, "portal.W003"),
]


@pytest.mark.parametrize(("changed", "expected"), CHECKS)
def test_it_tells_misconfiguration_with_a_hint(
    settings: object, monkeypatch: pytest.MonkeyPatch, changed: dict[str, object], expected: str
) -> None:
    # A stand-in, for Django itself stumbles over a time zone that does not exist.
    stand_in = SimpleNamespace(
        **{name: getattr(settings, name) for name in ("DEBUG", "HTTPS", "DATABASES")},
        **{name: getattr(settings, name) for name in ("DATA_DIR", "BROKER_URL", "TIME_ZONE")},
        **{name: getattr(settings, name) for name in ("OUTBOUND_ALLOW", "OUTBOUND_MAX_BYTES")},
        **{name: getattr(settings, name) for name in ("LEASE_SECONDS", "SWEEP_SECONDS")},
        **{name: getattr(settings, name) for name in ("OIDC_ISSUER", "OIDC_DEFAULT_ROLE")},
        SOCIALACCOUNT_PROVIDERS={"openid_connect": {"APPS": [{"client_id": ""}]}},
        ALLOWED_HOSTS=["localhost"],
    )
    monkeypatch.setattr(checks, "settings", stand_in)
    assert expected not in {message.id for message in run_checks()}
    vars(stand_in).update(changed)
    found = {message.id: message for message in run_checks()}
    assert expected in found
    assert "PORTAL_" in found[expected].hint or "PORTAL_" in found[expected].msg


def test_postgresql_wants_secrets_that_machines_share(monkeypatch: pytest.MonkeyPatch) -> None:
    on_postgresql = {"default": {"ENGINE": "django.db.backends.postgresql"}}
    monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES=on_postgresql))
    monkeypatch.delenv("PORTAL_SECRET_KEY", raising=False)
    monkeypatch.setenv("PORTAL_ENCRYPTION_KEYS", "given")
    (found,) = checks.shared_secrets_are_given()
    assert found.id == "portal.W002"
    assert "PORTAL_SECRET_KEY" in found.hint and "ENCRYPTION" not in found.hint
    monkeypatch.setenv("PORTAL_SECRET_KEY", "given")
    assert checks.shared_secrets_are_given() == []


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("127.0.0.1", True), ("[::1]", True), ("a.localhost", True),
        ("*", False), (".example.org", False), ("10.0.0.7", False), ("bench", False),
    ],
)  # fmt: skip
def test_it_knows_hosts_that_only_this_machine_reaches(host: str, local: bool) -> None:
    assert checks.is_local(host) is local
