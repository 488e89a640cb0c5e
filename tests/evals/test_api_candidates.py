"""Models, endpoints, checks and suites by API."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from evals.models import Candidate, Probe, Suite
from portal.accounts.models import AuditEntry, Project
from tests.evals.asking import Asking
from tests.evals.making import make_candidate, make_suite

pytestmark = pytest.mark.django_db
CANARY = "sk-CANARY-0123456789-wxyz"
NEW = {"name": "Alder-7B", "base_url": "http://127.0.0.1:9/v1", "served_model": "alder"}


@pytest.fixture
def ask(project: Project) -> Asking:
    return Asking(project)


def test_it_registers_a_model_and_checks_it(project: Project, ask: Asking) -> None:
    answer = ask.post("/candidates", NEW | {"parameters": 7, "languages": ["de", "en"]})
    assert answer.status_code == 201, answer.content
    made = Candidate.objects.get()
    assert answer["Location"] == f"/api/v1/candidates/{made.pk}"
    assert (made.project, made.parameters, made.languages) == (project, 7, ["de", "en"])
    found = ask.get(f"/candidates/{made.pk}/endpoint/check").json()
    assert (found["state"], found["finished"]) == ("queued", False)
    assert answer.json()["endpoint"]["checked"] is False


def test_a_key_is_never_given_back(ask: Asking) -> None:
    made = ask.post("/candidates", NEW | {"api_key": CANARY})
    pk = made.json()["id"]
    endpoint = {"base_url": "http://127.0.0.1:9/v2", "served_model": "x", "api_key": CANARY}
    answers = [
        made,
        ask.get(f"/candidates/{pk}"),
        ask.get("/candidates"),
        ask.send("put", f"/candidates/{pk}/endpoint", endpoint),
        ask.post("/candidates", NEW | {"api_key": CANARY + "\n"}),
        ask.post("/candidates", NEW | {"api_key": [CANARY]}),
        ask.post("/candidates", NEW | {"api_key": CANARY * 50}),
        ask.post("/candidates", NEW | {"name": "other", "api_key": CANARY + "ü"}),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 422, 422, 422, 422]
    assert all(CANARY not in answer.content.decode() for answer in answers)
    assert answers[1].json()["endpoint"]["key_last_four"] == "wxyz"
    assert CANARY not in str(list(AuditEntry.objects.values_list("details", flat=True)))


def test_a_key_is_forgotten_when_the_server_moves(ask: Asking) -> None:
    pk = ask.post("/candidates", NEW | {"api_key": CANARY}).json()["id"]
    path = f"/candidates/{pk}/endpoint"
    same = {"base_url": NEW["base_url"], "served_model": "alder", "concurrency": 2}
    kept = ask.send("put", path, same).json()
    assert (kept["has_key"], kept["concurrency"], kept["revision"]) == (True, 2, 1)
    moved = ask.send("put", path, same | {"base_url": "http://127.0.0.1:10/v1"}).json()
    assert (moved["has_key"], moved["revision"]) == (False, 2)


def test_the_software_of_a_server_is_named_and_kept(ask: Asking) -> None:
    made = ask.post("/candidates", NEW | {"dialect": "llama.cpp"}).json()
    path = f"/candidates/{made['id']}/endpoint"
    same = {"base_url": NEW["base_url"], "served_model": "alder"}
    assert made["endpoint"]["dialect"] == "llama.cpp"
    assert ask.send("put", path, same).json()["dialect"] == "llama.cpp"
    assert ask.send("put", path, same | {"dialect": "vllm"}).json()["revision"] == 2
    assert ask.send("put", path, same | {"dialect": "unheard-of"}).status_code == 422


def test_facts_change_one_by_one(ask: Asking) -> None:
    pk = ask.post("/candidates", NEW | {"licence": "MIT", "api_key": CANARY}).json()["id"]
    found = ask.send("patch", f"/candidates/{pk}", {"parameters": 8.5}).json()
    assert (found["parameters"], found["licence"], found["name"]) == (8.5, "MIT", "Alder-7B")
    assert found["endpoint"]["has_key"] and found["endpoint"]["revision"] == 1
    assert Probe.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"base_url": "http://169.254.169.254/v1"}, "base_url", ""),
        ({"base_url": "http://10.9.9.9/v1"}, "base_url", "PORTAL_OUTBOUND_ALLOW"),
        ({"base_url": "file:///etc/passwd"}, "base_url", ""),
        ({"name": ""}, "name", "at least 1"),
        ({"name": "x" * 121}, "name", "at most 120"),
        ({"name": 7}, "name", "valid string"),
        ({"name": "a\0b"}, "name", "NUL"),
        ({"name": "\ud800"}, "name", "half a character"),
        ({"concurrency": 0}, "concurrency", "greater than or equal to 1"),
        ({"concurrency": True}, "concurrency", "valid integer"),
        ({"concurrency": 10**400}, "concurrency", ""),
        ({"parameters": -1}, "parameters", "greater than or equal to 0"),
        ({"languages": "de"}, "languages", "valid list"),
        ({"languages": ["de", "a\0"]}, "languages[1]", "NUL"),
        ({"colour": "red"}, "colour", "not permitted"),
    ],
)
def test_a_wrong_field_is_named(ask: Asking, change: dict[str, Any], field: str, says: str) -> None:
    answer = ask.post("/candidates", NEW | change)
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    (fault,) = answer.json()["errors"]
    assert fault["field"] == field
    assert says in fault["message"]
    assert not Candidate.objects.exists()


def test_a_name_is_taken_once(project: Project, ask: Asking) -> None:
    make_candidate(project, "Alder-7B")
    answer = ask.post("/candidates", NEW)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "name", "value": "Alder-7B", "message": "A model of this name exists already."}
    ]


def test_a_check_that_runs_is_returned(project: Project, ask: Asking) -> None:
    pk = ask.post("/candidates", NEW).json()["id"]
    assert ask.post(f"/candidates/{pk}/endpoint/check").status_code == 202
    assert Probe.objects.count() == 1
    Probe.objects.update(state="done")
    assert ask.post(f"/candidates/{pk}/endpoint/check").status_code == 202
    assert Probe.objects.count() == 2


def test_a_list_costs_the_same_for_one_and_for_many(
    project: Project, ask: Asking, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(12):
        make_candidate(project, f"m{number}")
    ask.get("/me")
    with django_assert_max_num_queries(3):  # key, models with endpoints, checks
        found = ask.get("/candidates", limit=10).json()
    assert [each["name"] for each in found["items"]] == [f"m{n}" for n in range(11, 1, -1)]
    assert len(ask.get("/candidates", cursor=found["next"]).json()["items"]) == 2
    assert len(ask.get("/candidates", name="m7").json()["items"]) == 1


def test_shipped_suites_are_installed(project: Project, ask: Asking) -> None:
    assert ask.post("/suites", {"slug": "demo"}).status_code == 201
    again = ask.post("/suites", {"slug": "demo"})
    assert again.status_code == 200
    suite = Suite.objects.get()
    assert again.json()["id"] == suite.pk
    benchmarks = ask.get(f"/suites/{suite.pk}/benchmarks").json()["items"]
    assert len(benchmarks) == again.json()["benchmarks"] == suite.benchmarks.count()
    unknown = ask.post("/suites", {"slug": "nothing"})
    assert unknown.status_code == 422 and "demo" in unknown.json()["detail"]


def test_suites_are_found_by_slug(project: Project, ask: Asking) -> None:
    suite = make_suite(project)
    assert [s["id"] for s in ask.get("/suites", slug="small").json()["items"]] == [suite.pk]
    assert ask.get("/suites", slug="other").json()["items"] == []
    assert ask.get(f"/suites/{suite.pk}").json()["benchmarks"] == 2
