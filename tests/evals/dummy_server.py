"""Control models behind a real server: one knows every answer, one guesses, one never moves.

``oracle`` takes the right choice, ``random`` any (seeded by the question), ``constant`` always
the first. What they know comes from a table of rendered prompts, made by ``table_of``; all else
is answered as the stub server does, so that the portal's check of the endpoint passes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from evals.engines import BenchmarkSpec
from evals.engines.lm_eval import prepare
from tests.evals.stub_server import Faults, Stub, StubServer, tokens

MODES = ("oracle", "random", "constant")
TAKEN, LEFT = -0.01, -60.0  # log-likelihoods of the choice taken and of the others, in nats


class Table(NamedTuple):
    """``likely``: prompt with a choice → log-likelihood; ``said``: prompt or chat → answer."""

    likely: dict[str, float]
    said: dict[str, str]


def table_of(specs: Iterable[BenchmarkSpec], mode: str) -> Table:
    """What the control model ``mode`` answers to every question of ``specs``."""
    table = Table({}, {})
    for spec in specs:
        made = prepare(spec)
        documents = list(made.documents())
        targets = [made.task.doc_to_target(document.doc) for document in documents]
        labels = sorted(set(targets))
        for document, target in zip(documents, targets, strict=True):
            prompt = str(document.requests[0].args[0])
            count = len(document.requests) if spec.scoring == "options" else len(labels)
            right = int(target) if spec.scoring == "options" else labels.index(target)
            chosen = {"oracle": right, "random": guess(prompt, count), "constant": 0}[mode]
            if spec.scoring == "options":
                for number, request in enumerate(document.requests):
                    text = prompt + request.args[1]
                    table.likely[text] = TAKEN if number == chosen else LEFT
            else:
                table.said[prompt] = labels[chosen]
    return table


def guess(prompt: str, count: int) -> int:
    return int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big") % count


class Dummy(Stub):
    def __init__(self, table: Table) -> None:
        super().__init__(Faults())
        self.table = table

    async def chat(self, request: web.Request) -> web.Response:
        messages = (await request.json())["messages"]
        self.faults.say = self.table.said.get(json.dumps(messages, ensure_ascii=False), "")
        return await super().chat(request)

    def _choice(self, index: int, prompt: str, body: dict[str, Any]) -> dict[str, Any]:
        if not body.get("echo"):
            self.faults.say = self.table.said.get(prompt, "")
        likely = self.table.likely.get(prompt)
        if likely is None or not body.get("echo"):
            return super()._choice(index, prompt, body)
        # The last token of the prompt carries all of it, and always belongs to the choice.
        words = [*tokens(prompt), " so"]
        values = [None, *[0.0] * (len(words) - 3), likely, 0.0]
        offsets = list(itertools.accumulate(map(len, words[:-1]), initial=0))
        tops = [v if v is None else {w: v} for w, v in zip(words, values, strict=True)]
        return {
            "index": index,
            "text": "".join(words),
            "finish_reason": "length",
            "_written": 1,
            "logprobs": {
                "tokens": words,
                "token_logprobs": values,
                "top_logprobs": tops,
                "text_offset": offsets,
            },
        }


class DummyServer(StubServer):
    """A control model as a process: ``with DummyServer(table, folder) as server``."""

    def __init__(self, table: Table, folder: Path) -> None:
        super().__init__()
        self.file = folder / f"table-{self.port}.json"
        self.file.write_text(json.dumps(table), encoding="utf-8")

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-m", __name__, str(self.port), str(self.file)]


def main() -> None:
    port, file = sys.argv[1:]
    table = Table(*json.loads(Path(file).read_text(encoding="utf-8")))
    web.run_app(Dummy(table).app(), host="127.0.0.1", port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main()
