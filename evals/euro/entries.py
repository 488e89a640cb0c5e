"""A loaded task as the entry of a suite file, its rows as JSON Lines. No Django."""

from __future__ import annotations

import json
from typing import Any

from evals.euro.load import Loaded
from evals.euro.references import Reference
from evals.euro.tasks import PRESETS, Task
from evals.hub import Place
from evals.storable import cleaned

# Names of the families, in their order on pages.
TITLES = {
    "arc": "ARC-Challenge", "hellaswag": "HellaSwag", "mmlu": "MMLU",
    "truthfulqa_mc1": "TruthfulQA mc1", "truthfulqa_mc2": "TruthfulQA mc2",
    "belebele": "Belebele", "leolm_arc": "ARC-Challenge (LeoLM)", "mgsm_direct": "MGSM",
    "mgsm_native_cot": "MGSM, step by step", "gsm8k": "GSM8K", "xnli": "XNLI", "paws": "PAWS-X",
    "xcopa": "XCOPA", "xstorycloze": "XStoryCloze", "xwinograd": "XWinograd",
    "lambada": "LAMBADA",
}  # fmt: skip


def entry_of(
    task: Task | Reference, found: Loaded, preset: str, place: Place
) -> tuple[dict[str, Any], dict[str, str]]:
    """The entry of ``task``, and its rows by the names of files in it."""
    source = {
        "repo": task.repo,
        "config": found.config,
        "split": found.split,
        "revision": place.revision,
        "licence": place.licence,
        "url": card(task.repo),
    }
    rows = {"questions": found.rows} | ({"examples": found.examples} if found.examples else {})
    names = {field: f"{task.name}_{field}.jsonl" for field in rows}
    options: dict[str, Any] = {"num_fewshot": found.shots, "repeated_choices": True}
    if baked := baked_shots(task, preset):
        options["shots_in_prompt"] = baked
    entry = {
        "name": task.name,
        "title": f"{TITLES[task.family.name]} ({task.wording})",
        "family": task.family.name,
        "language": task.language,
        "engine": "lm_eval",
        "scoring": task.scoring,
        "metric": task.metric,
        "tags": [],
        "options": options,
        "source": {name: value for name, value in source.items() if value},
        "task": found.task,
        **({"cluster": "text"} if task.family.name == "belebele" else {}),
        **names,
    }
    return entry, {names[field]: _lines(rows[field]) for field in rows}


def baked_shots(task: Task | Reference, preset: str) -> int:
    """How many examples the rows of one of lm-eval's own tasks have in their prompts."""
    return PRESETS[preset].get(task.family.name, 0) if isinstance(task, Reference) else 0


def card(repo: str) -> str:
    """Where the hub shows the data set and its licence."""
    return f"https://huggingface.co/datasets/{repo}"


def _lines(rows: list[dict[str, Any]]) -> str:
    lines = (json.dumps(cleaned(row), ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines)
