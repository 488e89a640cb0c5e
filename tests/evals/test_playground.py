"""The playground: who may ask what, what is told, what can be kept."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from django.core import signing
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from evals import playground
from evals.llm.streaming import Prompt
from evals.models import Candidate, KeptQuestion
from portal.accounts.models import AuditEntry, Project, User
from tests.evals.making import NOWHERE, make_candidate
from tests.evals.stub_server import StubServer

pytestmark = pytest.mark.django_db
PAYLOAD = '<img src=x onerror="document.title=1">'
FORM = {"prompt": "What is tea?", "system": "", "temperature": "0", "max_tokens": "64", "seed": ""}


def asked(candidate: Candidate, by: User, **changes: Any) -> playground.Question:
    prompt = Prompt([{"role": "user", "content": "What is tea?"}], 64)
    return playground.question(candidate, prompt, by=by)._replace(**changes)


def happened(question: playground.Question) -> list[dict[str, Any]]:
    async def collect() -> list[dict[str, Any]]:
        return [event async for event in playground.events(question)]

    return asyncio.run(collect())


def stream(client: Client, candidate: Candidate, **form: str) -> list[dict[str, Any]]:
    """The events of an answer, read as a script reads them."""
    url = reverse("evals:playground_answer", args=[candidate.pk])
    response = client.post(url, FORM | form)
    assert response.headers["Content-Type"] == "text/event-stream"
    frames = b"".join(response).decode().split("\n\n")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames if frame]


@pytest.fixture(autouse=True)
def nobody_has_asked_yet() -> None:
    cache.clear()


@pytest.fixture
def candidate(project: Project, stub: StubServer) -> Candidate:
    return make_candidate(project, "Alder", stub.base_url)


def text_of(events: list[dict[str, Any]], kind: str = "text") -> str:
    return "".join(event["text"] for event in events if event["kind"] == kind)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_it_streams_pieces_then_figures(
    as_erik: Client, candidate: Candidate, stub: StubServer
) -> None:
    stub.reset(say="Leaves in hot water.", think="Short, please.", pace=0.01)
    events = stream(as_erik, candidate)
    assert text_of(events) == "Leaves in hot water."
    assert text_of(events, "reasoning") == "Short, please."
    assert sum(event["kind"] == "text" for event in events) == 5
    figures = dict(events[-1]["figures"])
    assert events[-1]["kind"] == "end"
    assert (figures["Prompt tokens"], figures["Answer tokens"]) == ("3", "5")
    assert figures["Ended by"] == "stop"
    assert figures["First token after"].endswith("ms")
    assert figures["Tokens per second"] != "–"


def test_it_tells_numbers_and_failures_in_the_language_of_the_person(
    erik: User, candidate: Candidate, stub: StubServer
) -> None:
    stub.reset(say="Leaves in hot water.", pace=0.01)
    end = happened(asked(candidate, erik, language="de"))[-1]
    assert any("," in value for _label, value in end["figures"])


def test_it_tells_the_cost_where_a_price_is_known(
    erik: User, candidate: Candidate, stub: StubServer
) -> None:
    from evals import candidates

    assert "Cost" not in dict(happened(asked(candidate, erik))[-1]["figures"])
    candidates.set_price(
        candidate.endpoint, pricing="token", currency="EUR", per_million_prompt=Decimal(1000),
        per_million_answer=Decimal(2000), by=erik,
    )  # fmt: skip
    candidate.refresh_from_db()
    stub.reset(say="Leaves in hot water.")
    assert dict(happened(asked(candidate, erik))[-1]["figures"])["Cost"] == "0.013 EUR"
    stub.reset(say="Leaves in hot water.", stream="bare")
    assert "Cost" not in dict(happened(asked(candidate, erik))[-1]["figures"])


@pytest.mark.parametrize(
    ("faults", "failure", "detail"),
    [
        ({"every": 1, "kind": "500"}, "The server failed.", "out of order"),
        ({"every": 1, "kind": "429"}, "The server is overloaded.", "HTTP 429"),
        ({"every": 1, "kind": "401"}, "The server refuses the stored API key", "HTTP 401"),
        ({"say": "x" * 40, "stream": "drop"}, "The server cannot be reached, or", "connection"),
        ({"say": "x" * 40, "stream": "garbage"}, "The server's reply cannot be read.", ""),
        ({"say": "x" * 40, "stream": "error"}, "The server failed.", "out of memory"),
    ],
)
def test_it_says_what_went_wrong(
    erik: User, candidate: Candidate, stub: StubServer, faults: dict[str, Any], failure: str,
    detail: str,
) -> None:  # fmt: skip
    stub.reset(**faults)
    last = happened(asked(candidate, erik))[-1]
    assert last["kind"] == "failed"
    assert last["failure"].startswith(failure)
    assert detail in last["detail"]


def test_it_shows_an_answer_without_counts_or_reason(
    erik: User, candidate: Candidate, stub: StubServer
) -> None:
    stub.reset(say="Leaves in hot water.", stream="bare")
    events = happened(asked(candidate, erik))
    assert text_of(events) == "Leaves in hot water."
    assert dict(events[-1]["figures"])["Answer tokens"] == "–"


def test_it_says_that_a_host_is_not_allowed(project: Project, erik: User) -> None:
    candidate = make_candidate(project, "Far", "http://192.0.2.1/v1")
    [event] = happened(asked(candidate, erik))
    assert "not on the list of allowed hosts" in event["failure"]
    assert "PORTAL_OUTBOUND_ALLOW" in event["failure"]


def test_it_holds_no_key_in_what_it_tells(
    project: Project, erik: User, stub: StubServer, caplog: pytest.LogCaptureFixture
) -> None:
    from evals import candidates

    candidate = make_candidate(project, "Keyed", stub.base_url)
    candidates.change_endpoint(
        candidate.endpoint, base_url=stub.base_url, served_model="stub", concurrency=1,
        api_key="sk-canary-8861",
    )  # fmt: skip
    caplog.set_level("DEBUG")
    stub.reset(every=2, kind="401")
    told = happened(asked(candidate, erik)) + happened(asked(candidate, erik))
    assert [told[-1]["kind"], told[-2]["kind"]] == ["failed", "end"]
    assert list(stub.counts()["keys"]) == ["Bearer sk-canary-8861"]
    assert "canary" not in json.dumps(told) + caplog.text


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_it_remembers_models_and_settings_but_not_the_prompt(
    as_erik: Client, candidate: Candidate, stub: StubServer
) -> None:
    stream(as_erik, candidate, m=str(candidate.pk), system="Be brief.", seed="7")
    page = as_erik.get(reverse("evals:playground"))
    assert "Be brief." in page.text
    assert page.context["slots"][0] == candidate
    assert page.context["form"]["seed"].value() == 7
    assert "What is tea?" not in page.text


def test_it_answers_without_a_script_and_one_failure_disturbs_no_other(
    as_erik: Client, project: Project, candidate: Candidate, stub: StubServer
) -> None:
    stub.reset(say=PAYLOAD)
    dead = make_candidate(project, "Dead", NOWHERE)
    page = as_erik.post(
        reverse("evals:playground"), FORM | {"m": [str(candidate.pk), str(dead.pk)]}
    )
    assert page.status_code == 200
    good, bad = page.context["answers"]
    assert good.text == PAYLOAD
    assert bad.failure.startswith("The server cannot be reached")
    assert PAYLOAD not in page.text
    assert "&lt;img src=x" in page.text


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"prompt": ""}, "This field is required."),
        ({"temperature": "9"}, "less than or equal to 2"),
        ({"max_tokens": "99999999"}, "less than or equal to"),
        ({"seed": "-1"}, "greater than or equal to 0"),
    ],
)
def test_it_tells_faults_of_the_form(
    as_erik: Client, candidate: Candidate, stub: StubServer, form: dict[str, str], told: str
) -> None:
    page = as_erik.post(reverse("evals:playground"), FORM | {"m": str(candidate.pk)} | form)
    assert page.status_code == 422
    assert told in page.text
    answer = as_erik.post(reverse("evals:playground_answer", args=[candidate.pk]), FORM | form)
    assert answer.status_code == 422
    assert told in answer.json()["failure"]
    assert stub.counts()["requests"] == 0


def test_it_wants_a_model_of_this_project(as_erik: Client, mallory: User) -> None:
    page = as_erik.post(reverse("evals:playground"), FORM)
    assert page.status_code == 422
    foreign = make_candidate(Project.objects.get(name="Elsewhere"), "Foreign")
    assert as_erik.get(reverse("evals:playground"), {"m": foreign.pk}).status_code == 404
    assert as_erik.post(reverse("evals:playground"), FORM | {"m": foreign.pk}).status_code == 404


def test_it_makes_people_wait_who_ask_very_often(
    as_erik: Client, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playground, "allowed", lambda person: False)
    answer = as_erik.post(reverse("evals:playground_answer", args=[candidate.pk]), FORM)
    assert answer.status_code == 429
    assert "Wait a moment" in answer.json()["failure"]


def test_it_counts_the_answers_of_each_person(erik: User, alice: User) -> None:
    assert [playground.allowed(erik) for _ in range(playground.PER_MINUTE + 1)].count(False) == 1
    assert playground.allowed(alice)


@pytest.fixture
def sealed(erik: User, candidate: Candidate, stub: StubServer) -> str:
    stub.reset(say="=Leaves in hot water.")
    return happened(asked(candidate, erik))[-1]["sealed"]


def keep(client: Client, sealed: str, note: str = "") -> Any:
    return client.post(reverse("evals:question_keep"), {"sealed": sealed, "note": note})


def test_it_keeps_an_answer_once_with_a_note(
    as_erik: Client, candidate: Candidate, sealed: str
) -> None:
    assert keep(as_erik, sealed).headers["Location"] == reverse("evals:questions")
    keep(as_erik, sealed, note="Good tone")
    kept = KeptQuestion.objects.get()
    assert (kept.prompt, kept.answer) == ("What is tea?", "=Leaves in hot water.")
    assert (kept.note, kept.candidate, kept.served_model) == ("Good tone", candidate, "stub")
    entry = AuditEntry.objects.get(action="question.keep")
    assert entry.actor_name == "erik"
    page = as_erik.get(reverse("evals:questions"))
    assert "Good tone" in page.text


def test_it_keeps_nothing_that_no_model_said(
    as_erik: Client, client: Client, mallory: User, sealed: str
) -> None:
    for made_up in ("", "made-up", signing.dumps({"project": 1}, salt="other"), sealed + "x"):
        keep(as_erik, made_up)
    part = as_erik.post(
        reverse("evals:question_keep"), {"sealed": "made-up"}, headers={"HX-Request": "true"}
    )
    assert part.status_code == 422
    assert "can no longer be kept" in part.text
    client.force_login(mallory)
    keep(client, sealed)  # the answer belongs to another project
    assert not KeptQuestion.objects.exists()


def test_it_keeps_texts_that_databases_refuse(as_erik: Client, candidate: Candidate) -> None:
    answered = {
        "project": candidate.project_id, "candidate": candidate.pk, "served_model": "stub",
        "messages": [{"role": "user", "content": "nul \0"}], "answer": "half \ud83d",
    }  # fmt: skip
    keep(as_erik, signing.dumps(answered, salt=playground.SALT, compress=True))
    assert KeptQuestion.objects.get().answer == "half \ufffd"


def test_it_writes_kept_questions_as_files(as_erik: Client, sealed: str) -> None:
    keep(as_erik, sealed, note="=1+1")
    lines = as_erik.get(reverse("evals:questions_file", args=["jsonl"])).getvalue().splitlines()
    [record] = [json.loads(line) for line in lines]
    assert record["messages"] == [{"role": "user", "content": "What is tea?"}]
    assert record["model"] == "Alder"
    table = as_erik.get(reverse("evals:questions_file", args=["csv"])).getvalue()
    [row] = csv.DictReader(io.StringIO(table.decode("utf-8-sig")))
    assert row["answer"] == "'=Leaves in hot water."
    assert row["note"] == "'=1+1"
    assert as_erik.get(reverse("evals:questions_file", args=["exe"])).status_code == 404


def test_it_deletes_a_kept_question(as_erik: Client, sealed: str) -> None:
    keep(as_erik, sealed)
    kept = KeptQuestion.objects.get()
    as_erik.post(reverse("evals:question_delete", args=[kept.pk]))
    assert not KeptQuestion.objects.exists()
    assert AuditEntry.objects.filter(action="question.delete").exists()


def test_a_viewer_reads_kept_questions_and_changes_nothing(
    client: Client, vera: User, as_erik: Client, sealed: str
) -> None:
    keep(as_erik, sealed)
    client.force_login(vera)
    page = client.get(reverse("evals:questions"))
    assert page.status_code == 200
    assert "Delete" not in page.text


def test_the_list_takes_the_same_queries_however_long_it_is(
    as_erik: Client, project: Project, candidate: Candidate, django_assert_max_num_queries: Any
) -> None:
    KeptQuestion.objects.bulk_create(
        KeptQuestion(
            project=project, candidate=candidate, answer=str(n),
            messages=[{"role": "user", "content": PAYLOAD}],
        )
        for n in range(60)
    )  # fmt: skip
    with django_assert_max_num_queries(8):
        page = as_erik.get(reverse("evals:questions"))
    assert PAYLOAD not in page.text
