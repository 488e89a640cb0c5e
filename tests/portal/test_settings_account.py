"""A person's own settings, keys and the audit log in the browser's way."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from portal.accounts import audit, keys
from portal.accounts.models import ApiKey, AuditEntry, Project, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_alice(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def test_a_person_changes_name_and_address(as_erik: Client, erik: User, alice: User) -> None:
    form = {"username": "eric", "first_name": "Erik", "last_name": "Ek", "email": "e@example.org"}
    as_erik.post(reverse("accounts:settings"), form)
    erik.refresh_from_db()
    assert (erik.username, erik.email) == ("eric", "e@example.org")
    refused = as_erik.post(reverse("accounts:settings"), form | {"username": "Alice"})
    assert refused.status_code == 422 and "<span>Erik</span>" in refused.text
    assert AuditEntry.objects.get().details["fields"][0] == "username"


def test_a_new_password_signs_other_devices_out(as_erik: Client, erik: User) -> None:
    elsewhere = Client()
    elsewhere.force_login(erik)
    form = {
        "old_password": "erik-has-a-long-password",
        "new_password1": "another-long-password",
        "new_password2": "another-long-password",
    }
    wrong = as_erik.post(reverse("accounts:password"), form | {"old_password": "guess"})
    assert wrong.status_code == 422
    as_erik.post(reverse("accounts:password"), form)
    assert as_erik.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302
    assert "another" not in str(list(AuditEntry.objects.values()))


def test_a_session_ends_two_weeks_after_the_last_visit(as_erik: Client) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=13)):
        assert as_erik.get("/runs/").status_code == 200  # looking at a page prolongs nothing
    with time_machine.travel(timezone.now() + timedelta(days=15)):
        assert as_erik.get("/runs/").status_code == 302


def make_key(client: Client, **changes: Any) -> Any:
    form = {"name": "CI", "scopes": ["read", "run"], "days": "30"} | changes
    return client.post(reverse("accounts:keys"), form)


def test_a_key_is_shown_once_and_works(as_alice: Client) -> None:
    assert make_key(as_alice).status_code == 302
    waiting = dict(as_alice.session.items())
    page = as_alice.get(reverse("accounts:keys"))
    secret = page.context["secret"]
    assert waiting["new_key"] and secret not in str(waiting)
    assert secret in page.text and "no-store" in page["Cache-Control"]
    key = keys.find(secret)
    assert key.scopes == ["read", "run"]
    assert 29 <= (key.expires_at - timezone.now()).days <= 30
    later = as_alice.get(reverse("accounts:keys")).text
    assert secret not in later and key.prefix in later and "Read results" in later
    as_alice.post(reverse("accounts:key_revoke", args=[key.pk]))
    assert keys.find(secret) is None
    make_key(as_alice, days="never")
    assert ApiKey.objects.first().expires_at is None


@pytest.mark.parametrize(
    "wrong", [{"scopes": []}, {"scopes": ["root"]}, {"name": ""}, {"days": "9"}]
)
def test_a_key_needs_a_name_and_scopes(as_alice: Client, wrong: dict[str, Any]) -> None:
    assert make_key(as_alice, **wrong).status_code == 422
    assert not ApiKey.objects.exists()


def test_keys_of_another_project_cannot_be_revoked(as_alice: Client, mallory: User) -> None:
    key, secret = keys.issue(Project.objects.get(name="Elsewhere"), "Theirs", ["read"], by=None)
    assert as_alice.post(reverse("accounts:key_revoke", args=[key.pk])).status_code == 404
    assert keys.find(secret) and "Theirs" not in as_alice.get(reverse("accounts:keys")).text


@pytest.fixture
def log(project: Project, alice: User, erik: User, mallory: User) -> None:
    elsewhere = Project.objects.get(name="Elsewhere")
    audit.record(elsewhere, "run.start", elsewhere, by=mallory)
    audit.record(project, "run.start", project, by=erik)
    audit.record(project, "key.issue", project, by=alice, note='=HYPERLINK("x")')
    AuditEntry.objects.create(
        project=project, action="old.thing", actor_name="=cmd|' /C calc'!A0",
        at=timezone.now() - timedelta(days=40),
    )  # fmt: skip


def shown(client: Client, **query: str) -> list[str]:
    page = client.get(reverse("accounts:audit"), query)
    assert page.status_code == 200
    return [entry.action for entry in page.context["page"]]


def test_the_log_is_filtered_and_knows_one_project(as_alice: Client, log: None) -> None:
    assert shown(as_alice) == ["key.issue", "run.start", "old.thing"]
    assert shown(as_alice, person="erik") == ["run.start"]
    assert shown(as_alice, action="key.issue") == ["key.issue"]
    day = (timezone.now() - timedelta(days=3)).date().isoformat()
    assert shown(as_alice, since=day) == ["key.issue", "run.start"]
    assert shown(as_alice, until=day) == ["old.thing"]
    assert len(shown(as_alice, since="nonsense", person="nobody", page="x")) == 3
    assert "mallory" not in as_alice.get(reverse("accounts:audit")).text


def test_the_log_is_downloaded_without_formulas_and_that_is_logged(
    as_alice: Client, log: None
) -> None:
    answer = as_alice.get(reverse("accounts:audit_file"), {"action": "old.thing"})
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["who"] for row in rows] == ["'=cmd|' /C calc'!A0"]
    assert shown(as_alice)[0] == "audit.export"


def test_the_log_takes_the_same_queries_for_many_lines(
    as_alice: Client, project: Project, alice: User,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    AuditEntry.objects.bulk_create(
        AuditEntry(project=project, action=f"a.{n % 7}", actor_name=f"p{n % 9}") for n in range(500)
    )
    with django_assert_max_num_queries(9):
        assert len(shown(as_alice, page="3")) == 50


def test_what_is_wrong_with_a_new_password_stands_below_it(as_erik: Client) -> None:
    form = {"old_password": "x", "new_password1": "short", "new_password2": "short"}
    errors = as_erik.post(reverse("accounts:password"), form).context["form"].errors
    assert "new_password1" in errors and "new_password2" not in errors
