"""A folder that is laid out like the hub, with rows of our own in the columns of each data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from evals.euro.references import Reference, references
from evals.euro.tasks import Task, catalogue

LETTERS = "ABCD"
ROWS = 27  # two more than the most shots
LICENCE = "cc-by-sa-4.0"
REPOS = sorted({task.repo for task in [*catalogue(), *references()]})


def raw(repo: str, number: int, split: str = "test") -> dict[str, Any]:
    """Row ``number`` with the columns that ``repo`` has on the hub."""
    options = [f"choice {number} {letter}{letter * i}" for i, letter in enumerate(LETTERS)]
    named = {f"option_{x}": text for x, text in zip("abcd", options, strict=True)}
    asked, gold = f"Question number {number}?", number % 4
    key = LETTERS[gold]
    labels = {"mc1": [1, 0, 0, 0], "mc2": [1, number % 2, 0, 0]}
    hellaswag = {
        "activity_label": "Baking", "ctx_a": f"[header] Step {number}  begins.",
        "ctx_b": "then she", "endings": [f"[step] {text}" for text in options],
        "label": str(gold),
    }  # fmt: skip
    pair = {"sentence1": f"Sentence number {number} .", "sentence2": "The second one ."}
    story = {f"input_sentence_{i}": f"Sentence number {number}, {i}." for i in (1, 2, 3, 4)}
    shown = {"train": f"Step-by-Step Answer: {number} and 1 make it. The answer is {number}."}
    sums = {
        "question": f"Number {number} plus 1?", "answer": shown.get(split),
        "answer_number": number + 1, "equation_solution": f"{number} + 1 = {number + 1}",
    }  # fmt: skip
    copa = {
        "premise": f"Number {number} was late.", "choice1": "The train stood.",
        "choice2": "The sun shone brightly.", "question": ("cause", "effect")[number % 2],
        "label": number % 2, "idx": number, "changed": False,
    }  # fmt: skip
    nli = {"premise": f"Number {number} is red.", "hypothesis": "It is.", "label": number % 3}
    rows = {
        "alexandrainst/m_arc": {
            "id": str(number), "instruction": f"{asked} [sic]", **named, "option_e": None,
            "answer": key,
        },
        "alexandrainst/m_mmlu": {"instruction": f" {asked} ", **named, "answer": key},
        "alexandrainst/m_hellaswag": hellaswag,
        "Rowan/hellaswag": hellaswag,
        "alexandrainst/m_truthfulqa": {
            "question": f"{asked} [sic]",
            **{f"{kind}_targets_choices": options for kind in labels},
            **{f"{kind}_targets_labels": found for kind, found in labels.items()},
        },
        "truthfulqa/truthful_qa": {
            "question": asked,
            **{
                f"{kind}_targets": {"choices": options, "labels": found}
                for kind, found in labels.items()
            },
        },
        "facebook/belebele": {
            "flores_passage": f"Passage {number}.", "question": asked,
            **{f"mc_answer{i}": text for i, text in enumerate(options, start=1)},
            "correct_answer_num": str(gold + 1),
        },
        "LeoLM/ArcChallenge_de": {
            "question_de": asked, "choices_de": {"text": options, "label": [*LETTERS]},
            "answerKey": key,
        },
        "allenai/ai2_arc": {
            "id": str(number), "question": asked,
            "choices": {"text": options, "label": [*LETTERS]}, "answerKey": key,
        },
        "Muennighoff/xwinograd": {
            "sentence": f"Number {number} saw her because _ was tall.", "option1": "he",
            "option2": "she", "answer": str(number % 2 + 1),
        },
        "EleutherAI/lambada_openai": {"text": f"Number {number} went to the town"},
        "proxectonos/xstorycloze_gl": {
            **{name.title().replace("_", ""): text for name, text in story.items()},
            "RandomFifthSentenceQuiz1": "It ended.", "RandomFifthSentenceQuiz2": "It went on.",
            "AnswerRightEnding": number % 2 + 1,
        },
        "openai/gsm8k": {"question": f"Number {number} plus 1?", "answer": f"So. #### {number}"},
    }  # fmt: skip
    kinds = {"mgsm": sums, "xnli": nli, "paws": {"id": number, **pair, "label": number % 2},
             "xcopa": copa,
             "xstory": {"story_id": str(number), **story, "sentence_quiz1": "It ended.",
                        "sentence_quiz2": "It went on and on.",
                        "answer_right_ending": number % 2 + 1}}  # fmt: skip
    if repo in rows:
        return rows[repo]
    return next(row for kind, row in kinds.items() if kind in repo.lower())


def config_of(task: Task | Reference) -> str:
    """The configuration that the task reads; the hub's word for none is "default"."""
    if isinstance(task, Task):
        return task.config or "default"
    from lm_eval.tasks._yaml_loader import load_yaml

    return load_yaml(task.file, resolve_func=False).get("dataset_name") or "default"


def write_hub(folder: Path, tasks: Iterable[Task | Reference]) -> Path:
    """The data sets of ``tasks``, each below ``folder`` as ``owner/name`` in parquet files."""
    from datasets import Dataset, Features, Value

    configs: dict[str, set[str]] = {}
    for task in tasks:
        configs.setdefault(task.repo, set()).add(config_of(task))
    for repo, names in configs.items():
        (folder / repo / "data").mkdir(parents=True, exist_ok=True)
        files = []
        for start, split in enumerate(("train", "test", "val", "validation", "eval")):
            path = f"data/{split}-00000-of-00001.parquet"
            rows = Dataset.from_list([raw(repo, 1000 * start + i, split) for i in range(ROWS)])
            if "answer" in rows.features and rows.features["answer"].dtype == "null":
                rows = rows.cast(Features({**rows.features, "answer": Value("string")}))
            rows.to_parquet(str(folder / repo / path))
            files.append({"split": split, "path": path})
        entries = [{"config_name": name, "data_files": files} for name in sorted(names)]
        card = yaml.safe_dump({"license": LICENCE, "configs": entries})
        (folder / repo / "README.md").write_text(f"---\n{card}---\n# Rows\n", encoding="utf-8")
    return folder
