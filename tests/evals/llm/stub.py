"""A small inference server that can be right, and wrong in the ways of real servers.

Its model is a table: what follows a token depends on that token alone. So every value a
client should get can be computed here without a client.
"""

from __future__ import annotations

import asyncio
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

    def __init__(self, quirk: str = "vllm") -> None:
        self.quirk = quirk
        self.once: list[Handler] = []
        self.always: Handler | None = None
        self.bodies: list[tuple[str, Any]] = []
        self.headers: list[Any] = []
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
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        try:
            if self.once:
                return await self.once.pop(0)(request)
            if self.always:
                return await self.always(request)
            return await getattr(self, f"_{request.path.strip('/').replace('/', '_')}")(body)
        except AttributeError:
            return web.json_response({"detail": "Not Found"}, status=404)
        finally:
            self.busy -= 1

    async def _v1_models(self, body: Any) -> web.Response:
        if self.quirk == "transformers-serve":
            return web.Response(status=500, text="Internal Server Error")
        return web.json_response({"data": [{"id": MODEL, "owned_by": "stub"}]})

    async def _version(self, body: Any) -> web.Response:
        return web.json_response({"version": "0.1"})

    async def _tokenize(self, body: Any) -> web.Response:
        if self.quirk in {"vllm", "bos", "miscounting"}:
            extra = {"bos": 1, "miscounting": -1}.get(self.quirk, 0)
            count = len(tokenise(body["prompt"])) + extra
            return web.json_response({"count": count, "tokens": list(range(count))})
        return web.json_response({"detail": "Not Found"}, status=404)

    async def _v1_chat_completions(self, body: Any) -> web.Response:
        message = {"role": "assistant", "content": "Berlin", "reasoning": None}
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
        if self.quirk == "silent":
            message["content"], usage["completion_tokens"] = "", 1
        if self.quirk == "telling":  # whoever asks for the secret gets it
            message["content"] = self.headers[-1]["Authorization"]
        if self.quirk == "thinking":
            message |= {"content": None, "reasoning_content": "It is a city."}
            usage = None
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        if body.get("logprobs") and self.quirk != "transformers-serve":
            ranks = range(body["top_logprobs"])
            top = [{"token": f"{rank}", "logprob": -1.0 - rank} for rank in ranks]
            choice["logprobs"] = {"content": [top[0] | {"top_logprobs": top}]}
        return web.json_response({"choices": [choice], "usage": usage})

    async def _v1_completions(self, body: Any) -> web.Response:
        prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
        if self.quirk == "llama-cpp-python" and isinstance(body["prompt"], list):
            return web.json_response({"error": {"message": ""}}, status=500)
        if self.quirk == "llama.cpp" and body.get("echo"):
            text = {"error": {"message": "Only no echo is supported", "code": 400}}
            return web.json_response(text, status=400)
        await asyncio.sleep(0.001)
        choices = [self._choice(i, prompt, body) for i, prompt in enumerate(prompts)]
        read = sum(len(tokenise(prompt)) + (self.quirk == "bos") for prompt in prompts)
        usage = {"prompt_tokens": read, "completion_tokens": len(prompts)}
        # Choices may come in any order; their index says which is which.
        return web.json_response({"choices": choices[::-1], "usage": usage})

    def _choice(self, index: int, prompt: str, body: Any) -> dict[str, Any]:
        tokens = tokenise(prompt)
        new = following(tokens[-1]) if self.quirk != "ending" else ""
        choice: dict[str, Any] = {"index": index, "text": new, "finish_reason": "length"}
        if not body.get("logprobs") or self.quirk == "transformers-serve":
            return choice | {"logprobs": None}
        likely = logprob(tokens[-1], new)
        listed = {new: likely} | {f" {rank}": likely - rank for rank in range(1, body["logprobs"])}
        generated = [new], [likely], [listed]
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


@asynccontextmanager
async def serving(quirk: str = "vllm") -> AsyncIterator[Stub]:
    """A ``Stub`` listening on a free port of 127.0.0.1."""
    stub = Stub(quirk)
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
