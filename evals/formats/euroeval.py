"""Result files of EuroEval and ScandEval (JSON lines): up to 15.x, 16.x, and EEE of 17 on.

One line holds the result of one model on one data set. No Django.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from evals.formats.given import (
    Fault,
    Result,
    Unusable,
    codes,
    lines,
    loads,
    mapping,
    number,
    record,
    text,
)

TOTAL, ERROR = "test_", "_se"
MOST_REPLICATES = 1000


def read(file: Iterable[bytes]) -> Iterator[Result | Fault]:
    """The totals of ``file`` as they stand there (most as 0 to 100), in its order."""
    for line, raw in lines(file):
        try:
            found = record(raw)
            is_eee = "evaluation_results" in found
            yield from (_eee if is_eee else _record)(line, found)
        except Unusable as error:
            yield error.at(line)


def _record(line: int, found: dict[str, Any]) -> Iterator[Result | Fault]:
    """Up to 16.x. ``test_<metric>_se`` is 1.96 · s / √10 over the ten resamplings.

    That is the half-width of the resampling's own error, not of the sampling error: it is kept
    under the name of what it is.
    """
    results = mapping(found, "results")
    total = mapping(results, "total")
    languages = found.get("languages", found.get("dataset_languages"))
    version = text(found, "euroeval_version", needed=False)
    engine = f"EuroEval {version}" if version else ""
    if not version and (old := text(found, "scandeval_version", needed=False)):
        engine = f"ScandEval {old}"
    few_shot = found.get("few_shot")
    split = found.get("validation_split")
    facts = {
        "model": text(found, "model"),
        "benchmark": text(found, "dataset"),
        "task": text(found, "task", needed=False),
        "languages": codes(languages, "languages"),
        "few_shot": few_shot if isinstance(few_shot, bool) else None,
        "split": "val" if split is True else "test" if split is False else "",
        "engine": engine,
        "failed": _failed(results.get("raw")),
    }
    names = [name for name in total if name.startswith(TOTAL) and not name.endswith(ERROR)]
    names = names or [name for name in total if not name.endswith(ERROR)]
    if not names:
        raise Unusable("missing", "results.total.test_…")
    for name in names:
        try:
            spread = total.get(name + ERROR)
            value = number(total[name], f"results.total.{name}")
            yield Result(
                line,
                metric=name.removeprefix(TOTAL)[:80],
                value=value,
                spread=None if spread is None else number(spread, f"results.total.{name}{ERROR}"),
                spread_kind="" if spread is None else "resampling",
                replicates=_replicates(results.get("raw"), name, value),
                **facts,
            )
        except Unusable as error:
            yield error.at(line)


def _replicates(raw: Any, name: str, value: float) -> list[float]:
    """The score ``name`` in each resampling, in the scale of its mean ``value``; [] otherwise.

    Rows hold it with or without "test_", and as a share or out of 100.
    """
    rows = raw.get("test") if isinstance(raw, dict) else raw
    if not isinstance(rows, list) or not 2 <= len(rows) <= MOST_REPLICATES:
        return []
    plain = name.removeprefix(TOTAL)
    try:
        told = [number(row.get(TOTAL + plain, row.get(plain)), plain) for row in rows]
    except (AttributeError, Unusable):
        return []  # the total stands without it
    mean = sum(told) / len(told)
    for scale in (1, 100):
        if math.isclose(mean * scale, value, rel_tol=1e-4, abs_tol=1e-6):
            return [each * scale for each in told]
    return []


def _failed(raw: Any) -> int | None:
    """Answers from which nothing could be taken, over all resamplings; None where not told."""
    rows = raw.get("test") if isinstance(raw, dict) else raw
    told = [row.get("num_failed_instances") for row in rows or [] if isinstance(row, dict)]
    known = [count for count in told if isinstance(count, int | float) and count == count]
    return int(sum(known)) if known and 0 <= sum(known) < 2**31 else None


def _eee(line: int, found: dict[str, Any]) -> Iterator[Result | Fault]:
    """17 on: "every eval ever". Details are texts; the interval stands with its level."""
    library = mapping(found, "eval_library")
    more = library.get("additional_details") or {}
    if not isinstance(more, dict):
        raise Unusable("wrong", "eval_library.additional_details", repr(more))
    name = text(library, "name", needed=False)
    facts = {
        "model": _model(found),
        "task": text(more, "task", needed=False),
        "languages": codes(_inner(more.get("languages")), "languages"),
        "few_shot": {"true": True, "false": False}.get(str(more.get("few_shot")).lower()),
        "engine": f"{name} {text(library, 'version', needed=False)}".strip(),
        "measured_at": text(found, "evaluation_timestamp", needed=False)[:40],
    }
    results = found["evaluation_results"]
    try:
        raw = _inner(more.get("raw_results"))
    except Unusable:
        raw = None  # the scores stand without it
    if not isinstance(results, list) or not results:
        raise Unusable("wrong", "evaluation_results", repr(results))
    for result in results:
        try:
            if not isinstance(result, dict):
                raise Unusable("wrong", "evaluation_results", repr(result))
            yield _eee_result(line, result, facts, raw)
        except Unusable as error:
            yield error.at(line)


def _eee_result(line: int, found: dict[str, Any], facts: dict[str, Any], raw: Any) -> Result:
    details = mapping(found, "score_details")
    unsure = details.get("uncertainty") or {}
    ends = unsure.get("confidence_interval") if isinstance(unsure, dict) else None
    ends = ends if isinstance(ends, dict) else {}
    told = {"lower", "upper"} <= ends.keys()
    inner = details.get("details") if isinstance(details.get("details"), dict) else {}
    samples = unsure.get("num_samples") if isinstance(unsure, dict) else None
    name = text(found, "evaluation_name")
    value = number(details.get("score"), "score_details.score")
    return Result(
        line,
        benchmark=text(mapping(found, "source_data"), "dataset_name"),
        metric=name.removeprefix(TOTAL)[:80],
        value=value,
        replicates=_replicates(raw, name, value),
        low=number(ends["lower"], "confidence_interval.lower") if told else None,
        high=number(ends["upper"], "confidence_interval.upper") if told else None,
        spread_kind="resampling" if told else "",
        samples=_whole(samples),
        failed=_whole(inner.get("num_failed_instances")),
        **facts,
    )


def _model(found: dict[str, Any]) -> str:
    info = mapping(found, "model_info")
    return text(info, "id" if info.get("id") else "name")


def _inner(value: Any) -> Any:
    """A list that stands as JSON in a text."""
    return loads(value.encode()) if isinstance(value, str) and value else value


def _whole(value: Any) -> int | None:
    if value is None:
        return None
    found = number(value, "num_samples")
    return int(found) if 0 <= found < 2**31 else None
