"""The head of a Hugging Face model card (``model-index``). Pure: numbers in, YAML out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True)
class Line:
    """One result: value and ends as shares, and what they were measured on."""

    task: str
    dataset_type: str
    dataset_name: str
    metric: str
    value: float
    revision: str = ""
    dataset: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def head(model: str, lines: Iterable[Line]) -> str:
    """The text between and with the ``---`` of a README.md, with the results of ``model``.

    Interval, method and numbers of samples stand as ``args`` of the metric, and what makes the
    data the same data (version, language, shots, checksum) as ``args`` of the data set.
    """
    results = [_result(line) for line in lines]
    content = {"model-index": [{"name": model, "results": results}]}
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=1000)
    return f"---\n{text}---\n"


def _result(line: Line) -> dict[str, Any]:
    dataset: dict[str, Any] = {"name": line.dataset_name, "type": line.dataset_type}
    if line.revision:
        dataset["revision"] = line.revision
    metric = {"type": line.metric, "name": line.metric, "value": line.value, "args": line.more}
    return {
        "task": {"type": line.task},
        "dataset": {**dataset, "args": line.dataset},
        "metrics": [metric],
    }
