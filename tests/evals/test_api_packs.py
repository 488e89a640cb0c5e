"""Packs by script: fetched from one project, sent to another."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from evals import packs
from evals.models import Suite
from portal.accounts import keys
from portal.accounts.models import AuditEntry, Project, Scope
from portal.api import bodies
from tests.evals.making import choice, make_suite
from tests.evals.packing import packed
from tests.evals.test_packs import FINGERPRINT, PUBLIC

pytestmark = pytest.mark.django_db


def caller(project: Project) -> Client:
    cache.clear()
    _key, secret = keys.issue(project, "CI", [Scope.RUN, Scope.READ], by=None)
    return Client(headers={"authorization": f"Bearer {secret}"})


def send(client: Client, data: bytes, kind: str = "application/zip", **headers: str) -> Any:
    return client.post("/api/v1/packs", data, content_type=kind, headers=headers)


def test_a_pack_is_fetched_and_sent_to_another_project(project: Project) -> None:
    source = {"repo": "own/questions", "licence": "CC0-1.0"}
    suite = make_suite(project, choice(source=source))
    answer = caller(project).get(f"/api/v1/suites/{suite.pk}/pack")
    assert answer["Content-Type"] == "application/zip" and "small-v1" in str(answer.headers)
    there = caller(Project.objects.create(name="Elsewhere"))
    data = answer.getvalue()
    made = send(there, data)
    assert (made.status_code, made.json()["sha256"]) == (201, suite.sha256)
    again = send(there, data)
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    rows = there.get(f"{made['Location']}/benchmarks").json()["items"]
    assert rows[0]["source"] == source
    assert {entry.actor_name.split()[0] for entry in AuditEntry.objects.all()} >= {"CI"}


def test_only_known_signers_come_in(project: Project) -> None:
    answer = send(caller(project), packed())
    assert answer.status_code == 422 and FINGERPRINT in answer.json()["detail"]
    packs.trust(project, "Munich", PUBLIC)
    assert send(caller(project), packed()).status_code == 201


@pytest.mark.parametrize("data", [b"nonsense", packed()[:-1]])
def test_what_is_no_pack_is_refused(project: Project, data: bytes) -> None:
    answer = send(caller(project), data)
    assert answer.status_code == 422 and not Suite.objects.exists()


def test_other_content_under_the_same_version_is_a_conflict(project: Project) -> None:
    packs.trust(project, "Munich", PUBLIC)
    make_suite(project, choice("other"))
    assert send(caller(project), packed()).status_code == 409


def test_the_body_is_the_file_itself(project: Project) -> None:
    answer = send(caller(project), b"{}", "application/json")
    assert answer.status_code == 415 and "application/zip" in answer.json()["detail"]


def test_a_file_may_be_larger_than_other_bodies_but_has_its_limit(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = send(caller(project), bytes(3 * bodies.MAX_BODY))
    assert answer.status_code == 422
    monkeypatch.setattr(bodies, "MAX_FILE", 2 * bodies.MAX_BODY)
    assert send(caller(project), bytes(3 * bodies.MAX_BODY)).status_code == 413


def test_a_pack_that_is_sent_again_is_stored_once(project: Project) -> None:
    packs.trust(project, "Munich", PUBLIC)
    client = caller(project)
    first = send(client, packed(), **{"Idempotency-Key": "nightly"})
    again = send(client, packed(), **{"Idempotency-Key": "nightly"})
    assert first.status_code == again.status_code == 201 and Suite.objects.count() == 1
    assert again["Idempotency-Replayed"] == "true"
