"""Are a server's echoed log-probabilities true?

Several servers answer 200 to such a request and are wrong: they leave the prompt out, shift
its values by one token, or drop the last entry. So what a server echoes is held against what
it generates: a token it just chose must have the same log-probability when it stands in the
prompt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from . import replies
from .client import SEED, Loglikelihoods
from .replies import Echo, Malformed
from .transport import Reply

# Greatest difference between generating and reading a token: half precision and other
# kernels differ by hundredths, a value of another token by whole units.
SAME_TOKEN = 0.1
SAME_REQUEST = 1e-3
# Contexts with two continuations; in three languages and beyond ASCII, because byte-level
# tokens are where offsets go wrong.
QUESTIONS = (
    ("Question: What is the capital of Germany?\nAnswer:", (" Berlin", " Madrid")),
    ("Frage: Wie heißt die Hauptstadt von Österreich?\nAntwort:", (" Wien", " Brüssel")),
    ("Spørgsmål: Hvad er hovedstaden i Danmark?\nSvar:", (" København", " Athen")),
    ("The boats came back to the harbour early because of the", (" storm", " piano")),
)
Outcome = tuple[str, dict[str, str]]


class Asking(Protocol):
    """What the checks need of a client."""

    async def post(self, path: str, body: dict[str, Any]) -> Reply: ...

    async def echo(self, text: str) -> Echo: ...

    async def loglikelihoods(self, context: str, parts: tuple[str, ...]) -> Loglikelihoods: ...


Generating = Callable[[Asking, str], Awaitable[tuple[str, float | None]]]


async def echo_is_true(asking: Asking) -> Outcome:
    """A code of ``findings.SENTENCES`` and its values. Raises ``LLMError``."""
    return await _true(asking, _generated)


async def native_is_true(asking: Asking) -> Outcome:
    """The same of a route of ``native``, where one reply holds what was read and written."""
    return await _true(asking, _written)


async def _true(asking: Asking, generated_after: Generating) -> Outcome:
    compared = 0
    furthest = 0.0
    for prompt, _ in QUESTIONS:
        token, generated = await generated_after(asking, prompt)
        if generated is None:
            return "no_logprobs", {}
        here = await _echoed(asking, prompt)
        places = [(here, -1)]
        # An end-of-text token cannot be written into the prompt.
        if token:
            there = await _echoed(asking, prompt + token)
            # Joined differently by the tokenizer, the longer prompt shows other tokens.
            if len(there.logprobs) == len(here.logprobs) + 1:
                places.append((there, -2))
                compared += 1
        for echo, place in places:
            value = echo.logprobs[place]
            if not isinstance(value, float | int):
                return "echo_incomplete", {}
            furthest = max(furthest, abs(value - generated))
            if abs(value - generated) > SAME_TOKEN:
                values = {"echoed": f"{value:.4f}", "generated": f"{generated:.4f}"}
                return "echo_differs", values | {"token": repr(token)}
    if not compared:
        return "echo_undecided", {}
    for context, parts in QUESTIONS:
        first, second = [await _scores(asking, context, parts) for _ in range(2)]
        if first[0] == first[1]:
            return "echo_blind", {"first": parts[0], "second": parts[1]}
        if any(abs(a - b) >= SAME_REQUEST for a, b in zip(first, second, strict=True)):
            return "echo_unsteady", {}
    return "echo_true", {"difference": f"{furthest:.1e}"}


async def _scores(asking: Asking, context: str, parts: tuple[str, ...]) -> list[float]:
    found = await asking.loglikelihoods(context, parts)
    return [option.loglikelihood for option in found.options]


async def _generated(asking: Asking, prompt: str) -> tuple[str, float | None]:
    """The next token, greedily, and its log-probability if the server tells."""
    body = {"prompt": prompt, "max_tokens": 1, "temperature": 0.0, "logprobs": 1, "seed": SEED}
    reply = await asking.post("completions", body)
    said = replies.completion(reply.data)
    given = reply.data["choices"][0].get("logprobs")
    values = given.get("token_logprobs") if isinstance(given, dict) else None
    if not isinstance(values, list) or not values or not isinstance(values[0], float | int):
        return said.text, None
    return said.text, float(values[0])


async def _written(asking: Asking, prompt: str) -> tuple[str, float | None]:
    echo = await asking.echo(prompt)
    value = echo.logprobs[-1] if echo.logprobs else None
    return echo.text.removeprefix(prompt), float(value) if isinstance(value, float | int) else None


async def _echoed(asking: Asking, text: str) -> Echo:
    """The echo of ``text``. Raises ``Malformed`` when it cannot be of that text."""
    echo = await asking.echo(text)
    if not echo.text.startswith(text):
        raise Malformed("the reply does not begin with the prompt")
    replies.score(echo, 1)  # every value but the first must be a log-probability
    if len(set(echo.logprobs[1:-1])) == 1 and len(echo.logprobs) > 3:
        raise Malformed("all log-probabilities are equal")
    return echo
