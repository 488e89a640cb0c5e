"""lm-eval's own task objects, asked through our own client.

Prompts, few-shot examples, filters and metrics are lm-eval's; requests, retries,
concurrency and errors are ours. One sample is all requests of one document, so a
sample is scored as soon as its answers are there and survives a killed worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Collection
from copy import deepcopy
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from evals.engines import _bounds
from evals.engines._base import EXAMPLES_SPLIT, BenchmarkSpec, Outcome, TaskInvalid, fewshot
from evals.llm import Client, Completion, EndpointSpec, LLMError, pooled
from evals.stats.distance import distances

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import ConfigurableTask

FEWSHOT_SEED = 1234  # lm_eval.simple_evaluate's default, so that shots are the same
MOST_SHOTS = 100
DEFAULT_MAX_TOKENS = 256  # as lm-eval's API models
# What a task may set. Everything else of lm-eval would load code, files or data from
# elsewhere (use_prompt and the metrics of other libraries too) or change what is counted.
TASK_KEYS = {
    "output_type", "description", "doc_to_text", "doc_to_target", "doc_to_choice", "gen_prefix",
    "target_delimiter", "fewshot_delimiter", "fewshot_config", "generation_kwargs",
    "filter_list", "metric_list", "metadata",
}  # fmt: skip
OUTPUT_TYPES = {"options": "multiple_choice", "generate": "generate_until"}
# The metrics that give one number a sample from the requests we send.
METRICS = {
    "options": {"acc", "acc_norm", "acc_bytes", "exact_match"},
    "generate": {"exact_match"},
}
GENERATION_KEYS = {"until", "max_gen_toks", "temperature", "do_sample"}

T = TypeVar("T")


class _Chat(str):
    """A prompt that is a JSON list of chat messages (lm-eval passes prompts as text)."""


class _Document(NamedTuple):
    doc_id: int
    doc: dict[str, Any]
    requests: list[Instance]


class LmEval:
    label = f"lm-eval {version('lm-eval')}"

    def needs(self, spec: BenchmarkSpec) -> frozenset[str]:
        if spec.scoring == "options":
            return frozenset({"loglikelihood"})
        return frozenset({"chat" if spec.options.get("chat") else "completions"})

    def software(self) -> dict[str, str]:
        return {"lm-eval": version("lm-eval")}

    def validate(self, spec: BenchmarkSpec) -> None:
        if not spec.rows:
            raise TaskInvalid(f"{spec.name}: the question file is empty.")
        shots = spec.options.get("num_fewshot", 0)
        if not isinstance(shots, int) or not 0 <= shots <= MOST_SHOTS:
            raise TaskInvalid(
                f"{spec.name}: options.num_fewshot is {shots!r}; "
                f"write a whole number from 0 to {MOST_SHOTS}."
            )
        if spec.examples and shots > len(spec.examples):
            raise TaskInvalid(
                f"{spec.name}: options.num_fewshot is {shots}, but there are only "
                f"{len(spec.examples)} examples."
            )
        if bad := spec.task.keys() - TASK_KEYS:
            raise TaskInvalid(
                f"{spec.name}: task may not set {', '.join(sorted(bad))}; "
                "the questions come from the suite's own file and no code is loaded."
            )
        if found := _functions(spec.task):
            raise TaskInvalid(
                f"{spec.name}: task.{found} holds code (!function), which never runs."
            )
        for fault in _bounds.faults(spec.task):
            raise TaskInvalid(f"{spec.name}: {fault}.")
        wanted = OUTPUT_TYPES.get(spec.scoring)
        if spec.task.get("output_type") != wanted:
            raise TaskInvalid(
                f"{spec.name}: output_type {spec.task.get('output_type')!r} does not fit "
                f"scoring {spec.scoring!r}; it needs {wanted!r}."
            )
        if spec.scoring == "options" and spec.options.get("chat"):
            raise TaskInvalid(
                f"{spec.name}: options.chat does not fit scoring 'options': "
                "log-likelihoods are taken without a chat template."
            )
        if bad := (spec.task.get("generation_kwargs") or {}).keys() - GENERATION_KEYS:
            raise TaskInvalid(
                f"{spec.name}: generation_kwargs may not set {', '.join(sorted(bad))}, "
                f"only {', '.join(sorted(GENERATION_KEYS))}."
            )
        metrics = [entry.get("metric") for entry in spec.task.get("metric_list") or []]
        if spec.metric not in metrics:
            raise TaskInvalid(
                f"{spec.name}: the primary metric {spec.metric!r} is not in metric_list {metrics}."
            )
        for entry in spec.task["metric_list"]:
            known = METRICS[spec.scoring]
            if entry.get("metric") not in known or "hf_evaluate" in entry:
                raise TaskInvalid(
                    f"{spec.name}: metric {entry.get('metric')!r} gives no number a sample here; "
                    f"metric_list takes {', '.join(sorted(known))} of lm-eval itself."
                )
            if entry.get("aggregation", "mean") != "mean":
                raise TaskInvalid(
                    f"{spec.name}: metric {entry['metric']!r} aggregates by "
                    f"{entry['aggregation']!r}; only mean over samples is supported."
                )

    async def run(
        self, endpoint: EndpointSpec, spec: BenchmarkSpec, skip: Collection[int]
    ) -> AsyncIterator[list[Outcome]]:
        # In a thread: thousands of documents take seconds, and the caller's heartbeat must go on.
        task, documents = await _in_thread(lambda: prepare(spec))
        open_ones = [document for document in documents if document.doc_id not in set(skip)]
        async with Client(endpoint) as client:

            async def ask(document: _Document) -> Outcome:
                return await _ask(client, task, spec, document)

            batches = pooled(open_ones, ask, endpoint.concurrency)
            try:
                async for batch in batches:
                    yield batch
            finally:
                await batches.aclose()


ENGINE = LmEval()


async def _in_thread(call: Callable[[], T]) -> T:
    """``call()`` in a thread of its own, which a cancelled caller does not wait for.

    asyncio.to_thread would be waited for when the loop ends: a cancel during the import of
    lm-eval would then take as long as that import.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except Exception as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="prepare", daemon=True).start()
    return await future


def prepare(spec: BenchmarkSpec) -> tuple[ConfigurableTask, list[_Document]]:
    """The task object of ``spec`` and all its documents with their requests.

    Raises TaskInvalid when templates and rows do not fit each other.
    """
    try:
        task = load_task(spec)
        documents = build(task, chat=bool(spec.options.get("chat")))
    except Exception as error:  # templates and rows fail in as many ways as there are filters
        text = f"{type(error).__name__}: {error}"
        raise TaskInvalid(f"{spec.name}: lm-eval cannot build its prompts ({text}).") from error
    if spec.scoring == "options":
        for document in documents:
            _check_choice(task, spec, document)
    return task, documents


def _check_choice(task: ConfigurableTask, spec: BenchmarkSpec, document: _Document) -> None:
    """Raise TaskInvalid unless one context has different continuations, one of them right."""
    contexts = {request.args[0] for request in document.requests}
    if task.multiple_input or len(contexts) != 1:
        raise TaskInvalid(
            f"{spec.name}: doc_to_text makes one context for each choice; only tasks with one "
            "context and several choices are supported."
        )
    choices = [str(choice) for choice in task.doc_to_choice(document.doc)]
    different = len(set(choices)) == len(choices) >= 2
    if _gold(task, document.doc, choices) is None or not all(choices) or not different:
        raise TaskInvalid(
            f"{spec.name}, row {document.doc_id}: doc_to_target must name exactly one of at "
            f"least two different choices, none of them empty; they are {choices}."
        )


def _gold(task: ConfigurableTask, doc: dict[str, Any], choices: list[str]) -> int | None:
    """The index of the right choice, None when the target is not one of them."""
    gold = task.doc_to_target(doc)
    if isinstance(gold, str):
        return choices.index(gold) if gold in choices else None
    return gold if isinstance(gold, int) and 0 <= gold < len(choices) else None


def load_task(spec: BenchmarkSpec) -> ConfigurableTask:
    """lm-eval's task object over the rows of ``spec``, with seeded few-shot examples."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    _sandbox_templates()

    def split(rows: list[dict[str, Any]]) -> Dataset:
        # All fields in each row: from_list takes the names from the first alone.
        names = dict.fromkeys(name for row in rows for name in row)
        return Dataset.from_list([{name: row.get(name) for name in names} for row in rows])

    def splits(**_: Any) -> dict[str, Dataset]:
        examples = {EXAMPLES_SPLIT: split(spec.examples)} if spec.examples else {}
        return {"test": split(spec.rows), **examples}

    config = {
        **fewshot(spec.options, bool(spec.examples)),
        **deepcopy(spec.task),  # lm-eval writes its defaults into it
        "task": spec.name,
        "custom_dataset": splits,
        "test_split": "test",
    }
    task = ConfigurableTask(config=config)
    task.set_fewshot_seed(FEWSHOT_SEED)
    return task


def _sandbox_templates() -> None:
    """Render task templates in Jinja's sandbox: lm-eval's plain one lets a template run code."""
    from jinja2.sandbox import SandboxedEnvironment
    from lm_eval import utils

    if not isinstance(utils.env, SandboxedEnvironment):
        sandbox = _bounds.Sandbox()
        sandbox.filters["regex_replace"] = utils.regex_replace
        utils.env = sandbox


def build(task: ConfigurableTask, *, chat: bool) -> list[_Document]:
    """Every document with its requests, in order.

    All of them each time, also on resume: shots are drawn in document order, so
    leaving documents out would change the prompts of the rest.
    """
    documents = []
    for doc_id, doc in task.doc_iterator(rank=0, world_size=1, limit=None):
        context = task.fewshot_context(
            doc,
            num_fewshot=task.config.num_fewshot or 0,
            apply_chat_template=chat,
            fewshot_as_multiturn=True,
            chat_template=_render_chat if chat else None,
            gen_prefix=task.doc_to_prefix(doc),
        )
        made = task.construct_requests(
            doc=doc,
            ctx=context,
            metadata=(task.config.task, doc_id, task.config.repeats),
            apply_chat_template=chat,
            chat_template=_render_chat if chat else None,
        )
        documents.append(_Document(doc_id, doc, made if isinstance(made, list) else [made]))
    return documents


def _render_chat(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    # The server applies the model's own template.
    return _Chat(json.dumps(messages, ensure_ascii=False))


async def _ask(
    client: Client, task: ConfigurableTask, spec: BenchmarkSpec, document: _Document
) -> Outcome:
    prompt = str(document.requests[0].args[0])
    target = _target(task, document.doc)
    try:
        if spec.scoring == "options":
            return await _ask_options(client, task, spec, document, prompt, target)
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
    document: _Document,
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
    gold = _gold(task, document.doc, choices)
    assert gold is not None  # prepare has looked at every document
    distance = distances(logs, gold)
    return Outcome(
        doc_id=document.doc_id,
        prompt=prompt,
        target=target,
        answer=choices[max(range(len(logs)), key=logs.__getitem__)],
        value=metrics[spec.metric],
        metrics=metrics,
        choices=tuple(choices),
        loglikelihoods=tuple(logs),
        p_gold=distance.p_gold,
        margin=distance.margin,
        nll=distance.nll,
        brier=distance.brier,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=0,
        latency_ms=reply.latency_ms,
        attempts=reply.attempts,
    )


async def _ask_generate(
    client: Client,
    task: ConfigurableTask,
    spec: BenchmarkSpec,
    document: _Document,
    prompt: str,
    target: str,
) -> Outcome:
    (request,) = document.requests
    reply = await _generate(client, request.args[0], dict(request.args[1]))
    text = reply.text
    request.resps = [text]
    metrics = _score(task, document)
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
        raw=text,
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
    if isinstance(prompt, _Chat):
        return await client.chat(json.loads(prompt), **arguments)
    return await client.complete(prompt, **arguments)


def _score(task: ConfigurableTask, document: _Document) -> dict[str, float]:
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


def _functions(value: Any, path: str = "") -> str | None:
    """The path of the first ``!function`` text inside ``value``."""
    if isinstance(value, dict):
        pairs = [(f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return path if isinstance(value, str) and "!function" in value else None
    return next((found for where, item in pairs if (found := _functions(item, where))), None)
