"""EuroEval-style suites over the starter questions: ``python -m evals.starter_styles``.

Seven abilities in every language that has both questions and prompts of its own, asked as a
text to continue and as a conversation. The files are committed, so that a suite is data like
any other; a test makes them again and compares the bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from evals.starter import FOLDER, LICENCE
from evals.styles import templates
from evals.styles.protocols import ONCE, SEED
from evals.styles.tasks import TASKS

VERSION = 7  # raise with every question and language: a version never changes
TAGS = ["starter", "multilingual", "euroeval-style"]
PROMISE = (
    "Seven abilities asked and scored as EuroEval does, with questions written for this portal. "
    "Scores are not comparable with EuroEval's own boards, and with twenty to thirty questions a "
    "column differences of many points are noise."
)
# Title, use cases and the file of the questions; the prompts are in evals.styles.
ABILITIES: dict[str, tuple[str, list[str], str]] = {
    "sentiment": ("Sentiment", ["classification"], "sentiment"),
    "acceptability": ("Linguistic acceptability", ["language"], "acceptability"),
    "entities": ("Named entities", ["extraction"], "entities"),
    "reading": ("Answers from a text", ["reading", "rag"], "passages"),
    "summary": ("Summarising", ["summarisation"], "passages"),
    "knowledge": ("Knowledge", ["knowledge", "question-answering"], "knowledge"),
    "commonsense": ("Common-sense completion", ["reasoning"], "commonsense"),
}


def suite(*, chat: bool) -> dict[str, Any]:
    slug = "euro-style-chat" if chat else "euro-style"
    return {
        "slug": slug,
        "version": VERSION,
        "name": "EuroEval-style suite, as chat" if chat else "EuroEval-style suite",
        "description": PROMISE,
        "licence": LICENCE,
        "tags": TAGS,
        "benchmarks": [
            _benchmark(slug, language, task, chat)
            for language in templates.languages()
            for task in TASKS
            if (FOLDER / f"{ABILITIES[task][2]}_{language}.jsonl").exists()
        ],
    }


def _benchmark(slug: str, language: str, task: str, chat: bool) -> dict[str, Any]:
    title, tags, questions = ABILITIES[task]
    return {
        "name": f"{slug.replace('-', '_')}_{task}_{language}",
        "title": title,
        "family": task,
        "language": language,
        "tags": list(tags),
        "engine": "euro_style",
        "scoring": "generate",
        "metric": TASKS[task].metrics[0],
        "questions": f"{questions}_{language}.jsonl",
        "options": {
            "num_fewshot": TASKS[task].shots,
            "chat": chat,
            "seed": SEED,
            "protocol": ONCE,
        },
        "task": {
            "task": task,
            "language": language,
            "generation_kwargs": {"max_gen_toks": TASKS[task].tokens},
        },
    }


def write(folder: Path = FOLDER) -> None:
    """The two files, the same bytes every time."""
    for name, chat in (("style.yaml", False), ("style_chat.yaml", True)):
        text = yaml.safe_dump(suite(chat=chat), sort_keys=False, allow_unicode=True, width=100)
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
