"""Runs by API: started by name, waited for, stopped, resumed, read."""

from __future__ import annotations

import json

import pytest
from pytest_django import DjangoAssertNumQueries

from evals import runs
from evals.models import Part, Run, Sample
from portal.accounts.models import AuditEntry, Project
from tests.evals.asking import Asking
from tests.evals.making import carry_out, make_candidate, make_run, make_suite
from tests.evals.stub_server import StubServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(project: Project) -> Asking:
    return Asking(project)


def test_it_starts_by_name_and_slug(project: Project, ask: Asking) -> None:
    candidate, suite = make_candidate(project), make_suite(project)
    answer = ask.post("/runs", {"candidate": candidate.name, "suite": suite.slug})
    run = Run.objects.get()
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/runs/{run.pk}"
    found = answer.json()
    assert (found["id"], found["state"], found["finished"]) == (run.pk, "queued", False)
    assert (found["total"], found["done"], found["overall"]) == (16, 0, None)
    again = ask.post("/runs", {"candidate": candidate.pk, "suite": suite.pk})
    assert (again.status_code, again.json()["id"]) == (200, run.pk)


def test_it_is_limited_to_languages(project: Project, ask: Asking) -> None:
    body = {"candidate": make_candidate(project).pk, "suite": make_suite(project).pk}
    found = ask.post("/runs", body | {"languages": ["de"]}).json()
    assert (found["languages"], found["total"]) == (["de"], 8)
    whole = ask.post("/runs", body | {"languages": ["en", "de"]}).json()
    assert (whole["languages"], whole["total"]) == (None, 16)
    assert ask.post("/runs", body).json()["id"] == whole["id"]
    wrong = ask.post("/runs", body | {"languages": ["xx"]})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "languages")
    assert "It has: de, en" in wrong.json()["detail"]


def test_the_key_is_the_actor_in_the_audit_log(project: Project, ask: Asking) -> None:
    ask.post("/runs", {"candidate": make_candidate(project).pk, "suite": make_suite(project).pk})
    entry = AuditEntry.objects.get(action="run.start")
    assert (entry.actor, entry.actor_name) == (None, f"CI ({ask.key.prefix}…)")


def test_a_finished_run_has_its_scores(project: Project, stub: StubServer, ask: Asking) -> None:
    candidate, suite = make_candidate(project, base_url=stub.base_url), make_suite(project)
    run = carry_out(runs.start(candidate, suite))
    found = ask.get(f"/runs/{run.pk}").json()
    assert (found["state"], found["finished"], found["done"]) == ("done", True, 16)
    assert [score["benchmark"] for score in found["scores"]] == ["colours", "words"]
    mean = sum(score["value"] for score in found["scores"]) / 2
    assert found["overall"] == pytest.approx(mean)
    assert all(score["low"] <= score["value"] <= score["high"] for score in found["scores"])
    every = ask.get(f"/runs/{run.pk}/scores").json()["items"]
    assert {"acc", "acc_norm", "exact_match"} <= {score["metric"] for score in every}
    assert {s["metric"] for s in every if s["primary"]} == {"acc", "exact_match"}


def test_it_is_cancelled_and_resumed(project: Project, ask: Asking) -> None:
    run = runs.start(make_candidate(project), make_suite(project))
    assert ask.post(f"/runs/{run.pk}/cancel").json()["state"] == "cancelled"
    assert ask.post(f"/runs/{run.pk}/cancel").json()["state"] == "cancelled"
    assert ask.post(f"/runs/{run.pk}/resume").json()["state"] == "queued"
    assert ask.post(f"/runs/{run.pk}/resume").json()["state"] == "queued"


def test_a_refusal_brings_the_evidence(project: Project, ask: Asking) -> None:
    candidate = make_candidate(project, can=["chat", "completions"])
    answer = ask.post("/runs", {"candidate": candidate.name, "suite": make_suite(project).slug})
    assert answer.status_code == 422
    assert "Log-probabilities" in answer.json()["detail"]
    assert answer.json()["errors"][0]["field"] == "candidate"
    assert answer.json()["evidence"][0]["name"] == "echo_logprobs"


@pytest.mark.parametrize("field", ["candidate", "suite"])
@pytest.mark.parametrize("wanted", ["Nobody", 10**12, 2**63])
def test_what_is_not_there_is_named(
    project: Project, ask: Asking, field: str, wanted: str | int
) -> None:
    body = {"candidate": make_candidate(project).pk, "suite": make_suite(project).pk}
    answer = ask.post("/runs", body | {field: wanted})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith(field)


def test_runs_are_filtered_and_paged_without_gaps(
    project: Project, ask: Asking, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    suite = make_suite(project)
    for number in range(5):
        make_run(make_candidate(project, f"m{number}"), suite, {"colours": [1, 0], "words": [1]})
    seen, cursor = [], ""
    while cursor is not None:
        with django_assert_max_num_queries(3):  # key, its last use, runs
            found = ask.get("/runs", limit=2, cursor=cursor).json()
        seen += [run["candidate"]["name"] for run in found["items"]]
        cursor = found["next"]
    assert seen == ["m4", "m3", "m2", "m1", "m0"]
    assert len(ask.get("/runs", state="done").json()["items"]) == 5
    assert ask.get("/runs", state="failed").json() == {"items": [], "next": None}


def test_samples_are_paged_over_benchmarks(project: Project, ask: Asking) -> None:
    values = {"colours": [1, 0, None, 1], "words": [0, 1, 1]}
    run = make_run(make_candidate(project), make_suite(project), values)
    seen, cursor = [], ""
    while cursor is not None:
        found = ask.get(f"/runs/{run.pk}/samples", limit=2, cursor=cursor).json()
        assert len(found["items"]) <= 2
        seen += [(each["benchmark"], each["doc_id"]) for each in found["items"]]
        cursor = found["next"]
    assert seen == [("colours", n) for n in range(4)] + [("words", n) for n in range(3)]
    errors = ask.get(f"/runs/{run.pk}/samples", kind="error").json()["items"]
    assert [(each["doc_id"], each["error"]) for each in errors] == [(2, "out of order")]
    words = ask.get(f"/runs/{run.pk}/samples", benchmark="words", kind="wrong").json()["items"]
    assert [each["doc_id"] for each in words] == [0]
    refused = ask.get(f"/runs/{run.pk}/samples", benchmark="nothing").json()
    assert "colours, words" in refused["detail"]


def test_a_page_of_samples_costs_few_queries(
    project: Project, ask: Asking, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    run = make_run(
        make_candidate(project), make_suite(project), {"colours": [1] * 300, "words": [0] * 9}
    )
    ask.get("/me")
    with django_assert_max_num_queries(4):  # key, run, parts, samples
        assert len(ask.get(f"/runs/{run.pk}/samples", limit=200).json()["items"]) == 200
    with django_assert_max_num_queries(4):  # key, run, parts, scores
        ask.get(f"/runs/{run.pk}")


def test_the_export_is_one_sample_a_line(project: Project, ask: Asking) -> None:
    run = make_run(
        make_candidate(project), make_suite(project), {"colours": [1] * 450, "words": [0, None]}
    )
    Sample.objects.filter(doc_id=0).update(answer="two\nlines \u2028 =1+1")
    answer = ask.get(f"/runs/{run.pk}/export")
    assert answer["Content-Type"] == "application/x-ndjson"
    lines = b"".join(answer.streaming_content).decode().splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == 452
    assert found[0]["answer"] == "two\nlines \u2028 =1+1"
    assert set(found[0]) == set(ask.get(f"/samples/{found[0]['id']}").json())
    assert AuditEntry.objects.filter(action="run.export").count() == 1


def test_the_board_is_the_one_of_the_page(project: Project, ask: Asking) -> None:
    suite = make_suite(project)
    for name, right in (("good", 1), ("poor", 0)):
        make_run(make_candidate(project, name), suite, {"colours": [right] * 8, "words": [1] * 8})
    found = ask.get("/leaderboard", suite="small").json()
    assert [row["candidate"]["name"] for row in found["rows"]] == ["good", "poor"]
    assert found["rows"][0]["overall"]["value"] == 1
    assert found["rows"][1]["gap"]["real"] is True
    assert len(ask.get("/leaderboard", suite="small", language="de").json()["benchmarks"]) == 1
    assert (
        "This suite has: de, en."
        in ask.get("/leaderboard", suite="small", language="xx").json()["detail"]
    )
    assert ask.get("/leaderboard", suite="nothing").status_code == 404


def test_an_unfinished_run_says_when_to_ask_again(project: Project, ask: Asking) -> None:
    run = runs.start(make_candidate(project), make_suite(project))
    assert ask.get(f"/runs/{run.pk}", wait=1)["Retry-After"] == "1"
    Part.objects.filter(run=run).delete()
    Run.objects.filter(pk=run.pk).update(state="failed")
    assert "Retry-After" not in ask.get(f"/runs/{run.pk}", wait=1)
