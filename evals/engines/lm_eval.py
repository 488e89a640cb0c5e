"""lm-eval's own task objects, asked through our own client.

Prompts, few-shot examples, filters and metrics are lm-eval's; requests, retries,
concurrency and errors are ours. One sample is all requests of one document, so a
sample is scored as soon as its answers are there and survives a killed worker.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from copy import deepcopy
from importlib.metadata import version
from itertools import chain, islice, takewhile
from typing import TYPE_CHECKING, Any

from evals.engines import _bounds, _mass
from evals.engines._asking import Chat, Document, gold_of
from evals.engines._asking import ask as ask_document
from evals.engines._base import (
    EXAMPLES_SPLIT,
    BenchmarkSpec,
    Outcome,
    TaskInvalid,
    fewshot,
    never,
)
from evals.llm import Client, EndpointSpec, pooled, thinking
from evals.threads import in_thread

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask

    from evals.engines import _documents

FEWSHOT_SEED = 1234  # lm_eval.simple_evaluate's default, so that shots are the same
MOST_SHOTS = 100
ROWS_AT_ONCE = 64  # read together
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
        self,
        endpoint: EndpointSpec,
        spec: BenchmarkSpec,
        skip: Collection[int],
        stop: Callable[[], bool] = never,
    ) -> AsyncIterator[list[Outcome]]:
        def ready() -> tuple[ConfigurableTask, Iterator[Document]]:
            made = prepare(spec)
            documents = made.documents(skip)
            return made.task, chain(islice(documents, 1), documents)

        # In a thread: looking through thousands of rows takes seconds, and the caller's
        # heartbeat must go on.
        task, documents = await in_thread(ready)
        async with Client(endpoint) as client:

            async def ask(document: Document) -> Outcome:
                return await ask_document(client, task, spec, document)

            batches = pooled(takewhile(lambda _: not stop(), documents), ask, endpoint.concurrency)
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


class Prepared:
    """A benchmark ready to be asked: its documents are made one by one, as they are needed."""

    def __init__(self, spec: BenchmarkSpec) -> None:
        from evals.engines import _documents

        self._spec = spec
        self._rows = _documents.Typed(spec.rows)
        self.task = load_task(spec, self._rows[:1])
        self._shots = int(self.task.config.num_fewshot or 0)
        self._drawn: _documents.Drawn | None = None
        if self._shots and self.task.fewshot_cfg.split == self.task.config.test_split:
            self.task.sampler = _documents.SAMPLERS[self.task.fewshot_cfg.sampler](self._rows)
            if isinstance(self.task.sampler, _documents.Drawn):
                self._drawn = self.task.sampler
        if spec.scoring in ("options", "letter"):
            for doc_id, doc in enumerate(self._rows):
                _check_choice(self.task, spec, doc_id, doc)

    def documents(self, skip: Collection[int] = ()) -> Iterator[Document]:
        """The documents that are not in ``skip``, in order.

        Examples are drawn for those in ``skip`` too: they follow from what was drawn before, so
        leaving them out would change the prompts of the rest.
        """
        self.task.set_fewshot_seed(FEWSHOT_SEED)
        for start in range(0, len(self._rows), ROWS_AT_ONCE):
            places = range(start, min(start + ROWS_AT_ONCE, len(self._rows)))
            wanted = [place for place in places if place not in skip]
            docs = dict(zip(wanted, self._rows.at(wanted), strict=True))
            for place in places:
                if place in docs:
                    yield self._document(place, docs.pop(place))
                elif self._drawn:
                    self._drawn.draw(self._shots, self._drawn.marks[place])

    def _document(self, doc_id: int, doc: dict[str, Any]) -> Document:
        try:
            return build(self.task, doc_id, doc, chat=bool(self._spec.options.get("chat")))
        except Exception as error:  # templates and rows fail in as many ways as there are filters
            raise _unfit(self._spec, error, f", row {doc_id}") from error


def prepare(spec: BenchmarkSpec) -> Prepared:
    """``spec`` ready to be asked; its choices are looked through, its first prompt is made.

    Raises TaskInvalid when templates and rows do not fit each other.
    """
    try:
        made = Prepared(spec)
    except TaskInvalid:
        raise
    except Exception as error:  # as above
        raise _unfit(spec, error) from error
    next(made.documents())
    return made


def _unfit(spec: BenchmarkSpec, error: Exception, where: str = "") -> TaskInvalid:
    text = f"{type(error).__name__}: {error}"
    return TaskInvalid(f"{spec.name}{where}: lm-eval cannot build its prompts ({text}).")


def _check_choice(
    task: ConfigurableTask, spec: BenchmarkSpec, doc_id: int, doc: dict[str, Any]
) -> None:
    """Raise TaskInvalid unless one context has different continuations, one of them right."""
    if task.multiple_input:
        raise TaskInvalid(
            f"{spec.name}: doc_to_text makes one context for each choice; only tasks with one "
            "context and several choices are supported."
        )
    choices = [str(choice) for choice in task.doc_to_choice(doc)]
    # Translations say some choices alike; there lm-eval's scores are taken as they are.
    distinct = 2 if spec.options.get("repeated_choices") else len(choices)
    different = len(set(choices)) >= max(2, distinct)
    if spec.metric == _mass.METRIC and (fault := _mass.fault(doc, choices)):
        raise TaskInvalid(f"{spec.name}, row {doc_id}: {fault}")
    if gold_of(task, doc, choices) is None or not all(choices) or not different:
        raise TaskInvalid(
            f"{spec.name}, row {doc_id}: doc_to_target must name exactly one of at "
            f"least two different choices, none of them empty; they are {choices}."
        )
    if spec.scoring == "letter" and not all(len(choice) == 1 for choice in choices):
        raise TaskInvalid(
            f"{spec.name}, row {doc_id}: scoring 'letter' needs choices of one letter "
            f"or digit each, which stand in the prompt; they are {choices}."
        )


def load_task(spec: BenchmarkSpec, beginning: list[dict[str, Any]]) -> ConfigurableTask:
    """lm-eval's task object of ``spec``, over the ``beginning`` of its rows alone.

    It would hold all rows that it is given, and once more as examples.
    """
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
        return {"test": split(beginning), **examples}

    config = {
        **fewshot(spec.options, bool(spec.examples)),
        **deepcopy(spec.task),  # lm-eval writes its defaults into it
        "task": spec.name,
        "custom_dataset": splits,
        "test_split": "test",
    }
    if spec.metric == _mass.METRIC:
        config["process_results"] = _mass.results
    return ConfigurableTask(config=config)


def _sandbox_templates() -> None:
    """Render task templates in Jinja's sandbox: lm-eval's plain one lets a template run code."""
    from jinja2.sandbox import SandboxedEnvironment
    from lm_eval import utils

    if not isinstance(utils.env, SandboxedEnvironment):
        sandbox = _bounds.Sandbox()
        sandbox.filters["regex_replace"] = utils.regex_replace
        utils.env = sandbox


def build(task: ConfigurableTask, doc_id: int, doc: dict[str, Any], *, chat: bool) -> Document:
    """``doc`` with its requests."""
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
    return Document(doc_id, doc, made if isinstance(made, list) else [made])


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
