"""Whether answers come, in the form asked for, and what they hold."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

from . import replies
from .client import SEED
from .errors import LLMError
from .preflight import QUESTIONS, Outcome
from .replies import Malformed, Said
from .streaming import Ending, Piece, Prompt, stream
from .witness import Witness

QUESTION = "What is the capital of Germany?"
CHAT = "chat/completions"
ODD = "zzq"  # what no model says by itself
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": [ODD]}},
    "required": ["answer"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {
        "name": "note_down",
        "description": "Keeps a note",
        "parameters": {
            "type": "object",
            "properties": {"note": {"type": "string"}},
            "required": ["note"],
        },
    },
}
THINKING = ("reasoning", "reasoning_content")
MARKS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<|channel|>analysis", "<|end|>"))
LINE = "The grey box in this room holds nothing of interest.\n"
NEEDLE = "zinnia"
FILLED = 0.8  # of the context
LONGEST_TRIED = 32_768  # tokens; more would keep a server busy for minutes
LOST = 0.95  # a server that reads less of a text than this has cut it


def talk(text: str, max_tokens: int, **more: Any) -> dict[str, Any]:
    """The body of one question, to be answered without chance."""
    messages = [{"role": "user", "content": text}]
    fields = {"max_tokens": max_tokens, "temperature": 0.0, "seed": SEED}
    return {"messages": messages} | fields | more


async def chat(witness: Witness) -> Outcome:
    said = await _said(witness, talk(QUESTION, 16))
    if not (said.text or said.reasoning).strip():
        # A barely trained model may end its answer at once: that is no fault of the server.
        ended = said.finish_reason == "stop" and (said.completion_tokens or 0) <= 1
        return ("chat_silent" if ended and said.prompt_tokens else "chat_empty"), {}
    if not (said.finish_reason and said.prompt_tokens):
        return "chat_uncounted", {}
    if (said.completion_tokens or 0) > 1:
        cut = await _said(witness, talk(QUESTION, 1))
        if cut.finish_reason != "length":
            return "chat_uncut", {"reason": cut.finish_reason[:40]}
    return "chat_works", {}


async def completions(witness: Witness) -> Outcome:
    for prompt, _ in QUESTIONS:
        body = {"prompt": prompt, "max_tokens": 8, "temperature": 0.0, "seed": SEED}
        if replies.completion((await witness.post("completions", body)).data).text:
            return "completions_work", {}
    return "completions_empty", {}


async def structured(witness: Witness) -> Outcome:
    dialect = witness.spec.speaks
    if not dialect.takes(CHAT, "response_format"):
        return "not_asked", {"field": "response_format"}
    form = dialect.response_format("answer", SCHEMA)
    said = await _said(witness, talk(QUESTION, 64, response_format=form))
    try:
        kept = json.loads(said.text) == {"answer": ODD}
    except (ValueError, RecursionError):
        kept = False
    if kept:
        return "structured", {}
    begun = said.finish_reason == "length" and said.text.lstrip().startswith("{")
    return ("structured_unfinished" if begun else "structured_ignored"), {}


async def tools(witness: Witness) -> Outcome:
    if not witness.spec.speaks.takes(CHAT, "tools"):
        return "not_asked", {"field": "tools"}
    named = {"type": "function", "function": {"name": "note_down"}}
    body = talk("Note down: milk", 64, tools=[TOOL], tool_choice=named)
    choice = _choice((await witness.post(CHAT, body)).data)
    calls = choice["message"].get("tool_calls")
    if not isinstance(calls, list) or not calls:
        return "tools_ignored", {}
    function = calls[0].get("function") if isinstance(calls[0], dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    try:
        read = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        unfinished = choice.get("finish_reason") == "length"
        return ("tools_unfinished" if unfinished else "tools_unreadable"), {}
    return ("tools" if isinstance(read, dict) else "tools_unreadable"), {}


async def streamed(witness: Witness) -> Outcome:
    """The way of the playground, through the same code."""
    prompt = Prompt([{"role": "user", "content": QUESTION}], 16, seed=SEED)
    witness.note("request", f"POST {CHAT}, as a stream: {QUESTION}")
    pieces: list[Piece] = []
    ending = Ending()
    async with aclosing(stream(witness.spec, prompt)) as parts:
        async for part in parts:
            if isinstance(part, Ending):
                ending = part
            else:
                pieces.append(part)
    text = "".join(piece.reasoning + piece.text for piece in pieces)
    witness.note("response", f"{len(pieces)} pieces: {text}\n{ending}")
    counted = witness.spec.speaks.counts and ending.prompt_tokens and ending.completion_tokens
    return ("streams" if counted else "streams_uncounted"), {}


async def steady(witness: Witness) -> Outcome:
    first, second = [await _said(witness, talk(QUESTION, 32)) for _ in range(2)]
    same = (first.text, first.reasoning) == (second.text, second.reasoning)
    return ("steady" if same else "unsteady"), {}


async def thinking(witness: Witness) -> Outcome:
    data = (await witness.post(CHAT, talk("How many days has a week? Think first.", 128))).data
    message = _choice(data)["message"]
    for name in THINKING:
        if isinstance(message.get(name), str) and message[name].strip():
            return "thinks_apart", {"where": name}
    text = message.get("content")
    for begin, end in MARKS:
        if isinstance(text, str) and (begin in text or end in text):
            return "thinks_inside", {"where": f"{begin} … {end}"}
    return "thinks_not", {}


async def unknown_fields(witness: Witness) -> Outcome:
    body = witness.spec.speaks.fitted(CHAT, talk(QUESTION, 1))
    await witness.post_all(CHAT, body)  # fails where the rest is not liked either
    try:
        await witness.post_all(CHAT, body | {"pruefstand_unknown": 1})
    except LLMError as error:
        if error.status is None or error.status >= 500:
            raise
        witness.note("response", error.reply or str(error))
        return "unknown_refused", {}
    return "unknown_ignored", {}


async def context(witness: Witness) -> Outcome:
    """Whether a text of four fifths of the context is read whole, with its first word."""
    length = witness.context or await declared(witness)
    if not length:
        return "context_unknown", {}
    aim = int(FILLED * min(length, LONGEST_TRIED))
    short, long = [await _said(witness, _haystack(lines)) for lines in (8, 24)]
    counts = witness.spec.speaks.counts and short.prompt_tokens and long.prompt_tokens
    each = (long.prompt_tokens - short.prompt_tokens) / 16 if counts else 12.0
    begin = short.prompt_tokens - 8 * each if counts else 40.0
    lines = max(8, int((aim - begin) / each)) if each > 0 else 8
    sent = int(begin + lines * each)
    said = await _said(witness, _haystack(lines))
    values = {"sent": str(sent), "read": str(said.prompt_tokens if counts else sent)}
    found = NEEDLE in (said.text + said.reasoning).lower()
    if counts and (said.prompt_tokens or 0) < LOST * sent:
        return "context_cut", values
    if found:
        return "context_found", values
    return ("context_read" if counts else "context_lost"), values


def _haystack(lines: int) -> dict[str, Any]:
    ask = "What is the secret word? Answer with that word alone."
    return talk(f"The secret word is {NEEDLE}.\n{LINE * lines}{ask}", 48)


async def declared(witness: Witness) -> int | None:
    """How many tokens the server says it takes."""
    entries = witness.models.get("data") if isinstance(witness.models, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("id") == witness.spec.model:
            for name in ("max_model_len", "context_length", "max_context_length"):
                if type(entry.get(name)) is int and entry[name] > 0:
                    return int(entry[name])
    told = {"tgi": ("info", "max_input_tokens"), "llama.cpp": ("props", "n_ctx")}
    if found := told.get(witness.spec.dialect):
        path, name = found
        data = (await witness.get(f"{witness.spec.root}/{path}")).data
        settings = data.get("default_generation_settings", data) if isinstance(data, dict) else {}
        value = settings.get(name) if isinstance(settings, dict) else None
        return value if type(value) is int and value > 0 else None
    return None


async def _said(witness: Witness, body: dict[str, Any]) -> Said:
    return replies.chat((await witness.post(CHAT, body)).data)


def _choice(data: Any) -> dict[str, Any]:
    choices = data.get("choices") if isinstance(data, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict) or not isinstance(first.get("message"), dict):
        raise Malformed("'message' is missing")
    return first
