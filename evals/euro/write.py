"""Write the set as a folder that lm-eval takes with ``--include_path``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from evals.euro.tasks import FAMILIES, PRESETS, WORDINGS, Task, catalogue, template


class _Code(str):
    """A function that lm-eval looks up in the file ``utils.py`` of the folder."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Code, lambda dumper, value: dumper.represent_scalar("!function", str(value))
)


def write(folder: Path, preset: str = "open-llm-v1") -> list[str]:
    """Write task files, groups and ``utils.py`` into ``folder``; returns the task names.

    A group ``euro_LANGUAGE_WORDING`` is the unweighted mean of its tasks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = Path(__file__).with_name("rows.py").read_text(encoding="utf-8")
    (folder / "utils.py").write_text(rows, encoding="utf-8")
    tasks = catalogue()
    for task in tasks:
        _dump(folder, task.name, _file(task, preset))
    for language in sorted({task.language for task in tasks}):
        for wording in WORDINGS:
            if names := _members(tasks, language, wording):
                group = f"euro_{language}_{wording}"
                metric = {"metric": "acc", "weight_by_size": False}
                fields = {"group": group, "task": names, "aggregate_metric_list": [metric]}
                _dump(folder, group, {**fields, "metadata": {"version": 1.0}})
    return [task.name for task in tasks]


def _members(tasks: list[Task], language: str, wording: str) -> list[str]:
    """HellaSwag's one wording belongs to all groups of its language."""
    mine = [task for task in tasks if task.language == language]
    if not any(task.wording == wording for task in mine):
        return []
    return [t.name for t in mine if t.wording == wording or t.family.name == "hellaswag"]


def _file(task: Task, preset: str) -> dict[str, Any]:
    return {
        "task": task.name,
        "dataset_path": task.family.repo,
        **({"dataset_name": task.config} if task.config else {}),
        "test_split": task.family.splits[0],
        "fewshot_split": task.shots_split,
        "num_fewshot": PRESETS[preset][task.family.name],
        "process_docs": _Code(f"utils.{task.rows}"),
        **template(task),
    }


def _dump(folder: Path, name: str, fields: dict[str, Any]) -> None:
    text = yaml.dump(fields, Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def table() -> str:
    """The languages and what there is for each, as a Markdown table."""
    tasks = catalogue()
    head = ["Language", *FAMILIES, "Tasks"]
    lines = [head, ["---"] * len(head)]
    for language in sorted({task.language for task in tasks}):
        mine = [task for task in tasks if task.language == language]
        cells = [
            ", ".join(task.wording for task in mine if task.family.name == family) or "–"
            for family in FAMILIES
        ]
        lines.append([language, *cells, str(len(mine))])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
