"""A stand-in for an inference server, as a process: ``python -m tests.evals.stub_server --port N``.

Its tokens are words, its log-probabilities hashes of (text before, token): the same question
gets the same answer whenever, by whomever and in whatever order it is asked, and a token has
the same log-probability generated and read, as the portal's check of an endpoint demands.
It counts how often each text was asked, and fails in the ways that real servers do.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from workers.supervisor import dies_with

MODEL = "stub"
WORDS = [" red", " green", " blue", " yes", " no", " one", " two", " three", " tea", " iron"]
LETTERS = [f" {letter}" for letter in "ABCDEFGHIJKLMNOP"]
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Faults:
    """How to fail. ``kind``: an HTTP status, "drop" (connection), "hang" (no answer), "stall"
    (half an answer, then nothing) or "cut" (half an answer as if it were a whole one).

    ``every``: each k-th request; ``after``: all beyond the first k; ``match``: requests whose
    text holds this word. ``retry_after`` is sent with it; ``delay`` in seconds comes before
    every answer; ``say`` takes the place of generated text; ``logprobs`` False: leaves
    log-probabilities out; ``version`` is what /version states.

    ``think`` is the reasoning of a chat. Streams: ``pace`` seconds lie between the pieces,
    ``stream`` what goes wrong after the first half: "drop", "stall", "garbage", "error" or
    "bare" (no counts, no reason, null where lists should be).

    ``shift`` lowers the log-probabilities of words that are not the likeliest: other weights.
    """

    kind: str = "500"
    every: int = 0
    after: int = -1
    match: str = ""
    retry_after: str = ""
    delay: float = 0.0
    say: str = ""
    logprobs: bool = True
    version: str = "stub 1.0"
    pace: float = 0.0
    think: str = ""
    stream: str = ""
    shift: float = 0.0


class Stub:
    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.forget()

    def forget(self) -> None:
        self.requests = 0
        self.texts: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()
        self.open = self.most_open = 0
        self.streams = 0
        self.last = 0.0

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/version", self.version)
        app.router.add_post("/tokenize", self.tokenize)
        app.router.add_post("/v1/completions", self.completions)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_get("/counts", self.counts)
        app.router.add_post("/reset", self.reset)
        return app

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "owned_by": "stub"}]})

    async def version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": self.faults.version})

    async def tokenize(self, request: web.Request) -> web.Response:
        found = tokens((await request.json())["prompt"])
        return web.json_response({"count": len(found), "tokens": list(range(len(found)))})

    async def completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompts = [body["prompt"]] if isinstance(body["prompt"], str) else body["prompt"]
        if failure := await self._begin(request, prompts):
            return failure
        choices = [self._choice(index, prompt, body) for index, prompt in enumerate(prompts)]
        read = sum(len(tokens(prompt)) for prompt in prompts)
        written = sum(choice.pop("_written") for choice in choices)
        return self._answer({"object": "text_completion", "choices": choices}, read, written)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        messages = body["messages"]
        if failure := await self._begin(request, [json.dumps(messages, ensure_ascii=False)]):
            return failure
        text = self.faults.say or reply(messages[-1]["content"])
        if body.get("stream"):
            return await self._stream(request, text, len(tokens(messages[-1]["content"])))
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        if self.faults.think:
            choice["message"]["reasoning_content"] = self.faults.think
        if body.get("logprobs") and self.faults.logprobs:
            top = self._first(messages[-1]["content"], body["top_logprobs"])
            listed = [{"token": token.strip(), "logprob": value} for token, value in top.items()]
            choice["logprobs"] = {"content": [listed[0] | {"top_logprobs": listed}]}
        read = sum(len(tokens(message["content"])) for message in messages)
        return self._answer({"object": "chat.completion", "choices": [choice]}, read, 1)

    async def _stream(self, request: web.Request, text: str, read: int) -> web.StreamResponse:
        """``text`` in pieces of four characters, which cut through anything in it."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
        deltas = [{"role": "assistant", "content": ""}, {"reasoning_content": self.faults.think}]
        deltas += [{"content": piece} for piece in pieces]
        bare = self.faults.stream == "bare"
        self.streams += 1
        try:
            for at, delta in enumerate(deltas):
                if at == len(deltas) // 2 + 1:
                    await self._break(request, response)
                await _say(response, {"choices": [{"index": 0, "delta": delta}]})
                await asyncio.sleep(self.faults.pace)
            if bare:
                await _say(response, {"choices": None, "usage": None})
                return response
            await _say(response, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
            usage = {"prompt_tokens": read, "completion_tokens": len(pieces)}
            await _say(response, {"choices": [], "usage": usage})
            await response.write(b"data: [DONE]\n\n")
        except ConnectionError:
            pass  # the reader hung up
        finally:
            self.streams -= 1
        return response

    async def _break(self, request: web.Request, response: web.StreamResponse) -> None:
        kind = self.faults.stream
        if kind == "garbage":
            await response.write(b'data: {"choices": [{"delta\n\n')
        if kind == "error":
            await _say(response, {"error": {"message": "out of memory", "code": 500}})
        if kind == "drop" and request.transport:
            request.transport.abort()
        while kind == "stall" and request.transport and not request.transport.is_closing():
            await asyncio.sleep(0.02)

    async def counts(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "requests": self.requests,
                "texts": self.texts,
                "keys": self.keys,
                "open": self.open,
                "streams": self.streams,
                "most_open": self.most_open,
                "idle": time.monotonic() - self.last if self.last else None,
            }
        )

    async def reset(self, request: web.Request) -> web.Response:
        self.faults = Faults(**await request.json())
        self.forget()
        return web.json_response({})

    async def _begin(self, request: web.Request, texts: list[str]) -> web.StreamResponse | None:
        """Count the request; a response when it is one of those that fail."""
        self.requests += 1
        self.texts.update(texts)
        self.keys[request.headers.get("Authorization", "")] += 1
        self.last = time.monotonic()
        number, faults = self.requests, self.faults
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            if faults.delay:
                await asyncio.sleep(faults.delay)
            if not (
                (faults.every and number % faults.every == 0)
                or 0 <= faults.after < number
                or (faults.match and any(faults.match in text for text in texts))
            ):
                return None
            if faults.kind == "hang":
                await asyncio.sleep(3600)
            if faults.kind in ("stall", "cut"):
                return await _half(request, stall=faults.kind == "stall")
            if faults.kind == "drop":
                assert request.transport
                request.transport.abort()
            headers = {"Retry-After": faults.retry_after} if faults.retry_after else {}
            status = int(faults.kind) if faults.kind.isdigit() else 500
            error = {"error": {"message": "out of order", "code": status}}
            return web.json_response(error, status=status, headers=headers)
        finally:
            self.open -= 1

    def _choice(self, index: int, prompt: str, body: dict[str, Any]) -> dict[str, Any]:
        written: list[str] = []
        for _ in range(body.get("max_tokens", 16)):
            written.append(best(prompt + "".join(written))[0])
            if any(mark in "".join(written) for mark in body.get("stop") or []):
                break
        text = self.faults.say or "".join(written)
        choice: dict[str, Any] = {"index": index, "text": text, "finish_reason": "length"}
        choice["_written"] = len(written)
        before = ""
        shown = written
        if body.get("echo"):
            choice["text"] = prompt + text
            shown = tokens(prompt) + written
        else:
            before = prompt
        if body.get("logprobs") is not None and self.faults.logprobs:
            choice["logprobs"] = logprobs(before, shown)
            self._shift(choice["logprobs"])
            if body["logprobs"] > 1 and not body.get("echo"):
                choice["logprobs"]["top_logprobs"][0] = self._first(prompt, body["logprobs"])
        return choice

    def _shift(self, block: dict[str, Any]) -> None:
        values, tops = block["token_logprobs"], block["top_logprobs"]
        for place, token in enumerate(block["tokens"]):
            if tops[place] and values[place] < max(tops[place].values()):
                values[place] -= self.faults.shift
                tops[place][token] = values[place]

    def _first(self, before: str, count: int) -> dict[str, float]:
        """The most likely of all words and letters, best first; of words alone with ``say``."""
        words = WORDS if self.faults.say else (*WORDS, *LETTERS)
        every = {word: logprob(before, word) for word in words}
        return dict(sorted(every.items(), key=lambda pair: -pair[1])[:count])

    def _answer(self, body: dict[str, Any], read: int, written: int) -> web.Response:
        usage = {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }
        # ASCII escapes, so that lone surrogates get through as from real servers.
        return web.json_response({"model": MODEL, **body, "usage": usage})


async def _half(request: web.Request, *, stall: bool) -> web.StreamResponse:
    """Half a JSON text; after it nothing comes for an hour, or the answer ends as it should."""
    half = b'{"object": "text_completion", "choices": [{"index": 0, "text": " re'
    if not stall:
        return web.Response(body=half, content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = 2 * len(half)
    await response.prepare(request)
    await response.write(half)
    await asyncio.sleep(3600)
    return response


async def _say(response: web.StreamResponse, chunk: dict[str, Any]) -> None:
    """One server-sent event."""
    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


def tokens(text: str) -> list[str]:
    """``text`` as words, each with the white space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


def logprob(before: str, token: str) -> float:
    digest = hashlib.sha256(f"{before}\0{token}".encode("utf-8", "surrogatepass")).digest()
    return -3.5 - 6.0 * int.from_bytes(digest[:4], "big") / 2**32


def best(before: str) -> tuple[str, float]:
    return max(((word, logprob(before, word)) for word in WORDS), key=lambda pair: pair[1])


def logprobs(before: str, shown: list[str]) -> dict[str, Any]:
    """The block that servers give: None for a first token, which nothing precedes."""
    values: list[float | None] = []
    tops: list[dict[str, float] | None] = []
    offsets: list[int] = []
    for token in shown:
        offsets.append(len(before))
        if before:
            value = logprob(before, token)
            top, highest = best(before)
            values.append(value)
            tops.append({token: value} | ({top: highest} if highest > value else {}))
        else:
            values.append(None)
            tops.append(None)
        before += token
    return {"tokens": shown, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets}


def reply(question: str) -> str:
    """The last word of the question, or for about half of all questions another one."""
    knows = hashlib.sha256(question.encode("utf-8", "surrogatepass")).digest()[0] % 2 == 0
    words = question.split()
    return words[-1] if knows and words else "nothing"


class StubServer:
    """The stub as a process: ``with StubServer() as server: server.url``."""

    def __init__(self, **faults: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._faults = faults

    @property
    def argv(self) -> list[str]:
        argv = [sys.executable, "-m", "tests.evals.stub_server", "--port", str(self.port)]
        for name, value in self._faults.items():
            argv += [f"--{name.replace('_', '-')}", str(value)]
        return argv

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self.argv, cwd=ROOT, preexec_fn=dies_with(os.getpid()))
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        self.process.kill()
        raise AssertionError("The stub server did not start.")

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def reset(self, **faults: Any) -> None:
        """Forget what was asked and behave as ``Faults`` say from now on."""
        self._call("/reset", asdict(Faults(**faults)))

    def counts(self) -> dict[str, Any]:
        return self._call("/counts")

    def asked(self, pattern: str = r"No\.? ?(\d+)") -> Counter[str]:
        """How often each question was asked, by what ``pattern`` finds last in its text.

        The options of a choice are one question: the one asked most often counts.
        """
        found: Counter[str] = Counter()
        for text, times in self.counts()["texts"].items():
            if names := re.findall(pattern, text):
                found[names[-1]] = max(found[names[-1]], times)
        return found

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--fail-every", dest="every", type=int, default=0)
    parser.add_argument("--fail-after", dest="after", type=int, default=-1)
    parser.add_argument("--fail-match", dest="match", default="")
    parser.add_argument("--fail-kind", dest="kind", default="500")
    parser.add_argument("--retry-after", default="")
    given = vars(parser.parse_args())
    port = given.pop("port")
    web.run_app(
        Stub(Faults(**given)).app(), host="127.0.0.1", port=port, print=None, access_log=None
    )


if __name__ == "__main__":
    main()
