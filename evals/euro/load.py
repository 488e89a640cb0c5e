"""Rows of a task as the portal stores them, loaded by lm-eval and ``datasets`` themselves."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evals.euro.references import Reference
from evals.euro.tasks import PRESETS, Task, template
from evals.euro.write import dump, file_of, utils

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask

SEED = 1234  # lm_eval.simple_evaluate's, so that the shots are the same
CHOICE_METRICS = ("acc", "acc_norm")


class Loaded(NamedTuple):
    """One task with its rows. ``task`` is what an engine takes, ``config`` and ``split`` are
    the data set's; ``left_out`` rows have an empty choice, which no server can score."""

    rows: list[dict[str, Any]]
    examples: list[dict[str, Any]]
    task: dict[str, Any]
    shots: int
    config: str
    split: str
    left_out: int = 0


def load(
    task: Task | Reference, preset: str, folder: Path, path: str, arguments: Mapping[str, str]
) -> Loaded:
    """``task`` with its rows from ``path``: the hub's name of the data set, or a local copy.

    Writes the task's file into ``folder`` and has lm-eval load it, which downloads the data
    into the cache of ``datasets``. Takes minutes for a large data set.
    """
    loaded = _task(task, preset, folder, path, arguments)
    shots = PRESETS[preset].get(task.family.name, 0)
    if isinstance(task, Reference):
        return _baked(loaded, shots)
    own = task.split == task.shots_split  # shots come from the questions then
    # Of few-shot examples lm-eval draws other ones for each question: all are needed.
    examples = [] if own or not shots else [dict(doc) for doc in loaded.fewshot_docs()]
    rows = [dict(doc) for doc in loaded.eval_docs]
    found = Loaded(rows, examples, template(task), shots, task.config or "", task.split)
    return _filled(found)


def _task(
    task: Task | Reference, preset: str, folder: Path, path: str, arguments: Mapping[str, str]
) -> ConfigurableTask:
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    from lm_eval.tasks import TaskManager

    folder.mkdir(parents=True, exist_ok=True)
    utils(folder)
    place = {"dataset_path": path}
    if arguments:
        place["dataset_kwargs"] = dict(arguments)
    dump(folder, task.name, {**file_of(task, preset), **place})
    manager = TaskManager(include_defaults=False, include_path=[str(folder)])
    loaded = manager.load([task.name])["tasks"][task.name]
    loaded.set_fewshot_seed(SEED)
    return loaded


def _baked(task: ConfigurableTask, shots: int) -> Loaded:
    """Rows with the whole prompt in them, shots included, as lm-eval builds it."""
    rows = []
    for _, doc in task.doc_iterator(rank=0, world_size=1, limit=None):
        row: dict[str, Any] = {"prompt": task.fewshot_context(doc, num_fewshot=shots)}
        if task.OUTPUT_TYPE == "multiple_choice":
            row["choices"] = [str(choice) for choice in task.doc_to_choice(doc)]
            row["answer"] = int(task.doc_to_target(doc))
            if not row["prompt"]:
                context, row["choices"] = _begun(row["choices"])
                row["prompt"] = f"{task.config.target_delimiter}{context}"
        else:
            row["target"] = str(task.doc_to_target(doc))
        rows.append(row)
    plain = _plain(task)
    if task.config.doc_to_text == "":  # see _begun
        plain["target_delimiter"] = " "
    config = task.config
    split = config.test_split or config.validation_split or ""
    return _filled(Loaded(rows, [], plain, 0, config.dataset_name or "", split))


def _begun(choices: list[str]) -> tuple[str, list[str]]:
    """The words that all choices begin with, and what follows them in each.

    Without a context many servers cannot score a first word. Taken as the context, common
    words change all log-likelihoods by the same amount, and the best choice not at all.
    """
    common = commonprefix(choices)  # noqa: RUF071  letters, as wanted here
    context = common.rpartition(" ")[0]
    return context, [choice[len(context) + 1 if context else 0 :] for choice in choices]


def _plain(task: ConfigurableTask) -> dict[str, Any]:
    """The task without what has gone into the prompts."""
    config = task.config
    if task.OUTPUT_TYPE == "multiple_choice":
        metrics = [
            {"metric": entry["metric"], "aggregation": "mean", "higher_is_better": True}
            for entry in config.metric_list
            if entry["metric"] in CHOICE_METRICS
        ]
        target = {"doc_to_choice": "choices", "doc_to_target": "answer"}
    else:
        metrics = [dict(entry) for entry in config.metric_list]
        settings = dict(config.generation_kwargs)
        target = {
            "doc_to_target": "{{target}}",
            "generation_kwargs": settings,
            "filter_list": _extracting_first(config.filter_list),
        }
    return {
        "output_type": task.OUTPUT_TYPE,
        "doc_to_text": "{{prompt}}",
        "target_delimiter": config.target_delimiter,
        **target,
        "metric_list": metrics,
        "metadata": dict(config.metadata),
    }


def _extracting_first(filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The number wherever it stands is the answer that counts."""
    return sorted(filters, key=lambda each: each["name"] != "flexible-extract")


def _filled(found: Loaded) -> Loaded:
    full = [row for row in found.rows if all(row.get("choices", [True]))]
    return found._replace(rows=full, left_out=len(found.rows) - len(full))
