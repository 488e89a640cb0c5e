"""Result files as lm-eval 0.4.13 writes them (``EvaluationTracker``). No Django.

``results_<date>.json`` holds the aggregates, ``samples_<task>_<date>.jsonl`` one record a
question, both in a folder named after the model.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FILTER = "none"  # the name that lm-eval gives to "no filter"
NOT_KNOWN = "N/A"  # what it writes where a metric has no standard error


@dataclass(frozen=True)
class Question:
    """One question and what came back; with ``error`` it was never answered.

    ``loglikelihoods`` (nats) are those of ``choices``; without choices ``reply`` is the whole
    text and ``answer`` what was taken from it.
    """

    doc_id: int
    prompt: str
    target: str
    reply: str
    answer: str
    choices: list[str]
    loglikelihoods: list[float]
    metrics: dict[str, Any]
    error: str = ""


@dataclass(frozen=True)
class Metric:
    """An aggregate over the answered questions; value and ends as shares."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    method: str
    asked: int
    answered: int
    valid: bool


@dataclass
class Task:
    name: str
    title: str
    version: int
    shots: int
    config: dict[str, Any]
    metrics: list[Metric]
    hashes: list[str] = field(default_factory=list)
    numbers: dict[str, list[float]] = field(default_factory=dict)

    def line(self, question: Question) -> str:
        """``question`` as a line of the samples file; the task keeps what its results need."""
        found = sample(question, self.config.get("generation_kwargs", {}))
        self.hashes.append(found["doc_hash"] + found["prompt_hash"] + found["target_hash"])
        for name, value in question.metrics.items():
            if isinstance(value, int | float) and not question.error:
                self.numbers.setdefault(name, []).append(float(value))
        return json.dumps(found, ensure_ascii=False) + "\n"


def folder(model: str) -> str:
    """The folder of ``model``, as lm-eval names it, and never one outside of the archive."""
    return re.sub(r"[\"<>:/|\\?*\[\]\x00-\x1f]+", "__", model).lstrip(".") or "model"


def stamp(date: datetime) -> str:
    return date.isoformat().replace(":", "-")


def sample(question: Question, generation: dict[str, Any]) -> dict[str, Any]:
    """A record of a samples file; ``generation`` are the settings of a text to be written.

    The target of a choice is its number. Whether an option was the greedy one is not known: "None".
    """
    choices, target = question.choices, question.target
    target = str(choices.index(target)) if target in choices else target
    doc = {"prompt": question.prompt, "target": question.target, "choices": question.choices}
    if choices:
        asked: list[Any] = [(question.prompt, choice) for choice in choices]
        taken = [[str(value), "None"] for value in question.loglikelihoods]
        replies: list[Any] = [[pair] for pair in taken]
    else:
        asked = [(question.prompt, generation)]
        taken = [] if question.error else [question.answer]  # type: ignore[list-item]
        replies = [] if question.error else [[question.reply]]
    found = {
        "doc_id": question.doc_id,
        "doc": doc,
        "target": target,
        "arguments": {
            f"gen_args_{number}": {"arg_0": context, "arg_1": continuation}
            for number, (context, continuation) in enumerate(asked)
        },
        "resps": replies,
        "filtered_resps": taken,
        "filter": FILTER,
        "metrics": list(question.metrics),
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(question.prompt),
        "target_hash": _hash(target),
        **question.metrics,
    }
    return {**found, "error": question.error} if question.error else found


def results(model: str, date: datetime, tasks: Iterable[Task], **more: Any) -> str:
    """The text of ``results_<date>.json``; call it when all lines of the tasks are written.

    lm-eval has no intervals: they stand under the key ``intervals``, which its readers skip.
    """
    tasks = list(tasks)
    content = {
        "results": {task.name: _row(task) for task in tasks},
        "group_subtasks": {},
        "configs": {task.name: {**task.config, "task": task.name} for task in tasks},
        "versions": {task.name: task.version for task in tasks},
        "n-shot": {task.name: task.shots for task in tasks},
        "higher_is_better": {
            task.name: {metric.name: _more_is_better(task, metric.name) for metric in task.metrics}
            for task in tasks
        },
        "n-samples": {task.name: _counts(task) for task in tasks},
        "intervals": {
            task.name: {metric.name: _interval(metric) for metric in task.metrics} for task in tasks
        },
        "config": {"model": model},
        "date": date.timestamp(),
        "model_name": model,
        "model_name_sanitized": folder(model),
        "task_hashes": {task.name: _hash("".join(task.hashes)) for task in tasks},
        **more,
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _row(task: Task) -> dict[str, Any]:
    effective = _counts(task)["effective"]
    row: dict[str, Any] = {"name": task.name, "alias": task.title, "sample_len": effective}
    for metric in task.metrics:
        if metric.value is not None:
            row[f"{metric.name},{FILTER}"] = metric.value
            row[f"{metric.name}_stderr,{FILTER}"] = _stderr(task.numbers.get(metric.name), metric)
    return row


def _stderr(values: list[float] | None, metric: Metric) -> float | str:
    """Standard deviation of the mean (n − 1); not known where the metric is no mean."""
    if not values or len(values) < 2 or metric.value is None:
        return NOT_KNOWN
    mean = math.fsum(values) / len(values)
    if not math.isclose(mean, metric.value, rel_tol=1e-9, abs_tol=1e-9):
        return NOT_KNOWN
    spread = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(spread / len(values))


def _counts(task: Task) -> dict[str, int]:
    return {
        "original": max((metric.asked for metric in task.metrics), default=len(task.hashes)),
        "effective": max((metric.answered for metric in task.metrics), default=0),
    }


def _interval(metric: Metric) -> dict[str, Any]:
    return {name: value for name, value in vars(metric).items() if name not in ("name", "value")}


def _more_is_better(task: Task, name: str) -> bool:
    told = [entry for entry in task.config.get("metric_list", []) if entry.get("metric") == name]
    return bool(told[0].get("higher_is_better", True)) if told else True


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
