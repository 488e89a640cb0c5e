"""EuroEval-style tasks, asked and scored by the portal itself.

Seven tasks with prompts in the language of the question, for models that continue a text and
for those that answer in a conversation. The suite file says which task, how many examples, by
which seed and protocol; see `evals.styles`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from evals.engines._base import BenchmarkSpec, Outcome, TaskInvalid, never
from evals.llm import Client, Completion, EndpointSpec, LLMError, pooled, thinking
from evals.styles import answers, prompts, protocols, scoring, shots
from evals.styles.tasks import TASKS
from evals.styles.templates import Language, Template, TemplateInvalid, language, template
from evals.threads import in_thread

VERSION = "3"  # raise when prompts, reading of answers or scores change
MOST_SHOTS = 100
MOST_TOKENS = 4096
FORM_TOKENS = 24  # more for a label in a form, whose key, quotes and line breaks count as well
TASK_KEYS = {"task", "language", "generation_kwargs"}
OPTION_KEYS = {"num_fewshot", "chat", "seed", "protocol"}


class EuroStyle:
    label = "EuroEval-style tasks"

    def needs(self, spec: BenchmarkSpec) -> frozenset[str]:
        return frozenset({"chat" if spec.options.get("chat") else "completions"})

    def software(self) -> dict[str, str]:
        return {"euro-style": VERSION, "thinking rule": str(thinking.RULE)}

    def validate(self, spec: BenchmarkSpec) -> None:
        """Raise TaskInvalid where a field or a row does not fit."""
        for fault in _faults(spec):
            raise TaskInvalid(f"{spec.name}: {fault}")
        prepare(spec)

    async def run(
        self,
        endpoint: EndpointSpec,
        spec: BenchmarkSpec,
        skip: Collection[int],
        stop: Callable[[], bool] = never,
    ) -> AsyncIterator[list[Outcome]]:
        for fault in _faults(spec):
            raise TaskInvalid(f"{spec.name}: {fault}")
        # In a thread: it takes seconds for many rows, and the caller's heartbeat must go on.
        made = await in_thread(lambda: prepare(spec))
        waiting = (doc_id for doc_id in range(len(made.asked)) if doc_id not in skip)
        async with Client(endpoint) as client:

            async def ask(doc_id: int) -> Outcome:
                return await _ask(client, spec, made, doc_id)

            batches = pooled(takewhile(lambda _: not stop(), waiting), ask, endpoint.concurrency)
            try:
                async for batch in batches:
                    yield batch
            finally:
                await batches.aclose()


ENGINE = EuroStyle()


class Items:
    """Rows as the task takes them, each made when it is asked for; ``kinds`` of each is held.

    Raises TaskInvalid, which names the row that does not fit.
    """

    def __init__(
        self, task: str, shape: Template, rows: Sequence[dict[str, Any]], what: str
    ) -> None:
        self._task, self._shape, self._rows, self._what = task, shape, rows, what
        known: dict[tuple[str, ...], tuple[str, ...]] = {}
        found = (self._item(number, row).kinds for number, row in enumerate(rows))
        self.kinds = [known.setdefault(kinds, kinds) for kinds in found]

    def __getitem__(self, number: int) -> prompts.Item:
        return self._item(number, self._rows[number])

    def _item(self, number: int, row: dict[str, Any]) -> prompts.Item:
        try:
            return prompts.item(self._task, self._shape, row)
        except prompts.RowInvalid as error:
            raise TaskInvalid(f"{self._what} {number}: {error}") from error


class Prepared(NamedTuple):
    """A benchmark ready to be asked: its questions, examples and what is asked in which order.

    ``orders`` holds the order of the examples for each iteration; ``own`` says that examples
    come from the questions themselves.
    """

    task: str
    language: Language
    template: Template
    items: Items
    pool: Items
    own: bool
    shots: int
    asked: Sequence[protocols.Asked]
    orders: list[list[int]]

    def examples(self, asked: protocols.Asked) -> list[prompts.Item]:
        order = self.orders[asked.iteration]
        own = asked.row if self.own else -1
        chosen = shots.draw(order, self.shots, self.pool.kinds, own)
        return [self.pool[place] for place in chosen]

    def prompt(self, doc_id: int, chat: bool) -> tuple[prompts.Item, str]:
        """The question of a sample and what is sent: a text, or messages as JSON."""
        asked = self.asked[doc_id]
        item, examples = self.items[asked.row], self.examples(asked)
        if not chat:
            return item, prompts.base(self.language, self.template, examples, item)
        messages = prompts.turns(self.language, self.template, examples, item)
        return item, json.dumps(messages, ensure_ascii=False)


def prepare(spec: BenchmarkSpec) -> Prepared:
    """The questions of ``spec``, read and checked; TaskInvalid names the row that does not fit."""
    task = spec.task["task"]
    try:
        words = language(spec.task["language"])
        shape = template(spec.task["language"], task)
    except TemplateInvalid as error:
        raise TaskInvalid(f"{spec.name}: {error}") from error

    items = Items(task, shape, spec.rows, f"{spec.name}, row")
    pool = Items(task, shape, spec.examples, f"{spec.name}, example") if spec.examples else items
    count = int(spec.options.get("num_fewshot", TASKS[task].shots))
    most = len(pool.kinds) - (pool is items)
    if count > most:
        raise TaskInvalid(
            f"{spec.name}: options.num_fewshot is {count}, but there are only {most} examples."
        )
    seed = spec.options.get("seed", protocols.SEED)
    protocol = spec.options.get("protocol", protocols.ONCE)
    asked = protocols.plan(protocol, len(items.kinds), seed)
    rounds = 1 + asked[-1].iteration
    orders = [shots.ordered(pool.kinds, seed + number) for number in range(rounds)]
    return Prepared(task, words, shape, items, pool, pool is items, count, asked, orders)


def _faults(spec: BenchmarkSpec) -> list[str]:
    """What is wrong with the fields of ``spec``, in reading order."""
    if not spec.rows:
        return ["the question file is empty."]
    found = []
    name = spec.task.get("task")
    if not isinstance(name, str) or name not in TASKS:
        return [f"task.task is {name!r}; write one of {', '.join(TASKS)}."]
    task = TASKS[name]
    if not isinstance(spec.task.get("language"), str):
        found.append("task.language is missing: the language of the prompts, such as de.")
    for place, known, given in (
        ("task", TASK_KEYS, spec.task),
        ("options", OPTION_KEYS, spec.options),
    ):
        if unknown := given.keys() - known:
            wrong, right = ", ".join(sorted(unknown)), ", ".join(sorted(known))
            found.append(f"{place} may not set {wrong}, only {right}.")
    if spec.scoring != "generate":
        found.append(f"scoring is {spec.scoring!r}; these tasks need 'generate'.")
    if spec.metric not in task.metrics:
        found.append(f"metric is {spec.metric!r}; {name} takes {', '.join(task.metrics)}.")
    generation = spec.task.get("generation_kwargs", {})
    if not isinstance(generation, dict) or generation.keys() - {"max_gen_toks"}:
        found.append("task.generation_kwargs may set max_gen_toks alone.")
    elif not _whole(generation.get("max_gen_toks", task.tokens), 1, MOST_TOKENS):
        found.append(f"max_gen_toks must be a whole number from 1 to {MOST_TOKENS}.")
    if not _whole(spec.options.get("num_fewshot", 0), 0, MOST_SHOTS):
        found.append(f"options.num_fewshot must be a whole number from 0 to {MOST_SHOTS}.")
    if not _whole(spec.options.get("seed", 0), 0, 2**31):
        found.append("options.seed must be a whole number from 0.")
    if not isinstance(spec.options.get("chat", False), bool):
        found.append("options.chat must be true or false.")
    protocol = spec.options.get("protocol", protocols.ONCE)
    if protocol not in protocols.PROTOCOLS:
        found.append(f"options.protocol is {protocol!r}; write A or B.")
    return found


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


async def _ask(client: Client, spec: BenchmarkSpec, made: Prepared, doc_id: int) -> Outcome:
    chat = bool(spec.options.get("chat"))
    item, prompt = made.prompt(doc_id, chat)
    try:
        reply = await _generate(client, spec, made, item, prompt)
    except LLMError as error:
        return Outcome(
            doc_id=doc_id,
            prompt=prompt,
            target=item.right,
            attempts=error.attempts,
            error=str(error),
            error_kind=error.kind,
        )
    raw = thinking.joined(reply.text, reply.reasoning, reply.finish_reason)
    thought = thinking.split(raw)
    text = thought.answer if chat else _ended(made.task, thought.answer)
    try:
        found = scoring.score(made.task, made.language.code, made.template, item, text)
    except Exception as error:  # one odd answer must not stop the other thousand
        logging.getLogger(__name__).exception("%s, sample %s", spec.name, doc_id)
        message = f"{type(error).__name__}: {error}"
        return Outcome(
            doc_id=doc_id, prompt=prompt, target=item.right, error=message, error_kind="scoring"
        )
    return Outcome(
        doc_id=doc_id,
        prompt=prompt,
        target=item.right,
        answer=found.answer,
        value=found.value,
        metrics=found.metrics | _thinking(thought),
        counts=found.counts,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        latency_ms=reply.latency_ms,
        attempts=reply.attempts,
        raw=raw,
        finish_reason=reply.finish_reason,
    )


def _thinking(thought: thinking.Thought) -> dict[str, float]:
    """Metrics of answers with thinking alone, as of the other engine."""
    if not (thought.thinking or thought.cut):
        return {}
    return {"thinking": 1.0, "thinking_cut": float(thought.cut)}


async def _generate(
    client: Client, spec: BenchmarkSpec, made: Prepared, item: prompts.Item, prompt: str
) -> Completion:
    tokens = TASKS[made.task].tokens
    tokens = int(spec.task.get("generation_kwargs", {}).get("max_gen_toks", tokens))
    if not spec.options.get("chat"):
        # No stop: some servers heed none; the text is cut here, the same for all of them.
        return await client.complete(prompt, max_tokens=tokens)
    schema = _schema(client, made, item)
    if schema and item.words:
        tokens += FORM_TOKENS
    return await client.chat(json.loads(prompt), max_tokens=tokens, schema=schema)


def _schema(client: Client, made: Prepared, item: prompts.Item) -> dict[str, Any] | None:
    """The form of the answer, where there is one and the server was seen to keep to forms."""
    if not client.spec.structured:
        return None
    if item.words:
        return answers.schema(item.words)
    return answers.names_schema(made.template.labels) if made.task == "entities" else None


def _ended(task: str, text: str) -> str:
    """The answer alone: a model that continues a text goes on with the next example."""
    text = text.lstrip()
    return text.split("\n\n" if task == "summary" else "\n", 1)[0]
