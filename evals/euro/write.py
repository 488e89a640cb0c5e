"""Write the set as a folder that lm-eval takes with ``--include_path``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from evals.euro.references import REFERENCES, Reference, references
from evals.euro.tasks import CORE, FAMILIES, PRESETS, WORDINGS, Task, catalogue, template


class Code(str):
    """A function that lm-eval looks up in the file ``utils.py`` of the folder."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    Code, lambda dumper, value: dumper.represent_scalar("!function", str(value))
)


def write(folder: Path, preset: str = "open-llm-v1", mirror: Path | None = None) -> list[str]:
    """Write task files, groups and ``utils.py`` into ``folder``; returns the task names.

    ``euro_LANGUAGE_WORDING``, ``euro_LANGUAGE`` and ``euro_all`` are groups: the mean of their
    tasks' own metrics, each counted once. Lm-eval's own tasks are included from where it is
    installed, so write the folder anew on another machine. Data sets that stand below
    ``mirror`` as ``owner/name`` are read from there, all others from the hub.
    """
    folder.mkdir(parents=True, exist_ok=True)
    utils(folder)
    tasks = everything()
    for task in tasks:
        copy = mirror / task.repo if mirror else None
        place = {"dataset_path": str(copy.resolve())} if copy and copy.is_dir() else {}
        dump(folder, task.name, {**file_of(task, preset), **place})
    for group, names in groups().items():
        dump(folder, group, _group(group, names))
    return [task.name for task in tasks]


def everything() -> list[Task | Reference]:
    """The tasks with files of our own, then those of lm-eval itself."""
    return [*catalogue(), *references()]


def file_of(task: Task | Reference, preset: str) -> dict[str, Any]:
    """The content of the task's file."""
    shots = PRESETS[preset].get(task.family.name, 0)
    if isinstance(task, Reference):
        return {
            "include": str(task.file),
            "task": task.name,
            "num_fewshot": shots,
            "metadata": {
                "version": 1.0,
                "language": task.language,
                "family": task.family.name,
                "source": task.repo,
            },
        }
    fields = template(task)
    mean = {"metric": "score", "aggregation": "mean", "higher_is_better": True}
    return {
        "task": task.name,
        "dataset_path": task.repo,
        **({"dataset_name": task.config} if task.config else {}),
        "test_split": task.split,
        "fewshot_split": task.shots_split,
        "num_fewshot": shots,
        "process_docs": Code(f"utils.{task.rows}"),
        **fields,
        "process_results": Code(f"utils.{_results(task)}"),
        "metric_list": [*fields["metric_list"], mean],
    }


def _results(task: Task) -> str:
    """The function of ``rows`` that gives the metrics and the one that counts as ``score``."""
    if task.metric == "mc2":
        return "results_mc2"
    return "results_letters" if task.family.letters else f"results_{task.metric}"


def groups() -> dict[str, list[str]]:
    """Names of tasks by group: by language and wording, by language, all.

    ``euro_LANGUAGE`` asks as the fork does, with TruthfulQA's mc2 as the true mass.
    """
    tasks = [task for task in catalogue() if task.family.name in CORE]
    found: dict[str, list[str]] = {}
    for language in sorted({task.language for task in tasks}):
        mine = [task for task in tasks if task.language == language]
        for wording in WORDINGS:
            if any(task.wording == wording for task in mine):
                found[f"euro_{language}_{wording}"] = [
                    task.name for task in mine if task.wording == wording or _only(mine, task)
                ]
        found[f"euro_{language}"] = [
            task.name
            for task in mine
            if not task.argmax and (task.wording == "fork" or _only(mine, task) or _mass(task))
        ]
    found["euro_all"] = [
        name for group, names in found.items() if group.count("_") == 1 for name in names
    ]
    return found


def _only(mine: list[Task], task: Task) -> bool:
    """The one wording that a family has belongs to every group of its language."""
    return sum(other.family.name == task.family.name for other in mine) == 1


def _mass(task: Task) -> bool:
    return task.family.name == "truthfulqa_mc2" and task.wording == "upstream"


def _group(group: str, names: list[str]) -> dict[str, Any]:
    metric = {"metric": "score", "weight_by_size": False}
    fields = {"group": group, "task": names, "aggregate_metric_list": [metric]}
    return {**fields, "metadata": {"version": 1.1}}


def utils(folder: Path) -> None:
    """The functions that the task files name."""
    rows = Path(__file__).with_name("rows.py").read_text(encoding="utf-8")
    (folder / "utils.py").write_text(rows, encoding="utf-8")


def dump(folder: Path, name: str, fields: dict[str, Any]) -> None:
    text = yaml.dump(fields, Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def table() -> str:
    """The languages and what there is for each, with counts, as a Markdown table."""
    tasks = everything()
    families = [*FAMILIES, *REFERENCES]
    lines = [["Language", "Tasks", *families]]
    lines.append(["---"] * len(lines[0]))
    for language in sorted({task.language for task in tasks}):
        mine = [task for task in tasks if task.language == language]
        cells = [
            ", ".join(task.wording for task in mine if task.family.name == family) or "–"
            for family in families
        ]
        lines.append([language, str(len(mine)), *cells])
    counts = [str(sum(task.family.name == family for task in tasks)) for family in families]
    lines.append(["**all**", str(len(tasks)), *counts])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
