"""Result and sample files of lm-eval: 0.4.x as it writes them now, and older shapes. No Django."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from evals.formats.given import (
    LONGEST_NAME,
    Fault,
    Result,
    Unusable,
    lines,
    mapping,
    number,
    record,
    text,
)

SAMPLES = re.compile(r"samples_(.+?)_?(\d{4}-\d{2}-\d{2}T[\d.\-+]+)?\.jsonl\Z")
STDERR = "_stderr"
NOT_KNOWN = ("N/A", None, "")
ABOUT = {"name", "alias", "sample_len"}  # in a row of results, beside its metrics
SCORINGS = {"multiple_choice": "options", "generate_until": "generate"}  # by output_type


@dataclass(frozen=True)
class Sample:
    """One question, as far as every shape tells it; with choices their log-likelihoods (nats).

    ``filter`` names what was done to the reply; a task with two filters has each question twice.
    """

    line: int
    doc_id: int
    prompt: str
    target: str
    answer: str
    raw: str = ""
    choices: list[str] = field(default_factory=list)
    loglikelihoods: list[float] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    filter: str = ""
    error: str = ""


class Setup(NamedTuple):
    """How a task was asked and scored; "" or None is not told.

    ``scoring`` is a way of asking as the portal names them, "" for one that it does not have.
    """

    version: str
    shots: int | None
    scoring: str
    metrics: list[Any] | None
    filters: list[Any] | None
    generation: dict[str, Any]


def task_of(name: str) -> str:
    """The task whose samples the file ``name`` holds; "" when it is no samples file."""
    found = SAMPLES.match(name)
    return found[1][:LONGEST_NAME] if found else ""


def is_results(found: Any) -> bool:
    """Whether ``found`` is the content of a ``results_….json``."""
    return isinstance(found, dict) and isinstance(found.get("results"), dict) and (
        "versions" in found or "configs" in found or "config" in found
    )  # fmt: skip


def totals(found: dict[str, Any]) -> Iterator[Result | Fault]:
    """A result for each task, metric and filter, as they stand there (most as 0 to 1).

    ``spread`` is lm-eval's standard error. Groups are means of their tasks and come as tasks.
    """
    version = text(found, "lm_eval_version", needed=False)
    facts = {
        "model": model_of(found),
        "engine": f"lm-eval {version}".strip(),
        "measured_at": _date(found.get("date")),
    }
    for task, row in mapping(found, "results").items():
        try:
            if not isinstance(row, dict):
                raise Unusable("wrong", f"results.{task}"[:80], repr(row))
            named = text({"task": task}, "task")
            shots = _inner(found, "n-shot").get(task)
            few = shots > 0 if isinstance(shots, int) else None
            samples = _inner(_inner(found, "n-samples"), task).get("effective")
            known = isinstance(samples, int) and 0 <= samples < 2**31
            yield from _metrics(
                named, row, facts | {"few_shot": few, "samples": samples if known else None}
            )
        except Unusable as error:
            yield error.at(0)


def _metrics(task: str, row: dict[str, Any], facts: dict[str, Any]) -> Iterator[Result | Fault]:
    for name, value in row.items():
        metric, _comma, kind = name.partition(",")
        if name in ABOUT or metric.endswith(STDERR) or value in NOT_KNOWN:
            continue
        try:
            stderr = row.get(f"{metric}{STDERR},{kind}" if kind else f"{metric}{STDERR}")
            yield Result(
                0,
                benchmark=task,
                metric=(metric if kind in ("", "none") else name)[:80],
                value=number(value, f"results.{task}.{name}"),
                spread=None if stderr in NOT_KNOWN else number(stderr, f"{name}{STDERR}"),
                spread_kind="" if stderr in NOT_KNOWN else "stderr",
                **facts,
            )
        except Unusable as error:
            yield error.at(0)


def setup(found: dict[str, Any], task: str) -> Setup:
    """How ``task`` was asked, out of the content of a results file."""
    version, shots = _inner(found, "versions").get(task), _inner(found, "n-shot").get(task)
    config = _inner(_inner(found, "configs"), task)
    told = _inner(found, "scoring").get(task)  # in files of the portal
    scoring = told or SCORINGS.get(str(config.get("output_type")), "")
    return Setup(
        "" if version is None else str(version),
        shots if isinstance(shots, int) else None,
        scoring if isinstance(scoring, str) else "",
        config.get("metric_list"),
        config.get("filter_list"),
        _inner(config, "generation_kwargs"),
    )


def total(found: dict[str, Any], task: str, metric: str, filter: str) -> float | None:
    """The value of ``metric`` for ``task`` under ``filter``; None where there is none."""
    row = _inner(_inner(found, "results"), task)
    value = row.get(f"{metric},{filter or 'none'}", row.get(metric))
    return float(value) if isinstance(value, int | float) else None


def messages_of(prompt: str) -> str:
    """``prompt`` in one form: a conversation may be written as a list, or as a text in one."""
    for _ in range(2):
        try:
            value = json.loads(prompt)
        except (ValueError, RecursionError):
            return prompt
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            prompt = value[0]
            continue
        turns = value if isinstance(value, list) else []
        if turns and all(isinstance(turn, dict) and "role" in turn for turn in turns):
            return json.dumps([[turn["role"], turn.get("content")] for turn in turns])
        return prompt
    return prompt


def first_of(target: str) -> str:
    """``target``, or the first of several that are written as a list."""
    try:
        value = json.loads(target) if target.startswith("[") else None
    except (ValueError, RecursionError):
        return target
    return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else target


def model_of(found: dict[str, Any]) -> str:
    """The model that a results file is about. Raises Unusable."""
    if name := text(found, "model_name", needed=False):
        return name
    config = _inner(found, "config")
    given = config.get("model_args")
    given = given if isinstance(given, str) else ""
    told = re.search(r"(?:^|,)(?:pretrained|model)=([^,]+)", given)
    return text({"model": told[1] if told else config.get("model")}, "model")


def _inner(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _date(value: Any) -> str:
    try:
        return datetime.fromtimestamp(float(value), UTC).isoformat(timespec="seconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


def samples(file: Iterable[bytes]) -> Iterator[Sample | Fault]:
    """The records of a samples file."""
    for line, raw in lines(file):
        try:
            yield _sample(line, record(raw))
        except Unusable as error:
            yield error.at(line)


def _sample(line: int, found: dict[str, Any]) -> Sample:
    doc_id = found.get("doc_id")
    if isinstance(doc_id, bool) or not isinstance(doc_id, int) or not 0 <= doc_id < 2**31:
        raise Unusable("wrong", "doc_id", repr(doc_id))
    asked = _arguments(found.get("arguments"))
    taken = found.get("filtered_resps")
    taken = taken if isinstance(taken, list) else []
    pairs = [each for each in taken if isinstance(each, list) and len(each) == 2]
    choices, values = [], []
    if pairs and len(pairs) == len(taken) == len(asked):
        choices = [_text(arguments[1]) if len(arguments) > 1 else "" for arguments in asked]
        values = [number(pair[0], "filtered_resps") for pair in pairs]
    target = found.get("target")
    right = _place(target, choices)
    best = max(range(len(values)), key=values.__getitem__) if values else None
    reply = "" if choices else _text(taken[0]) if taken else ""
    return Sample(
        line,
        doc_id,
        prompt=_text(asked[0][0]) if asked and asked[0] else "",
        target=choices[right] if right is not None else _text(target),
        answer=choices[best] if best is not None else reply,
        raw="" if choices else _first(found.get("resps")),
        choices=choices,
        loglikelihoods=values,
        metrics=_numbers(found),
        filter=_text(found.get("filter") or "")[:80],
        error=_text(found.get("error") or ""),
    )


def _arguments(value: Any) -> list[list[Any]]:
    """Newer files name them (gen_args_0.arg_0), older ones have lists."""
    if isinstance(value, dict):
        value = [
            list(each.values()) if isinstance(each, dict) else [each]
            for _name, each in sorted(value.items(), key=lambda pair: _order(pair[0]))
        ]
    return [each for each in value if isinstance(each, list)] if isinstance(value, list) else []


def _order(name: str) -> int:
    end = name.rpartition("_")[2]
    return int(end) if end.isdecimal() and len(end) < 6 else 0


def _place(target: Any, choices: list[str]) -> int | None:
    """The number of the right choice, which is how lm-eval writes the target of choices."""
    written = str(target)
    if choices and written.isdecimal() and len(written) < 6 and int(written) < len(choices):
        return int(written)
    return None


def _numbers(found: dict[str, Any]) -> dict[str, float]:
    """The metrics that are one finite number; the newest shape lists their names."""
    about = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter",
             "metrics", "doc_hash", "prompt_hash", "target_hash", "error"}  # fmt: skip
    names = found["metrics"] if isinstance(found.get("metrics"), list) else found
    kept = {}
    for name in names:
        value = found.get(name) if isinstance(name, str) and name not in about else None
        if isinstance(value, int | float):
            try:
                kept[name[:80]] = number(float(value), name)
            except (Unusable, OverflowError):
                continue
    return kept


def _first(value: Any) -> str:
    while isinstance(value, list) and value:
        value = value[0]
    return _text(value) if value != [] else ""


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
