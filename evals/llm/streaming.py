"""One chat answer piece by piece, through the openai SDK.

The SDK is for what people watch; measuring goes through ``client``, which costs a tenth of
the CPU. It is imported on first use and connects through ``portal.outbound_httpx`` only.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp

from portal.outbound import OutboundRefused

from . import replies
from .errors import Kind, LLMError, excerpt, redacted
from .spec import EndpointSpec
from .transport import kind_of

STREAM = "the server sends what is no stream of an answer"


@dataclass(frozen=True)
class Prompt:
    """What is asked: chat messages and how to sample. Without a seed the server draws one."""

    messages: list[dict[str, str]]
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None


@dataclass(frozen=True)
class Piece:
    """The next characters of an answer, or of the reasoning before it."""

    text: str = ""
    reasoning: str = ""


@dataclass
class Ending:
    """How an answer ended. None: the server did not say, or nothing was written.

    ``first_seconds`` is the time to the first character (of the reasoning, if there is any),
    ``seconds`` that to the end.
    """

    finish_reason: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    first_seconds: float | None = None
    seconds: float = 0.0

    @property
    def tokens_per_second(self) -> float | None:
        """Speed of writing: without the wait for the first token, and without that token."""
        if self.first_seconds is None or self.completion_tokens is None:
            return None
        writing, written = self.seconds - self.first_seconds, self.completion_tokens - 1
        return written / writing if writing > 0 and written > 0 else None


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds: for the first piece, for each next one, and altogether."""

    first: float = 60.0
    between: float = 30.0
    whole: float = 300.0


async def stream(
    spec: EndpointSpec, prompt: Prompt, patience: Patience | None = None
) -> AsyncIterator[Piece | Ending]:
    """Pieces of the answer, then one ``Ending``.

    Raises ``LLMError`` or ``OutboundRefused`` when it cannot go on; nothing is asked twice.
    Closing the iterator hangs up, which ends the work of the server.
    """
    openai = await asyncio.to_thread(_sdk)
    # As in ``Transport``: raised outside the handlers, so that no chain holds the request.
    try:
        async with aclosing(_pieces(openai, spec, prompt, patience or Patience())) as pieces:
            async for piece in pieces:
                yield piece
        return
    except (LLMError, OutboundRefused):
        raise
    except openai.APIStatusError as failed:
        error = _refusal(spec, failed.status_code, failed.response.text)
    except openai.APIConnectionError as failed:
        error = _error(spec, Kind.CONNECTION, f"the connection failed ({failed.__cause__})")
    except openai.APIError as failed:
        error = _error(spec, Kind.SERVER, replies.complaint(str(failed.message)))
    except aiohttp.ConnectionTimeoutError:
        limit = spec.policy.connect_timeout
        error = _error(spec, Kind.TIMEOUT, f"no connection within {limit:g} s")
    except TimeoutError as late:
        error = _error(spec, Kind.TIMEOUT, str(late) or "no answer in time")
    except (aiohttp.ClientSSLError, ssl.SSLError) as broken:
        error = _error(spec, Kind.CONNECTION, f"the encrypted connection failed ({broken})")
    except (aiohttp.ClientError, OSError) as broken:
        text = str(broken) or type(broken).__name__
        error = _error(spec, Kind.CONNECTION, f"the connection failed ({text})")
    except (ValueError, TypeError, AttributeError, RecursionError):
        # The SDK believes servers: JSON of another form comes as an error of its own code.
        error = _error(spec, Kind.MALFORMED, STREAM)
    raise error


def _sdk() -> Any:
    """The SDK with its way out; takes a second the first time, and no other page needs it."""
    import openai
    import openai.resources.chat

    import portal.outbound_httpx  # noqa: F401

    return openai


async def _pieces(
    openai: Any, spec: EndpointSpec, prompt: Prompt, patience: Patience
) -> AsyncIterator[Piece | Ending]:
    from portal.outbound_httpx import guarded_client

    headers = {"Authorization": f"Bearer {spec.api_key}"} if spec.api_key else {}
    async with guarded_client(spec.policy, headers=headers) as http:
        client = openai.AsyncOpenAI(
            api_key="kept by the guard", base_url=spec.base_url, http_client=http, max_retries=0
        )
        clock, ending = _Clock(patience), Ending()
        async with await clock.wait_for(_begin(openai, client, spec, prompt)) as answer:
            chunks = aiter(answer)
            while (chunk := await _next(chunks, clock, ending)) is not None:
                piece = _read(chunk, ending)
                ending.seconds = clock.seconds
                if piece.text or piece.reasoning:
                    ending.first_seconds = ending.first_seconds or ending.seconds
                    clock.begun = True
                    yield piece
        if not clock.begun and not ending.finish_reason:
            raise _error(spec, Kind.MALFORMED, STREAM)
        yield ending


async def _begin(openai: Any, client: Any, spec: EndpointSpec, prompt: Prompt) -> Any:
    """The open stream, with token counts at its end where the server can give them."""
    body: dict[str, Any] = {
        "model": spec.model,
        "messages": prompt.messages,
        "max_tokens": prompt.max_tokens,
        "temperature": prompt.temperature,
        "stream": True,
    }
    if prompt.seed is not None:
        body["seed"] = prompt.seed
    wished = body | {"stream_options": {"include_usage": True}}
    if spec.minimal:
        body.pop("seed", None)
        wished.pop("seed", None)
    create = client.chat.completions.create
    body, wished = (_sent(spec, fields) for fields in (body, wished))
    if wished == body:
        return await create(**body)
    try:
        return await create(**wished)
    except (openai.BadRequestError, openai.UnprocessableEntityError) as refused:
        if "stream_options" not in refused.response.text:
            raise
    return await create(**body)


def _sent(spec: EndpointSpec, fields: dict[str, Any]) -> dict[str, Any]:
    """What the dialect lets through; fields that the SDK does not know go beside them."""
    fitted = spec.speaks.fitted("chat/completions", fields)
    more = {name: fitted.pop(name) for name in set(fitted) - set(fields)}
    return fitted | ({"extra_body": more} if more else {})


async def _next(chunks: AsyncIterator[Any], clock: _Clock, ending: Ending) -> Any:
    """The next chunk; None at the end, also when a server says all and then never hangs up."""
    try:
        return await clock.wait_for(anext(chunks, None))
    except TimeoutError:
        if ending.finish_reason:
            return None
        raise


class _Clock:
    """Seconds since the question, and how long the next step may take."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.begun = False
        self.start = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.start

    async def wait_for(self, step: Awaitable[Any]) -> Any:
        """What ``step`` gives, or ``TimeoutError`` with words for the limit that was met."""
        limit, words = self._limit()
        try:
            async with asyncio.timeout(limit) as deadline:
                return await step
        except TimeoutError as late:
            if not deadline.expired():  # a limit of a layer below, such as that of connecting
                raise
            raise TimeoutError(words) from late

    def _limit(self) -> tuple[float, str]:
        patience = self.patience
        if self.begun:
            step = (
                patience.between,
                f"the answer broke off: nothing more for {patience.between:g} s",
            )
        else:
            step = (patience.first - self.seconds, f"no answer began within {patience.first:g} s")
        return min(step, (patience.whole - self.seconds, f"no end within {patience.whole:g} s"))


def _read(chunk: Any, ending: Ending) -> Piece:
    """What is new in ``chunk``; counts and reason go to ``ending``. Much may be missing."""
    if usage := getattr(chunk, "usage", None):
        ending.prompt_tokens = _count(usage, "prompt_tokens", ending.prompt_tokens)
        ending.completion_tokens = _count(usage, "completion_tokens", ending.completion_tokens)
    choices = getattr(chunk, "choices", None)
    if not isinstance(choices, list) or not choices:
        return Piece()
    ending.finish_reason = _text(choices[0], "finish_reason")[:40] or ending.finish_reason
    delta = getattr(choices[0], "delta", None)
    reasoning = _text(delta, "reasoning_content") or _text(delta, "reasoning")
    return Piece(_text(delta, "content"), reasoning)


def _text(holder: Any, name: str) -> str:
    value = getattr(holder, name, None)
    return value if isinstance(value, str) else ""


def _count(usage: Any, name: str, before: int | None) -> int | None:
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and value >= 0 else before


def _refusal(spec: EndpointSpec, status: int, raw: str) -> LLMError:
    """What the server says instead of an answer, as ``Transport`` words it."""
    said = replies.complaint(redacted(raw, spec.api_key))
    error = _error(spec, kind_of(status)[0], f"HTTP {status}: {said}")
    error.status, error.reply = status, excerpt(raw, spec.api_key)
    return error


def _error(spec: EndpointSpec, kind: Kind, text: str) -> LLMError:
    return LLMError(kind, excerpt(text, spec.api_key))
