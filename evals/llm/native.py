"""Log-probabilities of a prompt by ways of a server's own, where it has no true echo.

Each route asks one prompt and generates one token after it, and makes of the reply the same
``Echo`` as the OpenAI way gives, so that the same rules judge and use it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from .replies import Echo, Malformed
from .transport import Reply

PROMPT_LOGPROBS = "prompt_logprobs"
SEED = 1234


class Posting(Protocol):
    """What a route needs of a client."""

    async def post(self, path: str, body: dict[str, Any]) -> Reply: ...

    async def post_root(self, path: str, body: dict[str, Any]) -> Reply: ...


class Route(NamedTuple):
    """``ask`` sends a prompt; ``read(reply, prompt)`` gives its ``Echo`` and number of tokens."""

    ask: Callable[[Posting, str], Awaitable[Reply]]
    read: Callable[[Any, str], tuple[Echo, int]]


async def _ask_prompt_logprobs(client: Posting, text: str) -> Reply:
    """vLLM: a field beside the OpenAI ones."""
    fields = {"max_tokens": 1, "temperature": 0.0, "logprobs": 1, "seed": SEED}
    return await client.post("completions", {"prompt": text, "prompt_logprobs": 1} | fields)


def _read_prompt_logprobs(data: Any, text: str) -> tuple[Echo, int]:
    choice = _at(data, "choices", 0)
    tokens: list[Any] = []
    logprobs: list[Any] = []
    best: list[Any] = []
    for place in _list(_at(choice, "prompt_logprobs"), "prompt_logprobs"):
        own, top = _ranked(place)
        tokens.append(own.get("decoded_token"))
        logprobs.append(own.get("logprob"))
        best.append(top.get("logprob"))
    if tokens and tokens[0] is None and all(isinstance(token, str) for token in tokens[1:]):
        # Nothing precedes the first token, so the reply leaves it out: it is what is missing.
        rest = "".join(tokens[1:])
        tokens[0] = text.removesuffix(rest) if rest and text.endswith(rest) else None
    given = _at(choice, "logprobs", "token_logprobs", 0)
    echo = Echo(
        text + str(_at(choice, "text")), [*tokens, _at(choice, "text")], [*logprobs, given],
        [*best, given],
    )  # fmt: skip
    return echo, len(tokens)


def _ranked(place: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The token of the prompt and the likeliest one; the likeliest alone when they are one."""
    if place is None:
        return {}, {}
    entries = list(place.values()) if isinstance(place, dict) else []
    if not entries or not all(
        isinstance(entry, dict) and isinstance(entry.get("rank"), int) for entry in entries
    ):
        raise Malformed("a place of 'prompt_logprobs' has another form")
    entries.sort(key=lambda entry: entry["rank"])
    return entries[-1], entries[0]


async def _ask_prefill(client: Posting, text: str) -> Reply:
    """TGI: its own interface, with the details of what it read."""
    wishes = {"max_new_tokens": 1, "do_sample": False, "details": True}
    parameters = wishes | {"decoder_input_details": True}
    return await client.post_root("generate", {"inputs": text, "parameters": parameters})


def _read_prefill(data: Any, text: str) -> tuple[Echo, int]:
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    read = _list(_at(data, "details", "prefill"), "prefill")
    written = _list(_at(data, "details", "tokens"), "tokens")[:1]
    if not read or not written:
        raise Malformed("the reply holds no log-probabilities of the prompt")
    entries = [*read, *written]
    if not all(isinstance(entry, dict) for entry in entries):
        raise Malformed("a token of the reply has another form")
    tokens = [entry.get("text") for entry in entries]
    told = str(_at(data, "generated_text"))
    return Echo(text + told, tokens, [entry.get("logprob") for entry in entries], None), len(read)


async def _ask_lightllm(client: Posting, text: str) -> Reply:
    """LightLLM: its own interface; started with the right flag it adds what it read."""
    parameters = {"max_new_tokens": 1, "do_sample": False, "return_details": True}
    return await client.post_root("generate", {"inputs": text, "parameters": parameters})


def _read_lightllm(data: Any, text: str) -> tuple[Echo, int]:
    """Pairs of a token and the value of the one after it: the first token has none."""
    if not isinstance(data, dict) or "prompt_logprobs" not in data:
        raise Malformed("the reply holds no log-probabilities of the prompt")
    ids = _list(data.get("prompt_token_ids"), "prompt_token_ids")
    pairs = _list(data["prompt_logprobs"], "prompt_logprobs")
    if len(pairs) != len(ids) - 1:
        raise Malformed(f"{len(pairs)} log-probabilities for {len(ids)} prompt tokens")
    values: list[Any] = [None]
    for pair, following in zip(pairs, ids[1:], strict=True):
        values.append(_at(pair, 1, str(following)))
    written = _at(data, "tokens", 0)
    told = str(_at(data, "generated_text", 0))
    # Its tokens come as numbers: the count of the context tells where a continuation begins.
    return Echo(text + told, [], [*values, _at(written, "logprob")], None), len(ids)


def _at(data: Any, *path: str | int) -> Any:
    """What lies at ``path``; ``Malformed`` when there is nothing."""
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            raise Malformed(f"{'.'.join(map(str, path))} is missing") from None
    return data


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed(f"{name!r} is missing" if value is None else f"{name!r} has another form")
    return value


ROUTES = {
    PROMPT_LOGPROBS: Route(_ask_prompt_logprobs, _read_prompt_logprobs),
    "prefill": Route(_ask_prefill, _read_prefill),
    "lightllm": Route(_ask_lightllm, _read_lightllm),
}
