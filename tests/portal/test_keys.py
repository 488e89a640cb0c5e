"""Keys for machines: shown once, kept as a hash, revoked at once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import time_machine
from django.core import serializers
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from portal.accounts import keys
from portal.accounts.models import ApiKey, AuditEntry, Project, Scope, User

pytestmark = pytest.mark.django_db


def test_a_key_is_found_by_its_secret_only(project: Project, alice: User) -> None:
    key, secret = keys.issue(project, "CI", ["run", "read", "nonsense"], by=alice)
    assert secret.startswith("pst_") and len(secret) == 44 and secret.isascii()
    assert key.scopes == ["read", "run"] and key.allows(Scope.RUN)
    found = keys.find(secret)
    assert found == key and found.project == project
    for other in ("", "pst_", secret[:-1], secret + "x", key.prefix, key.key_hash, "\0ü\ud800"):
        assert keys.find(other) is None


def test_only_its_hash_is_kept(project: Project, alice: User) -> None:
    _key, secret = keys.issue(project, "CI", [Scope.READ], by=alice)
    stored = serializers.serialize("json", [*ApiKey.objects.all(), *AuditEntry.objects.all()])
    assert secret not in stored and secret[8:] not in stored
    assert json.loads(stored)[0]["fields"]["prefix"] == secret[:8]


def test_a_revoked_or_expired_key_opens_nothing(project: Project, alice: User) -> None:
    key, secret = keys.issue(project, "CI", [Scope.READ], by=alice)
    assert keys.revoke(key, by=alice) is True
    assert keys.revoke(key, by=alice) is False
    assert keys.find(secret) is None
    soon = timezone.now() + timedelta(hours=1)
    _key, secret = keys.issue(project, "CI", [Scope.READ], by=alice, expires_at=soon)
    assert keys.find(secret)
    with time_machine.travel(soon):
        assert keys.find(secret) is None
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", "actor_name"))
    assert actions == [
        ("api_key.issue", "alice"), ("api_key.revoke", "alice"), ("api_key.issue", "alice"),
    ]  # fmt: skip


def test_its_use_is_written_once_a_minute(
    project: Project, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _key, secret = keys.issue(project, "CI", [Scope.READ], by=alice)
    with time_machine.travel("2026-11-25 12:00:00Z", tick=False) as clock:
        with django_assert_num_queries(2):
            keys.find(secret)
        with django_assert_num_queries(1):
            keys.find(secret)
        clock.shift(61)
        with django_assert_num_queries(2):
            keys.find(secret)
    assert ApiKey.objects.get().last_used_at.second == 1
