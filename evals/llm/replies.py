"""What servers answer, turned into values: pure functions on decoded JSON.

Every function either gives a value that holds or raises ``Malformed``; nothing is guessed,
because a wrong guess here would end as a wrong answer of the model.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

ROUNDING = 1e-6  # a probability of one may come out a hair above zero


class Malformed(ValueError):
    """The reply does not have the form, or cannot be true; the text says what is wrong."""


@dataclass(frozen=True)
class OptionScore:
    """Log-likelihood (natural logarithm) of one continuation and its number of tokens.

    ``is_greedy``: every token was the likeliest one; None where the server does not tell.
    """

    loglikelihood: float
    is_greedy: bool | None
    tokens: int


@dataclass(frozen=True)
class Said:
    """Generated text; token counts are None where the server does not give them."""

    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning: str = ""


@dataclass(frozen=True)
class Echo:
    """A prompt given back with log-probabilities, and one generated token at the end.

    ``best`` is the highest log-probability at each place, or what lists the highest ones
    there; None where the server tells none of any. The lists have one length.
    """

    text: str
    tokens: list[Any]
    logprobs: list[Any]
    best: list[Any] | None


def model_ids(data: Any) -> list[str]:
    """The names under which models are served."""
    return [_get(entry, "id", str) for entry in _get(data, "data", list)]


def completion(data: Any) -> Said:
    """The text of a completion."""
    choice = _choices(data, 1)[0]
    return Said(_text(choice.get("text")), _reason(choice), *_usage(data))


def chat(data: Any) -> Said:
    """The answer of a chat; thinking is kept apart where the server does so."""
    choice = _choices(data, 1)[0]
    message = _get(choice, "message", dict)
    reasoning = message.get("reasoning") or message.get("reasoning_content")
    return Said(_text(message.get("content")), _reason(choice), *_usage(data), _text(reasoning))


def token_count(data: Any) -> int:
    """The count in a reply of ``/tokenize``."""
    count = _get(data, "count", int)
    if isinstance(count, bool) or count < 0:
        raise Malformed(f"the token count is {count!r}")
    return count


def echoes(data: Any, prompts: int) -> tuple[list[Echo], int]:
    """One ``Echo`` per prompt, in order, and the number of prompt tokens of all together.

    The sum of entries must be the prompt tokens plus one generated token each: a server that
    drops or shifts entries answers 200 as well, and every score would be of other tokens.
    """
    found = [_echo(choice) for choice in _choices(data, prompts)]
    counted = _usage(data)[0]
    if counted is None:
        raise Malformed("the reply does not count its prompt tokens")
    entries = sum(len(echo.logprobs) for echo in found)
    if entries != counted + prompts:
        raise Malformed(
            f"{entries} log-probabilities for {counted} prompt tokens and "
            f"{prompts} generated; {counted + prompts} are due"
        )
    return found, counted


def score(echo: Echo, context_tokens: int) -> OptionScore:
    """Sum over the tokens after ``context_tokens``, without the generated one at the end."""
    logprobs = echo.logprobs[context_tokens:-1]
    # Of the continuation alone: a prompt has a hundred places, and nobody asks for the others.
    places = None if echo.best is None else echo.best[context_tokens:-1]
    best = None if places is None else [_highest(top) for top in places]
    if context_tokens < 0 or not logprobs:
        raise Malformed("the continuation has no token of its own")
    for value in itertools.chain(logprobs, best or []):
        if not _is_logprob(value):
            raise Malformed(f"a log-probability of the continuation is {value!r}")
    return OptionScore(
        loglikelihood=sum(logprobs),
        is_greedy=None
        if best is None
        else all(own >= top for own, top in zip(logprobs, best, strict=True)),
        tokens=len(logprobs),
    )


def top_logprobs(data: Any) -> tuple[tuple[str, float], ...]:
    """The list of the first generated token, in the form of completions or of chats."""
    given = _choices(data, 1)[0].get("logprobs")
    if not isinstance(given, dict):
        raise Malformed("the reply holds no log-probabilities")
    if given.get("content"):
        first = _get(given, "content", list)[0]
        pairs = [
            (_get(entry, "token", str), entry.get("logprob"))
            for entry in _get(first, "top_logprobs", list)
        ]
    else:
        places = _get(given, "top_logprobs", list)
        pairs = list(places[0].items()) if places and isinstance(places[0], dict) else []
    if len(pairs) < 2:
        raise Malformed("the reply does not list the most likely first tokens")
    for token, value in pairs:
        if not _is_logprob(value):
            raise Malformed(f"the log-probability of {token!r} is {value!r}")
    return tuple(pairs)


def cut(said: Said, stops: Sequence[str]) -> Said:
    """``said`` up to the first of ``stops``, as a server cuts that was told of them."""
    found = [at for stop in stops if (at := said.text.find(stop)) >= 0]
    return replace(said, text=said.text[: min(found)], finish_reason="stop") if found else said


def prompt_tokens(data: Any) -> int | None:
    """How many tokens the server read, None where it does not tell."""
    return _usage(data)[0]


def tokens_moved(data: Any) -> int | None:
    """The tokens that cost the server most: written ones, or read ones where it wrote but one."""
    read, written = _usage(data)
    return written if written and written > 1 else read


def boundary(echo: Echo, context: str, text: str) -> int | None:
    """How many tokens of ``text`` (= context + continuation) make up ``context``.

    None when the tokens do not spell the text, or one of them reaches over the boundary.
    Tokens that the server puts in front (beginning of text) count as context.
    """
    tokens = echo.tokens[:-1]
    try:
        joined = "".join(tokens)
    except TypeError:  # one of them is no text
        return None
    if not tokens or not joined.endswith(text):
        return None
    front, back = len(joined) - len(text), len(text) - len(context)
    if front and front not in itertools.accumulate(len(token) for token in tokens):
        return None
    # From the end, which is near. A token that shows no text is the head of what follows.
    start = len(tokens)
    while start and (back > 0 or not tokens[start - 1]):
        start -= 1
        back -= len(tokens[start])
    return start if back == 0 else None


def move_spaces(context: str, continuations: Sequence[str]) -> tuple[str, list[str]]:
    """The same texts split before the blanks that end ``context``.

    Tokenizers join a blank with the word after it; lm-eval splits in the same place, so
    that both count the same tokens as continuation.
    """
    bare = context.rstrip()
    blanks = context[len(bare) :]
    return bare, [blanks + continuation for continuation in continuations]


def complaint(body: str) -> str:
    """What an error reply says, in any of the forms servers use; at most 400 characters."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    said: Any = body
    if isinstance(data, dict):
        said = data.get("error") or data.get("detail") or data.get("message") or body
    if isinstance(said, dict):
        said = said.get("message") or said
    if isinstance(said, list):
        said = "; ".join(
            f"{'.'.join(map(str, each.get('loc') or ()))}: {each.get('msg')}"
            if isinstance(each, dict) and isinstance(each.get("loc") or (), list | tuple)
            else str(each)
            for each in said
        )
    text = said if isinstance(said, str) else json.dumps(said)
    if text.lstrip()[:1] == "<":
        return "an HTML page"
    return " ".join(text.split())[:400] or "nothing"


def _echo(choice: dict[str, Any]) -> Echo:
    given = choice.get("logprobs")
    if not isinstance(given, dict):
        raise Malformed("the reply holds no log-probabilities")
    logprobs = _get(given, "token_logprobs", list)
    tops = _get(given, "top_logprobs", list)
    tokens = given.get("tokens") or []
    if not isinstance(tokens, list) or len(tokens) not in {0, len(logprobs)}:
        raise Malformed("the lists of tokens and log-probabilities differ in length")
    if len(tops) != len(logprobs):
        raise Malformed("the lists of log-probabilities differ in length")
    return Echo(_text(choice.get("text")), tokens, logprobs, tops)


def _highest(top: Any) -> Any:
    """The greatest value of a place; what is no log-probability counts as greatest, to be found."""
    if not isinstance(top, dict):
        return top
    if not top:
        return None
    return max(top.values(), key=lambda value: value if _is_logprob(value) else math.inf)


def _choices(data: Any, count: int) -> list[dict[str, Any]]:
    found = _get(data, "choices", list)
    if not all(isinstance(choice, dict) for choice in found):
        raise Malformed("a choice is not an object")
    if len(found) != count:
        raise Malformed(f"{len(found)} choices where {count} are due")
    if count == 1:
        return found
    by_index = {_get(choice, "index", int): choice for choice in found}
    if sorted(by_index) != list(range(count)):
        raise Malformed("the choices are not numbered in order")
    return [by_index[index] for index in range(count)]


def _usage(data: Any) -> tuple[int | None, int | None]:
    usage = data.get("usage") if isinstance(data, dict) else None
    if not isinstance(usage, dict):
        return None, None
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def _count(value: Any) -> int | None:
    """A number of tokens; None for what cannot be one."""
    known = isinstance(value, int) and not isinstance(value, bool)
    return value if known and 0 <= value < 2**31 else None


def _get(data: Any, name: str, kind: type) -> Any:
    if not isinstance(data, dict):
        raise Malformed("the reply is not an object")
    value = data.get(name)
    if not isinstance(value, kind):
        raise Malformed(f"{name!r} is missing" if value is None else f"{name!r} has another form")
    return value


def _text(value: Any) -> str:
    """Text as one string: nothing is empty, a list of parts (as some servers send) is joined."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        value = "".join(str(part.get("text") or "") for part in value)
    if not isinstance(value, str):
        raise Malformed("the text is not a text")
    return value


def _reason(choice: dict[str, Any]) -> str:
    reason = choice.get("finish_reason")
    return reason if isinstance(reason, str) else ""


def _is_logprob(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value <= ROUNDING
    )
