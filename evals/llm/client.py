"""Ask a served model: log-likelihoods of continuations, completions and chats."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from . import native, replies
from .errors import Kind, LLMError, excerpt
from .gate import Gate
from .knee import Outcome
from .replies import Echo, Malformed, OptionScore, Said
from .retry import Retry
from .spec import EndpointSpec
from .spread import Spread
from .transport import Reply

T = TypeVar("T")
SEED = 1234
REMEMBERED_CONTEXTS = 512
VERSION_FIELDS = ("version", "release", "build_info")
DISPENSABLE = frozenset({"seed", "stream_options"})
LISTED = 20  # first tokens asked for: the most that vLLM and OpenAI give by default


@dataclass(frozen=True)
class Loglikelihoods:
    """Scores of all continuations of one context.

    ``prompt_tokens`` is what the server read for them; ``latency_ms`` the longest request;
    ``attempts`` all requests sent for scoring.
    """

    options: tuple[OptionScore, ...]
    prompt_tokens: int
    latency_ms: float
    attempts: int


@dataclass(frozen=True)
class Completion:
    """A generated text; token counts are None where the server does not give them."""

    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: float
    attempts: int
    reasoning: str = ""


@dataclass(frozen=True)
class FirstToken:
    """The most likely first tokens with their log-probabilities (nats), as listed."""

    top: tuple[tuple[str, float], ...]
    prompt_tokens: int | None
    latency_ms: float
    attempts: int


class Client:
    """An open connection to one served model, used as ``async with Client(spec) as client``.

    Keeps connections alive and never has more than ``spec.concurrency`` requests in flight, or
    fewer where ``spec.gate`` is narrower.
    Every method raises ``LLMError`` when there is no result.
    """

    def __init__(self, spec: EndpointSpec, retry: Retry | None = None) -> None:
        self.spec = spec
        # A server that loads the model when first asked needs more time for that once.
        self._patience = max(spec.timeout, spec.speaks.warm_up)
        self.retry = retry or Retry(deadline=2 * spec.timeout + self._patience)
        self._gate = spec.gate or Gate(spec.concurrency)
        self._contexts: OrderedDict[str, int] = OrderedDict()
        self._tokenizes = True

    async def __aenter__(self) -> Client:
        self._transport = Spread(self.spec)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._transport.close()

    async def loglikelihoods(self, context: str, continuations: Sequence[str]) -> Loglikelihoods:
        """How likely each continuation is after ``context``, as lm-eval would compute it.

        The server tokenises the text itself, so a token it always puts first is part of the
        context. Raises ``ValueError`` for an empty continuation, and for an empty context
        where the server puts no token first: a first token has no probability.
        """
        context, parts = replies.move_spaces(context, continuations)
        if not parts or not all(parts):
            raise ValueError("There is an empty continuation, which has no log-likelihood.")
        texts = [context + part for part in parts]
        asked = await self._echoes(texts)
        echoes = [(reply, echo) for reply, found, _ in asked for echo in found]
        starts = await self._starts([echo for _, echo in echoes], context, texts)
        return Loglikelihoods(
            options=tuple(
                self._understood(reply, partial(replies.score, echo, start))
                for (reply, echo), start in zip(echoes, starts, strict=True)
            ),
            prompt_tokens=sum(tokens for _, _, tokens in asked),
            latency_ms=max(reply.latency_ms for reply, _, _ in asked),
            attempts=sum(reply.attempts for reply, _, _ in asked),
        )

    async def complete(
        self,
        prompt: str,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        seed: int = SEED,
    ) -> Completion:
        """``prompt`` continued, without any chat template."""
        body = {"prompt": prompt} | _sampling(max_tokens, temperature, stop, seed)
        return await self._generate("completions", body, replies.completion)

    async def chat(
        self,
        messages: list[dict[str, Any]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        seed: int = SEED,
        schema: dict[str, Any] | None = None,
    ) -> Completion:
        """The next message of a conversation (``role`` and ``content`` each).

        ``schema``: the JSON schema that the message is demanded to fit.
        """
        body = {"messages": messages} | _sampling(max_tokens, temperature, stop, seed)
        if schema:
            body["response_format"] = self.spec.speaks.response_format("answer", schema)
        return await self._generate("chat/completions", body, replies.chat)

    async def first_token(
        self, prompt: str = "", *, messages: list[dict[str, Any]] | None = None
    ) -> FirstToken:
        """What would be generated first after ``prompt``, or as an answer to ``messages``."""
        path = "completions" if messages is None else "chat/completions"
        reply = await self.post(path, first_token_request(prompt, messages))
        top = self._understood(reply, partial(replies.top_logprobs, reply.data))
        return FirstToken(top, replies.prompt_tokens(reply.data), reply.latency_ms, reply.attempts)

    async def models(self) -> list[str]:
        """The names of the served models."""
        reply = await self.get(f"{self.spec.base_url}/models")
        return self._understood(reply, partial(replies.model_ids, reply.data))

    async def server_version(self) -> str:
        """The version the server states, empty when it states none."""
        path = self.spec.speaks.version
        if not path:
            return ""
        try:
            data = (await self.get(f"{self.spec.root}/{path}")).data
        except LLMError as error:
            if error.status is None:
                raise
            return ""
        told = [data.get(name) for name in VERSION_FIELDS] if isinstance(data, dict) else []
        return next((version[:100] for version in told if version and isinstance(version, str)), "")

    async def tokens(self, text: str) -> int | None:
        """How many tokens the server makes of ``text``; None where it does not tell."""
        if not self._tokenizes:
            return None
        body = {"model": self.spec.model, "prompt": text}
        try:
            reply = await self._send("POST", f"{self.spec.root}/tokenize", body)
            return replies.token_count(reply.data)
        except LLMError as error:
            if error.status is None or error.retryable:
                raise
        except Malformed:
            pass
        self._tokenizes = False
        return None

    async def get(self, url: str) -> Reply:
        """The decoded reply to GET ``url``."""
        return await self._send("GET", url, None)

    async def text(self, path: str) -> Reply:
        """What the server's own address answers to GET ``path``, as text of any kind."""
        return await self._send("GET", f"{self.spec.root}/{path}", None, plain=True)

    async def post(self, path: str, body: dict[str, Any]) -> Reply:
        """The decoded reply to ``body`` (the model is added), sent to ``base_url``/``path``."""
        dialect = self.spec.speaks
        if body.get("echo") and not dialect.echoes:
            # Sent all the same, some servers answer 200 with something else.
            raise LLMError(Kind.REQUEST, f"{dialect.label} scores no prompts")
        return await self.post_all(path, dialect.fitted(path, {"model": self.spec.model} | body))

    async def post_all(self, path: str, body: dict[str, Any]) -> Reply:
        """The decoded reply to ``body``, every field of which is sent."""
        if self.spec.minimal:
            body = {name: value for name, value in body.items() if name not in DISPENSABLE}
        return await self._send("POST", f"{self.spec.base_url}/{path}", body)

    async def post_root(self, path: str, body: dict[str, Any]) -> Reply:
        """The decoded reply of a route below the server's own address."""
        return await self._send("POST", f"{self.spec.root}/{path}", body)

    async def echo(self, text: str) -> tuple[Reply, Echo, int]:
        """``text`` with the log-probability of each token, and its number of tokens."""
        reply, found, tokens = await self._echo([text])
        return reply, found[0], tokens

    async def _send(self, method: str, url: str, body: Any, *, plain: bool = False) -> Reply:
        async def attempt(left: float) -> Reply:
            started = time.monotonic()
            try:
                reply = await self._transport.send(
                    method, url, body, min(left, self._patience), plain=plain
                )
            except LLMError as error:
                if outcome := _too_much(error, self.spec):
                    self._gate.tell(started, outcome, retry_after=error.retry_after)
                raise
            if method == "POST":
                self._gate.tell(started, Outcome.ANSWERED, replies.tokens_moved(reply.data))
            return reply

        # Waiting between attempts keeps the place: fewer requests is what a busy server needs.
        async with self._gate:
            reply, attempts = await self.retry.run(attempt)
        if method == "POST":
            self._patience = self.spec.timeout
        return Reply(reply.data, reply.raw, reply.latency_ms, attempts)

    async def _generate(
        self, path: str, body: dict[str, Any], parse: Callable[[Any], Said]
    ) -> Completion:
        reply = await self.post(path, body)
        said = self._understood(reply, partial(parse, reply.data))
        if (most := self.spec.speaks.most_stops) is not None:
            said = replies.cut(said, body.get("stop", [])[most:])
        if not self.spec.speaks.counts:
            said = replace(said, prompt_tokens=None, completion_tokens=None)
        return Completion(**asdict(said), latency_ms=reply.latency_ms, attempts=reply.attempts)

    async def _echoes(self, texts: list[str]) -> list[tuple[Reply, list[Echo], int]]:
        """Echoes of ``texts`` in order, by one request or one each."""
        whole = self.spec.batch_prompts and self.spec.route == "echo"
        batches = [texts] if whole else [[text] for text in texts]
        return await together(*(self._echo(batch) for batch in batches))

    async def _echo(self, texts: list[str]) -> tuple[Reply, list[Echo], int]:
        if route := native.ROUTES.get(self.spec.route):
            reply = await route.ask(self, texts[0])
            echo, tokens = self._understood(reply, partial(route.read, reply.data, texts[0]))
            return reply, [echo], tokens
        body = echo_request(texts[0] if len(texts) == 1 else texts)
        reply = await self.post("completions", body)
        found, tokens = self._understood(reply, partial(replies.echoes, reply.data, len(texts)))
        return reply, found, tokens

    async def _starts(self, echoes: list[Echo], context: str, texts: list[str]) -> list[int]:
        """Where the continuation begins in each echo, in tokens.

        The tokens of the echo tell it. Only where one of them reaches over the boundary, or
        they do not spell the text, is the context counted alone, once.
        """
        seen = [
            replies.boundary(echo, context, text) for echo, text in zip(echoes, texts, strict=True)
        ]
        if not context and not all(seen):
            raise ValueError(
                "The context is empty and the server puts no token in front of the text, "
                "so the first token of the continuation has no log-likelihood."
            )
        if None in seen:
            return [await self._context_tokens(context)] * len(echoes)
        return [start for start in seen if start is not None]

    async def _context_tokens(self, context: str) -> int:
        """Tokens of ``context``, as the server counts them or else as it echoes them."""
        if context in self._contexts:
            self._contexts.move_to_end(context)
            return self._contexts[context]
        count = await self.tokens(context)
        if count is None:
            _, _, count = await self._echo([context])
        self._remember(context, count)
        return count

    def _remember(self, context: str, count: int) -> None:
        self._contexts[context] = count
        if len(self._contexts) > REMEMBERED_CONTEXTS:
            self._contexts.popitem(last=False)

    def _understood(self, reply: Reply, parse: Callable[[], T]) -> T:
        """What ``parse`` makes of ``reply``; ``LLMError`` when that cannot be."""
        try:
            return parse()
        except Malformed as wrong:
            said = excerpt(reply.raw.decode(errors="replace"), self.spec.api_key)
            error = LLMError(Kind.MALFORMED, f"{wrong}.", status=200, reply=said)
            error.attempts = reply.attempts
        raise error


def _too_much(error: LLMError, spec: EndpointSpec) -> Outcome | None:
    """What a failure says about the number of requests at once; None: nothing."""
    if error.kind == Kind.TIMEOUT:
        return Outcome.TIMED_OUT
    busy = error.kind == Kind.RATE or error.status == 503 or error.status in spec.speaks.busy
    return Outcome.REFUSED if busy else None


async def together(*work: Awaitable[Any]) -> list[Any]:
    """All results in order; the first failure cancels the rest and is raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def echo_request(prompt: str | list[str]) -> dict[str, Any]:
    """The body that makes a server give back its prompt with log-probabilities."""
    return {
        "prompt": prompt,
        "max_tokens": 1,
        "temperature": 0.0,
        "logprobs": 1,
        "echo": True,
        "seed": SEED,
    }


def first_token_request(
    prompt: str, messages: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The body that makes a server list the most likely first tokens."""
    fields = {"max_tokens": 1, "temperature": 0.0, "seed": SEED}
    if messages is None:
        return {"prompt": prompt, "logprobs": LISTED} | fields
    return {"messages": messages, "logprobs": True, "top_logprobs": LISTED} | fields


def _sampling(
    max_tokens: int, temperature: float, stop: Sequence[str], seed: int
) -> dict[str, Any]:
    """Sampling fields; no more than needed, as some servers refuse what they do not know."""
    fields: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    return fields | ({"stop": list(stop)} if stop else {})
