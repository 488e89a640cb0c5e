"""lm-eval's own task objects, asked through our own client.

Prompts, few-shot examples, filters and metrics are lm-eval's; requests, retries,
concurrency and errors are ours. One sample is all requests of one document, so a
sample is scored as soon as its answers are there and survives a killed worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from copy import deepcopy
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from evals.engines import _bounds, _mass
from evals.engines._asking import Chat, Document, gold_of
from evals.engines._asking import ask as ask_document
from evals.engines._base import EXAMPLES_SPLIT, BenchmarkSpec, Outcome, TaskInvalid, fewshot
from evals.llm import Client, EndpointSpec, pooled, thinking

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask

FEWSHOT_SEED = 1234  # lm_eval.simple_evaluate's default, so that shots are the same
MOST_SHOTS = 100
# What a task may set. Everything else of lm-eval would load code, files or data from
# elsewhere (use_prompt and the metrics of other libraries too) or change what is counted.
TASK_KEYS = {
    "output_type", "description", "doc_to_text", "doc_to_target", "doc_to_choice", "gen_prefix",
    "target_delimiter", "fewshot_delimiter", "fewshot_config", "generation_kwargs",
    "filter_list", "metric_list", "metadata",
}  # fmt: skip
OUTPUT_TYPES = {
    "options": "multiple_choice",
    "letter": "multiple_choice",
    "generate": "generate_until",
}
# The metrics that give one number a sample from the requests we send.
METRICS = {
    "options": {"acc", "acc_norm", "acc_bytes", "exact_match", _mass.METRIC},
    "letter": {"acc"},
    "generate": {"exact_match"},
}
GENERATION_KEYS = {"until", "max_gen_toks", "temperature", "do_sample"}

USUAL = gc.get_threshold()
SELDOM = (20_000, 20, 50)  # allocations, then collections of the younger generation

T = TypeVar("T")


class LmEval:
    label = f"lm-eval {version('lm-eval')}"

    def needs(self, spec: BenchmarkSpec) -> frozenset[str]:
        if spec.scoring == "options":
            return frozenset({"loglikelihood"})
        if spec.scoring == "letter":
            chat = spec.options.get("chat")
            return frozenset({"chat_top_logprobs" if chat else "top_logprobs"})
        return frozenset({"chat" if spec.options.get("chat") else "completions"})

    def software(self) -> dict[str, str]:
        return {"lm-eval": version("lm-eval"), "thinking rule": str(thinking.RULE)}

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
        if _mass.METRIC in metrics and len(metrics) > 1:
            raise TaskInvalid(
                f"{spec.name}: {_mass.METRIC} counts several right choices and stands alone in "
                f"metric_list; it is {metrics}."
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

            async def ask(document: Document) -> Outcome:
                return await ask_document(client, task, spec, document)

            batches = pooled(open_ones, ask, endpoint.concurrency)
            try:
                with seldom_collected():
                    async for batch in batches:
                        yield batch
            finally:
                await batches.aclose()


ENGINE = LmEval()


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """Let the collector of cycles leave what is there alone, and look less often.

    A reply is thousands of small objects, each batch of which made it walk through all of
    lm-eval's modules and all documents: a quarter of the processor time of a run.
    """
    gc.freeze()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*USUAL)
        gc.unfreeze()


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


def prepare(spec: BenchmarkSpec) -> tuple[ConfigurableTask, list[Document]]:
    """The task object of ``spec`` and all its documents with their requests.

    Raises TaskInvalid when templates and rows do not fit each other.
    """
    try:
        task = load_task(spec)
        documents = build(task, chat=bool(spec.options.get("chat")))
    except Exception as error:  # templates and rows fail in as many ways as there are filters
        text = f"{type(error).__name__}: {error}"
        raise TaskInvalid(f"{spec.name}: lm-eval cannot build its prompts ({text}).") from error
    if spec.scoring in ("options", "letter"):
        for document in documents:
            _check_choice(task, spec, document)
    return task, documents


def _check_choice(task: ConfigurableTask, spec: BenchmarkSpec, document: Document) -> None:
    """Raise TaskInvalid unless one context has different continuations, one of them right."""
    contexts = {request.args[0] for request in document.requests}
    if task.multiple_input or len(contexts) != 1:
        raise TaskInvalid(
            f"{spec.name}: doc_to_text makes one context for each choice; only tasks with one "
            "context and several choices are supported."
        )
    choices = [str(choice) for choice in task.doc_to_choice(document.doc)]
    # Translations say some choices alike; there lm-eval's scores are taken as they are.
    distinct = 2 if spec.options.get("repeated_choices") else len(choices)
    different = len(set(choices)) >= max(2, distinct)
    if spec.metric == _mass.METRIC and (fault := _mass.fault(document.doc, choices)):
        raise TaskInvalid(f"{spec.name}, row {document.doc_id}: {fault}")
    if gold_of(task, document.doc, choices) is None or not all(choices) or not different:
        raise TaskInvalid(
            f"{spec.name}, row {document.doc_id}: doc_to_target must name exactly one of at "
            f"least two different choices, none of them empty; they are {choices}."
        )
    if spec.scoring == "letter" and not all(len(choice) == 1 for choice in choices):
        raise TaskInvalid(
            f"{spec.name}, row {document.doc_id}: scoring 'letter' needs choices of one letter "
            f"or digit each, which stand in the prompt; they are {choices}."
        )


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
    if spec.metric == _mass.METRIC:
        config["process_results"] = _mass.results
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


def build(task: ConfigurableTask, *, chat: bool) -> list[Document]:
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
        documents.append(Document(doc_id, doc, made if isinstance(made, list) else [made]))
    return documents


def _render_chat(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    # The server applies the model's own template.
    return Chat(json.dumps(messages, ensure_ascii=False))


def _functions(value: Any, path: str = "") -> str | None:
    """The path of the first ``!function`` text inside ``value``."""
    if isinstance(value, dict):
        pairs = [(f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return path if isinstance(value, str) and "!function" in value else None
    return next((found for where, item in pairs if (found := _functions(item, where))), None)
