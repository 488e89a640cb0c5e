"""What all operations of the API share: errors, bodies, repeats, rates, sessions, the document."""

from __future__ import annotations

import json
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from evals.models import Candidate
from portal.accounts import keys
from portal.accounts.models import IdempotencyKey, Project, Scope, User
from portal.api import document
from portal.api.bodies import MAX_BODY
from portal.api.paging import closed

pytestmark = pytest.mark.django_db
NEW = {"name": "Alder-7B", "base_url": "http://127.0.0.1:9/v1", "served_model": "alder"}
JSON = "application/json"


@pytest.fixture
def client(project: Project) -> Client:
    cache.clear()
    _key, secret = keys.issue(project, "CI", [Scope.READ, Scope.RUN], by=None)
    return Client(headers={"authorization": f"Bearer {secret}"}, raise_request_exception=False)


def told(answer: Any) -> str:
    """Status and detail; fails unless the answer is a problem in JSON."""
    assert answer["Content-Type"] == "application/problem+json", answer.content[:300]
    found = answer.json()
    assert found["status"] == answer.status_code and found["title"] and found["detail"]
    return f"{answer.status_code} {found['detail']}"


def post(client: Client, body: Any, path: str = "candidates", **more: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(f"/api/v1/{path}", data, **{"content_type": JSON} | more)


def test_it_says_who_one_is(client: Client, project: Project) -> None:
    found = client.get("/api/v1/me").json()
    assert found == {
        "name": "CI", "kind": "key", "project": project.name, "scopes": ["read", "run"],
    }  # fmt: skip


def test_a_key_costs_one_query(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.get("/api/v1/me")
    with django_assert_max_num_queries(1):
        client.get("/api/v1/me")


def test_answers_are_kept_by_no_cache(client: Client) -> None:
    assert client.get("/api/v1/me")["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    ["nothing", "runs/", "runs/x", "runs/0", "runs/-1", f"runs/{2**63}", f"runs/{10**50}",
     "runs/%00", "runs/1.5", "samples/%ED%A0%80", "", "../v1/nothing"],
)  # fmt: skip
def test_what_does_not_exist_is_told_in_json(client: Client, path: str) -> None:
    assert told(client.get(f"/api/v1/{path}")).startswith("404")
    assert told(Client().get(f"/api/v1/{path}"))[:3] in {"401", "404"}


@pytest.mark.parametrize("method", ["delete", "put", "patch", "options", "trace", "head"])
def test_a_wrong_method_is_told_with_the_right_ones(client: Client, method: str) -> None:
    answer = getattr(client, method)("/api/v1/runs")
    assert answer.status_code == 405
    assert {each.strip() for each in answer["Allow"].split(",")} == {"GET", "POST"}
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 415),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 50_000, 400),
        (b"\xff\xfe", 400),
        (b'{"name": NaN}', 400),
        (b'{"name": Infinity}', 400),
        (b'{"concurrency": ' + b"9" * 5000 + b"}", 400),
        (b'{"concurrency": 1e999}', 422),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b"7", 422),
        (b'{"name": "\\u0000"}', 422),
        (b'{"name": "\\ud800"}', 422),
        (b'{"na\\u0000me": "x"}', 422),
        (b'{"name": {"a": 1}}', 422),
        (b'{"name": "' + b"x" * MAX_BODY + b'"}', 413),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.parametrize("path", ["candidates", "runs", "suites"])
def test_a_body_that_cannot_be_used_is_refused(
    client: Client, body: bytes, status: int, path: str
) -> None:
    assert told(post(client, body, path)).startswith(str(status))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "x"])
def test_another_content_type_is_refused(client: Client, kind: str) -> None:
    assert told(post(client, NEW, content_type=kind)).startswith("415")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=ü", "cursor"),
        ("cursor=" + "A" * 201, "cursor"),
        ("cursor=" + closed(2**63), "cursor"),
        ("cursor=" + closed(-1), "cursor"),
        ("cursor=" + closed(1, 2), "cursor"),
        ("cursor=" + "W10", "cursor"),
        ("cursor=dHJ1ZQ", "cursor"),
        ("state=gone", "state"),
        ("candidate=0", "candidate"),
        (f"suite={2**63}", "suite"),
    ],
)
def test_a_wrong_parameter_is_named(client: Client, query: str, field: str) -> None:
    answer = client.get(f"/api/v1/runs?{query}")
    assert told(answer).startswith("422")
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_a_mistake_of_ours_shows_no_trace(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the canary")

    monkeypatch.setattr("evals.candidates.register", broken)
    answer = post(client, NEW, headers={"Idempotency-Key": "k"})
    assert told(answer).startswith("500")
    assert "canary" not in answer.content.decode()
    assert not IdempotencyKey.objects.exists()


def test_a_foreign_host_is_told_in_json(client: Client) -> None:
    assert told(client.get("/api/v1/me", headers={"host": "evil.example"})).startswith("400")


# Repeats


def test_a_repeat_is_answered_again_and_done_once(client: Client) -> None:
    first = post(client, NEW, headers={"Idempotency-Key": "build-7"})
    body = json.dumps(dict(reversed(NEW.items())), indent=3).encode()  # the same JSON
    second = post(client, body, headers={"Idempotency-Key": "build-7"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first["Location"] == second["Location"]
    assert second["Idempotency-Replayed"] == "true"
    assert Candidate.objects.count() == 1


def test_the_same_key_with_another_request_is_refused(client: Client) -> None:
    post(client, NEW, headers={"Idempotency-Key": "k"})
    other = post(client, NEW | {"name": "Beech"}, headers={"Idempotency-Key": "k"})
    assert told(other).startswith("422 “Idempotency-Key”")
    elsewhere = post(client, NEW, "suites", headers={"Idempotency-Key": "k"})
    assert told(elsewhere).startswith("422")


def test_a_refusal_is_not_kept(client: Client) -> None:
    wrong = post(client, NEW | {"concurrency": 0}, headers={"Idempotency-Key": "k"})
    assert wrong.status_code == 422
    assert post(client, NEW, headers={"Idempotency-Key": "k"}).status_code == 201


def test_a_repeat_during_the_first_is_told_to_wait(client: Client, project: Project) -> None:
    post(client, NEW, headers={"Idempotency-Key": "k"})
    IdempotencyKey.objects.update(status=None)
    answer = post(client, NEW, headers={"Idempotency-Key": "k"})
    assert told(answer).startswith("409")
    assert answer["Retry-After"] == "1"


def test_a_key_is_forgotten_after_a_day_and_a_crash(client: Client) -> None:
    with time_machine.travel("2026-11-25 12:00Z") as clock:
        post(client, NEW, headers={"Idempotency-Key": "k"})
        clock.shift(24 * 3600 + 1)
        again = post(client, NEW | {"name": "Beech"}, headers={"Idempotency-Key": "k"})
        assert again.status_code == 201
        IdempotencyKey.objects.update(status=None)  # as if the process had died then
        clock.shift(121)
        again = post(client, NEW | {"name": "Cedar"}, headers={"Idempotency-Key": "k"})
        assert again.status_code == 201


def test_projects_do_not_share_keys_of_requests(client: Client) -> None:
    post(client, NEW, headers={"Idempotency-Key": "k"})
    _key, secret = keys.issue(Project.objects.create(name="Else"), "CI", [Scope.RUN], by=None)
    other = Client(headers={"authorization": f"Bearer {secret}"})
    answer = post(other, NEW, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201 and "Idempotency-Replayed" not in answer


def test_who_may_not_run_gets_no_repeat_either(client: Client, project: Project) -> None:
    post(client, NEW, headers={"Idempotency-Key": "k"})
    _key, secret = keys.issue(project, "reader", [Scope.READ], by=None)
    reader = Client(headers={"authorization": f"Bearer {secret}"})
    assert told(post(reader, NEW, headers={"Idempotency-Key": "k"})).startswith("403")


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "ü"])
def test_a_strange_key_is_refused(client: Client, key: str) -> None:
    answer = post(client, NEW, headers={"Idempotency-Key": key})
    assert told(answer).startswith("422 “Idempotency-Key”")


# Rates and sessions


def test_too_many_requests_are_told_to_wait(
    client: Client, project: Project, settings: Any, vera: User
) -> None:
    settings.API_RATE = 3
    with time_machine.travel("2026-11-25 12:00:20Z", tick=False) as clock:
        assert [client.get("/api/v1/me").status_code for _ in range(4)] == [200] * 3 + [429]
        answer = client.get("/api/v1/me")
        assert told(answer).startswith("429")
        assert answer["Retry-After"] == "40"
        person = Client()
        person.force_login(vera)
        assert person.get("/api/v1/me").status_code == 200
        clock.shift(40)
        assert client.get("/api/v1/me").status_code == 200


def test_a_person_uses_it_with_the_token_of_the_page(erik: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(erik)
    assert browser.get("/api/v1/me").json()["kind"] == "person"
    browser.get("/models/new/")
    token = browser.cookies["csrftoken"].value
    assert post(browser, NEW, headers={"X-CSRFToken": token}).status_code == 201
    assert Candidate.objects.get().endpoint.probes.get().created_by == erik


# The document


def test_the_document_describes_everything() -> None:
    found = document.document()
    assert found["openapi"] == "3.1.0"
    assert set(found["components"]["securitySchemes"]) == {"Bearer", "Session"}
    ids = []
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            ids.append(operation["operationId"])
            assert operation["description"] and operation["tags"], where
            assert operation["security"], where
            assert {"401", "403", "429"} <= set(operation["responses"]), where
            for parameter in operation["parameters"]:
                assert parameter.get("description"), f"{where} {parameter['name']}"
            if method == "post":
                assert "Idempotency-Key" in str(operation["parameters"])
            if body := operation.get("requestBody"):
                if "application/json" not in body["content"]:
                    continue  # a file
                reference = body["content"]["application/json"]["schema"]["$ref"]
                schema = found["components"]["schemas"][reference.rpartition("/")[2]]
                assert schema.get("examples") or schema["properties"], where
    assert len(ids) == len(set(ids))


def test_every_reference_of_the_document_leads_somewhere() -> None:
    found = document.document()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(reference := value.get("$ref"), str):
                target = found
                for step in reference.removeprefix("#/").split("/"):
                    target = target[step]
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(found)
