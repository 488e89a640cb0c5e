"""Who did what to which object: what is written down, and what never is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from portal.accounts import audit, keys
from portal.accounts.models import AuditEntry, Project, Scope, User

pytestmark = pytest.mark.django_db


def test_it_names_the_person_the_action_and_the_object(project: Project, alice: User) -> None:
    entry = audit.record(project, "project.rename", project, by=alice, before="Old", count=3)
    entry.refresh_from_db()
    assert (entry.actor, entry.actor_name, entry.action) == (alice, "alice", "project.rename")
    assert (entry.target_type, entry.target_id) == ("accounts.project", str(project.pk))
    assert entry.target_name == "Claims assistant"
    assert entry.details == {"before": "Old", "count": 3}


def test_it_names_the_key_of_the_request_and_the_shell(project: Project, alice: User) -> None:
    key, _secret = keys.issue(project, "CI", [Scope.RUN], by=alice)
    with audit.acting_as(key):
        assert audit.record(project, "run.start").actor_name == f"CI ({key.prefix}…)"
    assert audit.record(project, "run.start").actor_name == "command"


def test_it_outlives_the_person_and_the_object(project: Project, alice: User) -> None:
    audit.record(project, "project.rename", project, by=alice)
    alice.delete()
    project.delete()
    entry = AuditEntry.objects.get(action="project.rename")
    assert (entry.actor, entry.actor_name, entry.project) == (None, "alice", None)


@pytest.mark.parametrize("name", ["password", "api_key", "token", "client_secret", "Authorization"])
def test_it_keeps_no_secret(project: Project, name: str) -> None:
    entry = audit.record(project, "x.y", None, **{name: "CANARY", "inner": {name: ["CANARY"]}})
    entry.refresh_from_db()
    assert "CANARY" not in str(entry.details)
    assert audit.record(project, "x.y", prompt_tokens=7).details == {"prompt_tokens": 7}


def test_it_stores_what_json_and_the_database_take(project: Project) -> None:
    entry = audit.record(
        project, "x.y", at=datetime(2026, 1, 2, tzinfo=UTC), share=0.5, text="a\0b" + "c" * 999,
        names=("a", "b"), nothing=None,
    )  # fmt: skip
    entry.refresh_from_db()
    assert entry.details["at"] == "2026-01-02 00:00:00+00:00"
    assert entry.details["text"].startswith("abc") and len(entry.details["text"]) == 300
    assert entry.details["names"] == ["a", "b"] and entry.details["nothing"] is None
