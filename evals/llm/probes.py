"""What an endpoint can do, found by trying, with the evidence kept."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from . import replies
from .client import SEED, Client, Loglikelihoods, echo_request, first_token_request
from .errors import Kind, LLMError, excerpt
from .preflight import QUESTIONS, SAME_TOKEN, Outcome, echo_is_true
from .replies import Malformed
from .retry import Retry
from .spec import EndpointSpec
from .transport import Reply


def gettext_noop(sentence: str) -> str:
    """Mark ``sentence`` for the catalogues; whoever shows it translates it."""
    return sentence


# Stable code → verdict (None: says nothing about the server) and sentence.
SENTENCES: dict[str, tuple[bool | None, str]] = {
    "not_tried": (None, gettext_noop("Not tried.")),
    "failed": (False, gettext_noop("The request failed: {error}")),
    "malformed": (False, gettext_noop("The reply cannot be used: {error}.")),
    "reachable": (True, gettext_noop("The server answers.")),
    "unreachable": (False, gettext_noop("The server cannot be reached: {error}")),
    "unauthorised": (False, gettext_noop("The server does not accept the key: {error}")),
    "listed": (True, gettext_noop("The server lists the model.")),
    "not_listed": (False, gettext_noop("The server does not list the model. It lists: {models}.")),
    "no_list": (None, gettext_noop("The server gives no list of models: {error}")),
    "chat_works": (True, gettext_noop("Chat works.")),
    "chat_silent": (
        None,
        gettext_noop("The server answers chats; the model said nothing at once."),
    ),
    "chat_empty": (False, gettext_noop("The chat reply holds no text.")),
    "chat_uncounted": (
        False,
        gettext_noop("Chat works, but the reply lacks token counts or a finish reason."),
    ),
    "completions_work": (True, gettext_noop("Completions work.")),
    "completions_empty": (False, gettext_noop("The completions of all prompts are empty.")),
    "echo_true": (
        True,
        gettext_noop("Echoed log-probabilities are true (largest difference {difference})."),
    ),
    "no_logprobs": (False, gettext_noop("The server answers, but without log-probabilities.")),
    "echo_incomplete": (
        False,
        gettext_noop("The echo lacks the log-probability of its last token."),
    ),
    "echo_differs": (
        False,
        gettext_noop(
            "Echoed log-probabilities are wrong: {echoed} for {token}, "
            "which was generated with {generated}."
        ),
    ),
    "echo_blind": (
        False,
        gettext_noop("The continuations “{first}” and “{second}” get the same log-likelihood."),
    ),
    "echo_unsteady": (False, gettext_noop("The same request gives different log-likelihoods.")),
    "echo_undecided": (
        None,
        gettext_noop(
            "Whether echoed log-probabilities are true could not be decided: "
            "the model ends every text at once."
        ),
    ),
    "counts": (True, gettext_noop("The server counts tokens as it reads them.")),
    "counts_differently": (
        False,
        gettext_noop("The server counts {counted} tokens for a text it reads as {read} tokens."),
    ),
    "no_count": (None, gettext_noop("The server has no token count; the echo is used instead.")),
    "lists_first": (True, gettext_noop("The most likely first tokens are listed ({count}).")),
    "lists_few": (
        False,
        gettext_noop("Only {count} most likely first tokens are listed; {needed} are needed."),
    ),
    "batches": (True, gettext_noop("Several prompts in one request work.")),
    "batch_differs": (
        False,
        gettext_noop("Several prompts in one request give other log-likelihoods."),
    ),
}


@dataclass(frozen=True)
class Verdict:
    """One finding; ``code`` with ``values`` makes ``summary`` in any language.

    ``evidence`` holds excerpts of the deciding ``request`` and ``response``, without the key.
    """

    name: str
    ok: bool | None
    summary: str
    evidence: dict[str, str] = field(default_factory=dict)
    code: str = ""
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProbeReport:
    """All verdicts in order, the server's name and version, and what runs may rely on."""

    verdicts: tuple[Verdict, ...]
    server: str
    capabilities: dict[str, bool]


async def check(spec: EndpointSpec) -> ProbeReport:
    """Try everything a run may need. Never raises ``LLMError``: failures are verdicts."""
    # One prompt a request, so that a fault of the list form is seen by its own probe.
    single = replace(spec, batch_prompts=False)
    async with Client(single, Retry(attempts=2, base=0.2, deadline=2 * spec.timeout)) as client:
        witness = _Witness(client)
        verdicts = [await witness.verdict("reachable", _reachable)]
        rest: dict[str, Callable[[_Witness], Awaitable[Outcome]]] = {
            "model_listed": _listed,
            "chat": _chat,
            "completions": _completions,
            "echo_logprobs": echo_is_true,
            "tokenize": _tokenize,
            "batch_prompts": _batch,
            "top_logprobs": _first_token,
            "chat_top_logprobs": _first_of_chat,
        }
        if not verdicts[0].ok:
            verdicts += [_verdict(name, "not_tried", {}, {}) for name in rest]
            return ProbeReport(tuple(verdicts), "", dict.fromkeys(CAPABILITIES, False))
        for name, probe in rest.items():
            verdicts.append(await witness.verdict(name, probe))
        return ProbeReport(tuple(verdicts), await _server(witness), _capabilities(verdicts))


CAPABILITIES = (
    "chat",
    "completions",
    "loglikelihood",
    "batch_prompts",
    "tokenize",
    "top_logprobs",
    "chat_top_logprobs",
)
FEWEST_LISTED = 5  # letters of most questions; with fewer, most would be missing


def _capabilities(verdicts: list[Verdict]) -> dict[str, bool]:
    found = {verdict.name: verdict for verdict in verdicts}
    # A server that miscounts tokens makes the client cut at the wrong place.
    scores = bool(found["echo_logprobs"].ok) and found["tokenize"].ok is not False
    return {
        "chat": bool(found["chat"].ok) or found["chat"].code in ("chat_uncounted", "chat_silent"),
        "completions": bool(found["completions"].ok),
        "loglikelihood": scores,
        "batch_prompts": scores and bool(found["batch_prompts"].ok),
        "tokenize": bool(found["tokenize"].ok),
        "top_logprobs": bool(found["top_logprobs"].ok),
        "chat_top_logprobs": bool(found["chat_top_logprobs"].ok),
    }


class _Witness:
    """A client that remembers the last request and what came back."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.evidence: dict[str, str] = {}
        self.models: Any = None

    async def verdict(self, name: str, probe: Callable[[_Witness], Awaitable[Outcome]]) -> Verdict:
        """What ``probe`` finds, or why it could not."""
        self.evidence = {}
        try:
            code, values = await probe(self)
        except LLMError as error:
            self._note("response", error.reply or str(error))
            code, values = "failed", {"error": str(error)}
        except Malformed as wrong:
            code, values = "malformed", {"error": str(wrong)}
        return _verdict(name, code, values, self.evidence)

    async def post(self, path: str, body: dict[str, Any]) -> Reply:
        self._note("request", f"POST {path} {json.dumps(body, ensure_ascii=False)}")
        return self._seen(await self.client.post(path, body))

    async def get(self, url: str) -> Reply:
        self._note("request", f"GET {url}")
        return self._seen(await self.client.get(url))

    async def loglikelihoods(self, context: str, parts: tuple[str, ...]) -> Loglikelihoods:
        self._note("request", f"log-likelihoods of {parts} after {context!r}")
        found = await self.client.loglikelihoods(context, parts)
        self._note("response", str([option.loglikelihood for option in found.options]))
        return found

    def _seen(self, reply: Reply) -> Reply:
        self._note("response", reply.raw.decode(errors="replace"))
        return reply

    def _note(self, side: str, text: str) -> None:
        self.evidence[side] = excerpt(text, self.client.spec.api_key)


def _verdict(name: str, code: str, values: dict[str, str], evidence: dict[str, str]) -> Verdict:
    ok, sentence = SENTENCES[code]
    return Verdict(name, ok, sentence.format(**values), evidence, code, values)


async def _reachable(witness: _Witness) -> Outcome:
    try:
        witness.models = (await witness.get(f"{witness.client.spec.base_url}/models")).data
    except LLMError as error:
        witness._note("response", error.reply or str(error))
        if error.kind == Kind.UNAUTHORISED:
            return "unauthorised", {"error": str(error)}
        if error.status is None:
            return "unreachable", {"error": str(error)}
        # It speaks HTTP: some servers have no list of models and work all the same.
    return "reachable", {}


async def _listed(witness: _Witness) -> Outcome:
    try:
        reply = await witness.get(f"{witness.client.spec.base_url}/models")
        models = replies.model_ids(reply.data)
    except (LLMError, Malformed) as error:
        if isinstance(error, LLMError):
            witness._note("response", error.reply or str(error))
        return "no_list", {"error": str(error)}
    if witness.client.spec.model in models:
        return "listed", {}
    return "not_listed", {"models": ", ".join(models[:20])[:300] or "–"}


async def _chat(witness: _Witness) -> Outcome:
    body = {
        "messages": [{"role": "user", "content": "What is the capital of Germany?"}],
        "max_tokens": 16,
        "temperature": 0.0,
        "seed": SEED,
    }
    said = replies.chat((await witness.post("chat/completions", body)).data)
    if not (said.text or said.reasoning).strip():
        # A barely trained model may end its answer at once: that is no fault of the server.
        ended = said.finish_reason == "stop" and (said.completion_tokens or 0) <= 1
        return ("chat_silent" if ended and said.prompt_tokens else "chat_empty"), {}
    return ("chat_works" if said.finish_reason and said.prompt_tokens else "chat_uncounted"), {}


async def _completions(witness: _Witness) -> Outcome:
    for prompt, _ in QUESTIONS:
        body = {"prompt": prompt, "max_tokens": 8, "temperature": 0.0, "seed": SEED}
        if replies.completion((await witness.post("completions", body)).data).text:
            return "completions_work", {}
    return "completions_empty", {}


async def _tokenize(witness: _Witness) -> Outcome:
    for prompt, _ in QUESTIONS:
        counted = await witness.client.tokens(prompt)
        if counted is None:
            return "no_count", {}
        body = {"prompt": prompt, "max_tokens": 1, "temperature": 0.0, "seed": SEED}
        read = replies.completion((await witness.post("completions", body)).data).prompt_tokens
        if counted != read:
            return "counts_differently", {"counted": str(counted), "read": str(read)}
    return "counts", {}


async def _batch(witness: _Witness) -> Outcome:
    context, parts = QUESTIONS[0]
    texts = [context + part for part in parts]
    alone = [(await witness.post("completions", echo_request(text))).data for text in texts]
    singly = [replies.score(replies.echoes(data, 1)[0][0], 1).loglikelihood for data in alone]
    reply = await witness.post("completions", echo_request(texts))
    together = [replies.score(echo, 1).loglikelihood for echo in replies.echoes(reply.data, 2)[0]]
    if any(abs(a - b) > SAME_TOKEN for a, b in zip(singly, together, strict=True)):
        return "batch_differs", {}
    return "batches", {}


async def _first_token(witness: _Witness) -> Outcome:
    return _listing(await witness.post("completions", first_token_request(QUESTIONS[0][0])))


async def _first_of_chat(witness: _Witness) -> Outcome:
    messages = [{"role": "user", "content": QUESTIONS[0][0]}]
    return _listing(await witness.post("chat/completions", first_token_request("", messages)))


def _listing(reply: Reply) -> Outcome:
    count = len(replies.top_logprobs(reply.data))
    if count < FEWEST_LISTED:
        return "lists_few", {"count": str(count), "needed": str(FEWEST_LISTED)}
    return "lists_first", {"count": str(count)}


async def _server(witness: _Witness) -> str:
    """Name and version as the server states them, as far as it does."""
    listed = witness.models.get("data") if isinstance(witness.models, dict) else None
    first = listed[0] if isinstance(listed, list) and listed else None
    owner = first.get("owned_by") if isinstance(first, dict) else None
    try:
        version = await witness.client.server_version()
    except LLMError:
        version = ""
    return " ".join(part for part in (owner, version) if isinstance(part, str) and part)[:100]
