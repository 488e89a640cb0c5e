"""EuroEval-style tasks on real vLLM: answers come in a form where the server keeps to forms."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from evals.demo.servers import ModelServer, running
from evals.models import Part, Run, Suite
from evals.styles.tasks import TASKS
from evals.styles.templates import template
from portal.accounts.models import Project
from tests.evals.formed import NAME
from tests.evals.making import make_suite
from tests.evals.reference import measured
from tests.real import PYTHON, ROOT, Served

pytestmark = [pytest.mark.vllm, pytest.mark.django_db(transaction=True)]
# Sentences with one name each; the model finds the one that it knows and takes it for a person.
NAMED = [
    (NAME, "PER"),
    ("Mia", "PER"),
    (NAME, "ORG"),
    (NAME, "PER"),
    ("Rome", "LOC"),
    (NAME, "PER"),
]
ROWS: dict[str, list[dict[str, Any]]] = {
    "entities": [
        {"tokens": [name, "is", "number", str(at)], "tags": [f"B-{kind}", "O", "O", "O"]}
        for at, (name, kind) in enumerate(NAMED)
    ],
    "sentiment": [{"text": f"Number {at} is so.", "answer": at % 3} for at in range(len(NAMED))],
}
COUNT = len(NAMED)
F1 = 2 * 3 / (4 + 6)  # of four names that it finds three are right, of six


class Between:
    """Passes all on to a server and keeps the chats; ``deaf`` leaves the form out of each."""

    def __init__(self, target: str, deaf: bool) -> None:
        self.target, self.deaf = target.removesuffix("/v1"), deaf
        self.chats: list[dict[str, Any]] = []

    async def pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.path.endswith("/chat/completions"):
            asked = json.loads(body)
            self.chats.append(asked)
            if self.deaf:
                kept = {name: value for name, value in asked.items() if name != "response_format"}
                body = json.dumps(kept).encode()
        headers = {"Content-Type": request.headers.get("Content-Type", "application/json")}
        url = self.target + request.path_qs
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, url, data=body, headers=headers) as reply,
        ):
            return web.Response(
                body=await reply.read(),
                status=reply.status,
                headers={"Content-Type": reply.headers.get("Content-Type", "text/plain")},
            )


@contextmanager
def between(served: Served, *, deaf: bool = False) -> Iterator[tuple[Between, Served]]:
    """A door before ``served`` that notes what is asked, on a thread of its own."""
    door = Between(served.base_url, deaf)
    loop = asyncio.new_event_loop()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", door.pass_on)
    runner = web.AppRunner(app, access_log=None)

    async def open_it() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner.addresses[0][1]

    port = loop.run_until_complete(open_it())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield door, Served(served.name, f"http://127.0.0.1:{port}/v1")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(runner.cleanup())
        loop.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The model of ``formed`` behind a real vLLM."""
    if not PYTHON.exists():
        pytest.skip("no model environment: run manage.py test without arguments")
    folder = tmp_path_factory.mktemp("formed")
    command = [str(PYTHON), "-m", "tests.evals.formed", "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    log = folder.parent / "formed.log"
    server = ModelServer(python=PYTHON, model=folder, name="formed", log=log)
    with running([server]):
        yield Served(server.name, server.base_url)


@pytest.fixture
def suite(project: Project) -> Suite:
    """Named entities and sentiment, as chat."""
    return make_suite(
        project,
        *(
            {
                "name": task,
                "title": task,
                "family": task,
                "language": "en",
                "engine": "euro_style",
                "scoring": "generate",
                "metric": TASKS[task].metrics[0],
                "rows": rows,
                "options": {"num_fewshot": 2, "chat": True},
                "task": {"task": task, "language": "en"},
            }
            for task, rows in ROWS.items()
        ),
    )


def asked_of(run: Run, door: Between) -> dict[str, list[dict[str, Any]]]:
    """The chats of the run by task: each question once, the check before it left out."""
    found = {}
    for part in run.parts.select_related("benchmark"):
        prompts = [json.loads(sample.prompt) for sample in part.samples.all()]
        mine = [chat for chat in door.chats if chat["messages"] in prompts]
        assert len(mine) == len(prompts) == COUNT
        found[part.benchmark.name] = mine
    return found


def test_a_server_that_keeps_to_forms_is_asked_for_them_and_obeys(
    project: Project, suite: Suite, served: Served
) -> None:
    with between(served) as (door, there):
        run = measured(project, there, suite)
    assert run.candidate.endpoint.verified.can("structured_output")
    chats = asked_of(run, door)
    labels = list(template("en", "entities").labels.values())
    words = list(template("en", "sentiment").labels.values())
    for task, keys in (("entities", labels), ("sentiment", ["label"])):
        for chat in chats[task]:
            form = chat["response_format"]
            assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
            assert list(form["json_schema"]["schema"]["properties"]) == keys

    entities, sentiment = (run.parts.get(benchmark__name=task) for task in ROWS)
    for sample in entities.samples.all():
        assert json.loads(sample.raw) == {key: [NAME] for key in labels}
        assert json.loads(sample.answer) == json.loads(sample.raw)
    found = scores_of(entities)
    assert found["micro_f1_no_misc"] == found["micro_f1"] == pytest.approx(F1)
    said = [json.loads(sample.raw) for sample in sentiment.samples.all()]
    assert all(list(each) == ["label"] and each["label"] in words for each in said)
    right = [words[row["answer"]] for row in ROWS["sentiment"]]
    share = sum(one["label"] == other for one, other in zip(said, right, strict=True)) / COUNT
    assert scores_of(sentiment)["acc"] == pytest.approx(share)
    for part in (entities, sentiment):
        assert scores_of(part)["extraction_failed"] == 0


def test_a_server_that_ignores_forms_runs_the_same_suite_without_them(
    project: Project, suite: Suite, served: Served
) -> None:
    with between(served, deaf=True) as (door, there):
        run = measured(project, there, suite)
    assert not run.candidate.endpoint.verified.can("structured_output")
    for chats in asked_of(run, door).values():
        assert all("response_format" not in chat for chat in chats)
    for part in run.parts.all():  # the same model, which fills in no form by itself
        assert scores_of(part)["extraction_failed"] == 1


def scores_of(part: Part) -> dict[str, float]:
    found = {score.metric: score for score in part.scores.all()}
    assert all((each.asked, each.answered) == (COUNT, COUNT) for each in found.values())
    return {name: each.value for name, each in found.items()}
