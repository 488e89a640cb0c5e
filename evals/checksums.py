"""What makes two suites the same, whoever wrote their files. No Django.

A change here changes the checksum of every suite: it needs a migration that computes them anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SUITE = ("slug", "version", "name", "description", "licence", "tags")
BENCHMARK = (
    "name", "title", "family", "language", "engine", "scoring", "metric",
    "tags", "options", "task", "cluster", "source", "questions", "examples",
)  # fmt: skip
EXACT = 2**53  # below, a whole number is the same as int and as float


def canonical(value: Any) -> bytes:
    """``value`` as the one JSON text of its meaning: keys sorted, 1.0 as 1, plain ASCII.

    Raises TypeError or ValueError for what is no JSON, such as dates and infinity.
    """
    text = json.dumps(
        _numbers(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True
    )
    return text.encode()


def of_suite(entry: Mapping[str, Any]) -> str:
    """The checksum of a suite: its fields of ``SUITE``, and ``benchmarks`` in their order.

    ``questions`` and ``examples`` of a benchmark are the checksums of the rows, so the names of
    files do not count. Empty fields do not count either, so that a field which a later version
    of the portal knows changes no suite that does not use it.
    """
    content = _stated(entry, SUITE) | {
        "benchmarks": [_stated(item, BENCHMARK) for item in entry["benchmarks"]]
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def _stated(entry: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: entry[name] for name in names if entry.get(name) not in (None, "", [], {})}


def _numbers(value: Any) -> Any:
    """Databases give some whole numbers back as int that were float."""
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return int(value)
    if isinstance(value, Mapping):
        return {name: _numbers(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(item) for item in value]
    return value
