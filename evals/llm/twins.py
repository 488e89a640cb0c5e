"""Whether a further server answers for the same model as the first one."""

from __future__ import annotations

from dataclasses import replace

from .client import Client
from .errors import LLMError
from .findings import ProbeReport, Verdict, verdict
from .preflight import QUESTIONS, SAME_TOKEN
from .probes import check
from .spec import EndpointSpec, Other

NAME = "replica"
# What it tells about its work changes no answer.
LEFT_OUT = {"metrics"}


async def compared(
    spec: EndpointSpec, first: ProbeReport, other: Other, context: int | None = None
) -> Verdict:
    """A check of ``other``, held against the report of the ``first`` server of ``spec``."""
    there = replace(spec, base_url=other.base_url, api_key=other.api_key, others=())
    report = await check(there, context)
    for name in ("reachable", "model_listed"):
        found = next(each for each in report.verdicts if each.name == name)
        if found.ok is False:
            return verdict(NAME, "replica_away", {"error": found.summary}, found.evidence)
    if report.server != first.server:
        values = {"other": report.server or "–", "first": first.server or "–"}
        return verdict(NAME, "replica_version", values, {})
    able = first.capabilities
    differ = [name for name in able if report.capabilities[name] != able[name]]
    if what := [name for name in differ if name not in LEFT_OUT]:
        return verdict(NAME, "replica_able", {"what": ", ".join(what)}, {})
    if able["echo_logprobs"]:
        return await _values(replace(spec, others=()), there)
    return verdict(NAME, "replica_same", {}, {})


async def _values(here: EndpointSpec, there: EndpointSpec) -> Verdict:
    """The same texts have the same log-likelihoods, unless weights differ under one name."""
    try:
        async with Client(here) as one, Client(there) as two:
            for context, parts in QUESTIONS:
                asked = [await each.loglikelihoods(context, parts) for each in (one, two)]
                for mine, its in zip(*(reply.options for reply in asked), strict=True):
                    if abs(mine.loglikelihood - its.loglikelihood) > SAME_TOKEN * mine.tokens:
                        values = {
                            "first": f"{mine.loglikelihood:.3f}",
                            "other": f"{its.loglikelihood:.3f}",
                        }
                        return verdict(NAME, "replica_model", values, {})
    except LLMError as error:
        return verdict(NAME, "replica_away", {"error": str(error)}, {"response": error.reply})
    return verdict(NAME, "replica_same", {}, {})
