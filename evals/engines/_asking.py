"""One document asked and scored: the requests of its way of scoring, lm-eval's metrics."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from evals.engines import _letters, _mass
from evals.engines._base import BenchmarkSpec, Outcome
from evals.llm import Client, Completion, LLMError, thinking
from evals.llm.replies import move_spaces
from evals.stats.distance import distances

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import ConfigurableTask

DEFAULT_MAX_TOKENS = 256  # as lm-eval's API models


class Chat(str):
    """A prompt that is a JSON list of chat messages (lm-eval passes prompts as text)."""


class Document(NamedTuple):
    doc_id: int
    doc: dict[str, Any]
    requests: list[Instance]


async def ask(
    client: Client, task: ConfigurableTask, spec: BenchmarkSpec, document: Document
) -> Outcome:
    prompt = str(document.requests[0].args[0])
    target = _target(task, document.doc)
    try:
        if spec.scoring == "options":
            return await _ask_options(client, task, spec, document, prompt, target)
        if spec.scoring == "letter":
            return await _ask_letter(client, task, spec, document, prompt, target)
        return await _ask_generate(client, task, spec, document, prompt, target)
    except LLMError as error:
        return Outcome(
            doc_id=document.doc_id,
            prompt=prompt,
            target=target,
            attempts=error.attempts,
            error=str(error),
            error_kind=error.kind,
        )
    except Exception as error:  # one odd answer must not stop the other thousand
        logging.getLogger(__name__).exception("%s, row %s", spec.name, document.doc_id)
        return Outcome(
            doc_id=document.doc_id,
            prompt=prompt,
            target=target,
            error=f"{type(error).__name__}: {error}",
            error_kind="scoring",
        )


async def _ask_options(
    client: Client,
    task: ConfigurableTask,
    spec: BenchmarkSpec,
    document: Document,
    prompt: str,
    target: str,
) -> Outcome:
    continuations = [request.args[1] for request in document.requests]
    reply = await client.loglikelihoods(prompt, continuations)
    for request, option in zip(document.requests, reply.options, strict=True):
        request.resps = [(option.loglikelihood, option.is_greedy)]
    metrics = _score(task, document)
    choices = [str(choice) for choice in task.doc_to_choice(document.doc)]
    logs = [option.loglikelihood for option in reply.options]
    gold = gold_of(task, document.doc, choices)
    assert gold is not None  # prepare has looked at every document
    # With several right choices there is no distance to the right one, only their mass.
    several = spec.metric == _mass.METRIC
    distance = None if several else distances(logs, gold)
    return Outcome(
        doc_id=document.doc_id,
        prompt=prompt,
        target=target,
        answer=choices[max(range(len(logs)), key=logs.__getitem__)],
        value=metrics[spec.metric],
        metrics=metrics,
        choices=tuple(choices),
        loglikelihoods=tuple(logs),
        p_gold=distance.p_gold if distance else metrics[_mass.METRIC],
        margin=distance.margin if distance else None,
        nll=distance.nll if distance else None,
        brier=distance.brier if distance else None,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=0,
        latency_ms=reply.latency_ms,
        attempts=reply.attempts,
    )


async def _ask_letter(
    client: Client,
    task: ConfigurableTask,
    spec: BenchmarkSpec,
    document: Document,
    prompt: str,
    target: str,
) -> Outcome:
    """One request: the letter that the first generated token most likely is.

    ``raw`` keeps the list of the server and the letters that it lacks. Without any letter in
    it the answer is none: that counts as not right, and in the metric ``no_letter``.
    """
    continuations = [str(request.args[1]) for request in document.requests]
    given = document.requests[0].args[0]
    if isinstance(given, Chat):
        reply = await client.first_token(messages=json.loads(given))
        found = _letters.summed(reply.top, continuations)
    else:
        context, continuations = move_spaces(prompt, continuations)
        reply = await client.first_token(context)
        found = _letters.spelled(reply.top, continuations)
    for request, value in zip(document.requests, found.logprobs, strict=True):
        request.resps = [(value, False)]
    metrics = _score(task, document)
    choices = tuple(str(choice) for choice in task.doc_to_choice(document.doc))
    missing = [choice for choice, floored in zip(choices, found.floored, strict=True) if floored]
    nothing = len(missing) == len(choices)
    if nothing:
        metrics = dict.fromkeys(metrics, 0.0)
    metrics |= {"no_letter": float(nothing), "letter_missing": float(bool(missing))}
    gold = gold_of(task, document.doc, list(choices))
    assert gold is not None  # prepare has looked at every document
    distance = None if nothing else distances(found.logprobs, gold)
    logs = found.logprobs
    return Outcome(
        doc_id=document.doc_id,
        prompt=prompt,
        target=target,
        answer="" if nothing else choices[max(range(len(logs)), key=logs.__getitem__)],
        value=metrics[spec.metric],
        metrics=metrics,
        choices=() if nothing else choices,
        loglikelihoods=() if nothing else logs,
        p_gold=distance.p_gold if distance else None,
        margin=distance.margin if distance else None,
        nll=distance.nll if distance else None,
        brier=distance.brier if distance else None,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=1,
        latency_ms=reply.latency_ms,
        attempts=reply.attempts,
        raw=json.dumps(
            {"first_token": dict(reply.top), "floor": found.floor, "floored": missing},
            ensure_ascii=False,
        ),
    )


async def _ask_generate(
    client: Client,
    task: ConfigurableTask,
    spec: BenchmarkSpec,
    document: Document,
    prompt: str,
    target: str,
) -> Outcome:
    """One generation, scored without its thinking; ``raw`` keeps all of it.

    The metrics ``thinking`` and ``thinking_cut`` are of answers with thinking alone.
    """
    (request,) = document.requests
    reply = await _generate(client, request.args[0], dict(request.args[1]))
    raw = thinking.joined(reply.text, reply.reasoning, reply.finish_reason)
    thought = thinking.split(raw)
    request.resps = [thought.answer]
    metrics = _score(task, document)
    if thought.thinking or thought.cut:
        metrics |= {"thinking": 1.0, "thinking_cut": float(thought.cut)}
    answers = [request.filtered_resps[name.name] for name in task._filters]
    return Outcome(
        doc_id=document.doc_id,
        prompt=prompt,
        target=target,
        answer=str(answers[0]),
        value=metrics[spec.metric],
        metrics=metrics,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        latency_ms=reply.latency_ms,
        attempts=reply.attempts,
        raw=raw,
        finish_reason=reply.finish_reason,
    )


async def _generate(client: Client, prompt: str, settings: dict[str, Any]) -> Completion:
    """One generation with lm-eval's ``generation_kwargs``."""
    stop = settings.get("until") or []
    stop = [stop] if isinstance(stop, str) else list(stop)
    arguments = {
        "max_tokens": int(settings.get("max_gen_toks", DEFAULT_MAX_TOKENS)),
        "temperature": float(settings.get("temperature", 0.0)),
        "stop": tuple(stop),
    }
    if isinstance(prompt, Chat):
        return await client.chat(json.loads(prompt), **arguments)
    return await client.complete(prompt, **arguments)


def _score(task: ConfigurableTask, document: Document) -> dict[str, float]:
    """lm-eval's filters and metrics for one document; names as ``metric`` or ``metric,filter``."""
    metrics: dict[str, float] = {}
    for pipeline in task._filters:
        pipeline.apply(document.requests)
        answers = [request.filtered_resps[pipeline.name] for request in document.requests]
        found = task.process_results(document.doc, answers)
        for name, value in found.items():
            key = name if pipeline.name == "none" else f"{name},{pipeline.name}"
            metrics[key] = float(value)
            metrics.setdefault(name, float(value))
    return metrics


def _target(task: ConfigurableTask, doc: dict[str, Any]) -> str:
    """The right answer in words."""
    gold = task.doc_to_target(doc)
    if isinstance(gold, int) and task.config.doc_to_choice is not None:
        return str(task.doc_to_choice(doc)[gold])
    return str(gold[0] if isinstance(gold, list) else gold)


def gold_of(task: ConfigurableTask, doc: dict[str, Any], choices: list[str]) -> int | None:
    """The index of the right choice, None when the target is not one of them."""
    gold = task.doc_to_target(doc)
    if isinstance(gold, str):
        return choices.index(gold) if gold in choices else None
    return gold if isinstance(gold, int) and 0 <= gold < len(choices) else None
