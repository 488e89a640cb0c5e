"""What an endpoint can do, found by trying, with the evidence kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from . import probes_answers as answers
from . import probes_scores as scores
from . import probes_server as server
from .client import Client
from .findings import ProbeReport, Verdict, verdict
from .preflight import Outcome, echo_is_true
from .retry import Retry
from .spec import EndpointSpec
from .witness import Witness

# Counts up when a probe asks or judges otherwise: what older checks found is asked anew.
PROBE_VERSION = 2
# In the order asked. The numbers are those of docs/servers.md.
PROBES: dict[str, tuple[str, Callable[[Witness], Awaitable[Outcome]]]] = {
    "reachable": ("P1", server.reachable),
    "health": ("P1", server.health),
    "model_listed": ("P1", server.listed),
    "software": ("P1", server.software),
    "chat": ("P2", answers.chat),
    "completions": ("P2", answers.completions),
    "echo_logprobs": ("P3", echo_is_true),
    "native_logprobs": ("P3b", scores.native),
    "tokenize": ("P4", scores.tokenize),
    "zero_tokens": ("P4", scores.zero_tokens),
    "token_ids": ("P4", scores.token_ids),
    "batch_prompts": ("P4", scores.batch),
    "top_logprobs": ("P5", scores.first_token),
    "chat_top_logprobs": ("P5", scores.first_of_chat),
    "structured_output": ("P6", answers.structured),
    "tools": ("P7", answers.tools),
    "stream": ("P8", answers.streamed),
    "deterministic": ("P9", answers.steady),
    "context": ("P10", answers.context),
    "reasoning": ("P11", answers.thinking),
    "unknown_fields": ("P12", answers.unknown_fields),
    "metrics": ("P13", server.metrics),
}
CAPABILITIES = (
    "chat", "completions", "loglikelihood", "echo_logprobs", "native_logprobs", "batch_prompts",
    "tokenize", "top_logprobs", "chat_top_logprobs", "structured_output", "tools", "stream",
    "deterministic", "context", "metrics", "strict",
)  # fmt: skip


async def check(spec: EndpointSpec, context: int | None = None) -> ProbeReport:
    """Try everything a run may need. Never raises ``LLMError``: failures are verdicts.

    ``context`` is how many tokens the server should take, None: as many as it says.
    """
    # One prompt a request, so that a fault of the list form is seen by its own probe.
    single = replace(spec, batch_prompts=False, route="echo", minimal=False)
    deadline = spec.timeout + max(spec.timeout, spec.speaks.warm_up)
    async with Client(single, Retry(attempts=2, base=0.2, deadline=deadline)) as client:
        witness = Witness(client, context)
        verdicts: list[Verdict] = []
        for name, (_, probe) in PROBES.items():
            verdicts.append(await witness.verdict(name, probe))
            if not verdicts[0].ok:
                rest = [verdict(each, "not_tried", {}, {}) for each in list(PROBES)[1:]]
                nothing = dict.fromkeys(CAPABILITIES, False)
                return ProbeReport((*verdicts, *rest), "", nothing)
        return ProbeReport(tuple(verdicts), await server.server(witness), _capabilities(verdicts))


async def identity(spec: EndpointSpec) -> str:
    """Name and version as ``check`` stores them, "" where the server cannot be asked now."""
    async with Client(spec, Retry(attempts=1)) as client:
        witness = Witness(client)
        asked = await witness.verdict("reachable", server.reachable)
        return await server.server(witness) if asked.ok else ""


def _capabilities(verdicts: list[Verdict]) -> dict[str, bool]:
    found = {verdict.name: verdict for verdict in verdicts}
    able = {name: bool(found[name].ok) for name in CAPABILITIES if name in found}
    # A server that miscounts tokens makes the client cut at the wrong place.
    trusted = found["tokenize"].ok is not False
    chats = able["chat"] or found["chat"].code in ("chat_uncounted", "chat_silent", "chat_uncut")
    echoes, native = able["echo_logprobs"] and trusted, able["native_logprobs"] and trusted
    return {name: able.get(name, False) for name in CAPABILITIES} | {
        "chat": chats,
        "loglikelihood": echoes or native,
        "echo_logprobs": echoes,
        "native_logprobs": native,
        "batch_prompts": echoes and able["batch_prompts"],
        "stream": able["stream"] or found["stream"].code == "streams_uncounted",
        "strict": found["unknown_fields"].code == "unknown_refused",
    }
