"""A small inference server that can be right, and wrong in the ways of real servers.

Its model is a table: what follows a token depends on that token alone. So every value a
client should get can be computed here without a client.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from zlib import crc32

from aiohttp import web

from evals.llm import EndpointSpec
from portal.outbound import OutboundPolicy

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MODEL = "tiny"
WORDS = [" Berlin", " Wien", " storm", " og", " und", "!", " the"]


def tokenise(text: str) -> list[str]:
    """Words with their blank in front, single other characters: spells ``text`` exactly."""
    return re.findall(r" ?\w+|[^\w]", text)


SPELLING = {0: "\0"}


def token_id(token: str) -> int:
    number = crc32(token.encode()) % 2**31
    SPELLING[number] = token
    return number


def spelled(ids: list[int]) -> str:
    return "".join(SPELLING[number] for number in ids)


def following(token: str) -> str:
    return WORDS[crc32(token.encode()) % len(WORDS)]


def logprob(before: str, token: str) -> float:
    """Above -1 for the likeliest token only."""
    if token == following(before):
        return -0.05 - crc32(before.encode()) % 89 / 100
    return -1 - crc32(f"{before}|{token}".encode()) % 997 / 100


def expected(context: str, continuation: str) -> tuple[float, bool]:
    """Log-likelihood and greediness as the definition has them."""
    bare = context.rstrip()
    tokens, start = tokenise(context + continuation), len(tokenise(bare))
    values = [logprob(tokens[i - 1], tokens[i]) for i in range(start, len(tokens))]
    return sum(values), all(value > -1 for value in values)


class Stub:
    """One server: ``quirk`` names the product it imitates, ``once`` holds replies to give first."""

    measures = "stub_"
    absent: frozenset[str] = frozenset()  # paths that this server does not have

    def __init__(self, quirk: str = "vllm") -> None:
        self.quirk = quirk
        self.once: list[Handler] = []
        self.always: Handler | None = None
        self.bodies: list[tuple[str, Any]] = []
        self.headers: list[Any] = []
        self.requests: list[web.Request] = []
        self.busy = self.most_busy = 0
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def spec(self, **changes: Any) -> EndpointSpec:
        policy = OutboundPolicy(("127.0.0.0/8",), 2_000_000, connect_timeout=2.0)
        return EndpointSpec(self.base_url, MODEL, policy, **({"timeout": 5.0} | changes))

    def posted(self, path: str) -> list[Any]:
        return [body for where, body in self.bodies if where == path]

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.bodies.append((request.path, body))
        self.headers.append(request.headers)
        self.requests.append(request)
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        try:
            if self.once:
                return await self.once.pop(0)(request)
            if self.always:
                return await self.always(request)
            if request.path in self.absent:
                return web.json_response({"detail": "Not Found"}, status=404)
            if refusal := self.refusal(request.path, body or {}):
                return refusal
            return await getattr(self, f"_{request.path.strip('/').replace('/', '_')}")(body)
        except AttributeError:
            return web.json_response({"detail": "Not Found"}, status=404)
        finally:
            self.busy -= 1

    def refusal(self, path: str, body: Any) -> web.Response | None:
        """What this server does not take."""
        return None

    async def _v1_models(self, body: Any) -> web.Response:
        if self.quirk == "transformers-serve":
            return web.Response(status=500, text="Internal Server Error")
        return web.json_response({"data": [self.entry()]})

    def entry(self) -> dict[str, Any]:
        """The model in the list; ``owned_by`` is what gives many servers away."""
        return {"id": MODEL, "owned_by": "stub", "max_model_len": 512}

    async def _version(self, body: Any) -> web.Response:
        return web.json_response({"version": "0.1"})

    async def _health(self, body: Any) -> web.Response:
        return web.Response()

    async def _metrics(self, body: Any) -> web.Response:
        return web.Response(text=f'# HELP running\n{self.measures}running{{model="tiny"}} 0.0\n')

    async def _tokenize(self, body: Any) -> web.Response:
        if self.quirk in {"vllm", "bos", "miscounting"}:
            ids = [token_id(token) for token in tokenise(body["prompt"])]
            ids = [0, *ids] if self.quirk == "bos" else ids
            ids = ids[1:] if self.quirk == "miscounting" else ids
            return web.json_response({"count": len(ids), "tokens": ids})
        return web.json_response({"detail": "Not Found"}, status=404)

    async def _v1_chat_completions(self, body: Any) -> web.StreamResponse:
        text = "".join(message["content"] for message in body["messages"])
        word = re.search(r"secret word is (\w+)", self.read(text))
        message: dict[str, Any] = {"role": "assistant", "content": word[1] if word else "Berlin"}
        read = len(tokenise(self.read(text))) + 4
        usage: dict[str, int] | None = {"prompt_tokens": read, "completion_tokens": 2}
        if body.get("response_format"):
            message["content"] = self.formed(body["response_format"])
        if body.get("tools"):
            message["tool_calls"] = self.called(body)
        if self.quirk == "silent":
            message["content"], usage["completion_tokens"] = "", 1
        if self.quirk == "telling":  # whoever asks for the secret gets it
            message["content"] = self.headers[-1]["Authorization"]
        if self.quirk == "thinking":
            message |= {"content": None, "reasoning_content": "It is a city."}
            usage = None
        cut = usage and body.get("max_tokens", 16) < usage["completion_tokens"]
        choice = {"index": 0, "message": message, "finish_reason": "length" if cut else "stop"}
        if body.get("stream"):
            return await self.streamed(body, choice, usage)
        if body.get("logprobs") and self.quirk != "transformers-serve":
            top = self.listed(text, body["top_logprobs"])
            choice["logprobs"] = {"content": [top[0] | {"top_logprobs": top}]}
        return web.json_response({"model": MODEL, "choices": [choice], "usage": usage})

    def read(self, text: str) -> str:
        """What of ``text`` the model sees."""
        return text

    def formed(self, form: Any) -> str:
        """An answer of the demanded form."""
        schema = form["json_schema"]["schema"]
        return json.dumps({name: one["enum"][0] for name, one in schema["properties"].items()})

    def called(self, body: Any) -> list[Any] | None:
        name = body["tools"][0]["function"]["name"]
        return [{"type": "function", "function": {"name": name, "arguments": '{"note": "milk"}'}}]

    def listed(self, text: str, count: int) -> list[dict[str, Any]]:
        above = crc32(text.encode()) % 89 / 100
        return [{"token": f"{rank}", "logprob": -1.0 - above - rank} for rank in range(count)]

    async def streamed(self, body: Any, choice: Any, usage: Any) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(self.requests[-1])
        text = choice["message"]["content"] or choice["message"].get("reasoning_content") or ""
        chunks: list[Any] = [
            {"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in text
        ]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if body.get("stream_options"):
            chunks.append({"choices": [], "usage": usage})
        for chunk in chunks:
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _v1_completions(self, body: Any) -> web.StreamResponse:
        given = body["prompt"]
        prompts = given if isinstance(given, list) and isinstance(given[0], str | list) else [given]
        prompts = [prompt if isinstance(prompt, str) else spelled(prompt) for prompt in prompts]
        if self.quirk == "llama-cpp-python" and isinstance(given, list):
            return web.json_response({"error": {"message": ""}}, status=500)
        if self.quirk == "llama.cpp" and body.get("echo"):
            text = {"error": {"message": "Only no echo is supported", "code": 400}}
            return web.json_response(text, status=400)
        await asyncio.sleep(0.001)
        choices = [self._choice(i, prompt, body) for i, prompt in enumerate(prompts)]
        read = sum(
            len(tokenise(prompt)) + (self.quirk == "bos" and prompt[:1] != "\0")
            for prompt in prompts
        )
        usage = {"prompt_tokens": read, "completion_tokens": len(prompts)}
        # Choices may come in any order; their index says which is which.
        return web.json_response({"model": MODEL, "choices": choices[::-1], "usage": usage})

    def _choice(self, index: int, prompt: str, body: Any) -> dict[str, Any]:
        tokens = tokenise(prompt)
        new = following(tokens[-1]) if self.quirk != "ending" else ""
        choice: dict[str, Any] = {"index": index, "text": new, "finish_reason": "length"}
        if not body.get("logprobs") or self.quirk == "transformers-serve":
            return choice | {"logprobs": None}
        likely = logprob(tokens[-1], new)
        listed = {new: likely} | {
            f" {rank}": likely - 2 - rank for rank in range(1, body["logprobs"])
        }
        generated = [new], [likely], [listed]
        if body.get("prompt_logprobs") and self.quirk == "vllm":
            choice["prompt_logprobs"] = [None, *map(_ranked, tokens, tokens[1:])]
        if not body.get("echo") or self.quirk == "tabbyapi":
            return choice | {"logprobs": _lists(*generated)}
        values = [None] + [logprob(tokens[i - 1], tokens[i]) for i in range(1, len(tokens))]
        tops: list[Any] = [None]
        for i in range(1, len(tokens)):
            best = following(tokens[i - 1])
            tops.append({tokens[i]: values[i], best: logprob(tokens[i - 1], best)})
        values = [self._bent(i, value, index) for i, value in enumerate(values)]
        if self.quirk == "bos":
            tokens = ["<s>", *tokens]
            values[0], tops[0] = logprob("<s>", tokens[1]), {tokens[1]: -0.1}
            values, tops = [None, *values], [None, *tops]
        if self.quirk == "shifted":  # every value belongs to the token before it
            values = [None, *values[2:], likely]
        if self.quirk == "constant":
            values = [None] + [-1.0] * (len(values) - 1)
        if self.quirk == "llama-cpp-python":  # the generated end of text is left out
            return choice | {"text": prompt, "logprobs": _lists(tokens, values, tops)}
        if body["max_tokens"] == 0:
            return choice | {"text": prompt, "logprobs": _lists(tokens, values, tops)}
        tokens, values, tops = [*tokens, new], [*values, likely], [*tops, {new: likely}]
        text = new if self.quirk == "textless" else prompt + new
        return choice | {"text": text, "logprobs": _lists(tokens, values, tops)}

    def _bent(self, place: int, value: float | None, index: int) -> float | None:
        """``value`` as a server gives it that is right about the likeliest tokens only."""
        if value is None or value > -1:
            return value
        if self.quirk == "blind":
            return -2 - place / 100
        if self.quirk == "unsteady":
            return value - len(self.bodies) / 100
        return value - index if self.quirk == "confused" else value


def _lists(tokens: list[str], values: list[Any], tops: list[Any]) -> dict[str, Any]:
    return {"tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": []}


def _ranked(before: str, token: str) -> dict[str, Any]:
    """One place of vLLM's field: the token and, where it is another, the likeliest."""
    best = following(before)
    ranks = {token: 2} | {best: 1}
    return {
        str(token_id(each)): {
            "logprob": logprob(before, each), "rank": rank, "decoded_token": each,
        }
        for each, rank in ranks.items()
    }  # fmt: skip


@asynccontextmanager
async def serving(quirk: str | Stub = "vllm") -> AsyncIterator[Stub]:
    """A ``Stub`` listening on a free port of 127.0.0.1."""
    stub = quirk if isinstance(quirk, Stub) else Stub(quirk)
    runner = web.ServerRunner(web.Server(stub), shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.port = site._server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        await runner.cleanup()


def answering(
    status: int = 200, text: str = "", kind: str = "application/json", **headers: str
) -> Handler:
    """A handler that gives one fixed reply."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text, content_type=kind, headers=named)

    return answer


async def dropping(request: web.Request) -> web.StreamResponse:
    """Announces more than it sends, then closes the connection."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.close()
    return response


async def hanging(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()
