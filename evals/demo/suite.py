"""The demo suite's files, made from the corpus: ``python -m evals.demo.suite``.

They are committed, so that a suite is data like any other; a test makes them again
and compares the bytes.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml

from evals.demo import corpus

FOLDER = Path(__file__).resolve().parent.parent / "data" / "suites" / "demo"
SEED = 7
OPTIONS = 4

FAMILIES = {
    "choice_taught": "Multiple choice, as taught",
    "choice_reworded": "Multiple choice, reworded",
    "answer_taught": "Short answer, as taught",
    "answer_reworded": "Short answer, reworded",
}
DESCRIPTION = (
    "What the two demo models were taught: capitals, colours, opposites, sums and days, in four "
    "languages. Once in the wordings of the training text, once in wordings the models never saw; "
    "once as a choice among four answers scored by log-likelihood, once as a short generated "
    "answer scored by exact match."
)


def questions(family: str, language: str) -> list[dict[str, Any]]:
    """One row per fact; the answers of the same kind of fact are the wrong options."""
    scoring, wording = family.split("_")
    rng = random.Random(f"{SEED} {wording} {language}")
    facts = corpus.facts(language)
    rows = []
    for fact in facts:
        asked = (
            rng.choice(corpus.taught(fact.kind, language))
            if wording == "taught"
            else corpus.reworded(fact.kind, language)
        ).format(s=fact.subject)
        pool = sorted({other.answer for other in facts if other.kind == fact.kind} - {fact.answer})
        choices = [*rng.sample(pool, OPTIONS - 1), fact.answer]
        rng.shuffle(choices)
        row: dict[str, Any] = {"kind": fact.kind, "question": asked, "target": fact.answer}
        if scoring == "choice":
            row |= {
                "q": corpus.QUESTION[language],
                "a": corpus.ANSWER[language],
                "choices": choices,
                "answer": choices.index(fact.answer),
            }
        rows.append(row)
    return rows


def suite() -> dict[str, Any]:
    return {
        "slug": "demo",
        "version": 1,
        "name": "Demo suite",
        "description": DESCRIPTION,
        "licence": "CC0-1.0",
        "benchmarks": [
            _benchmark(family, title, language)
            for family, title in FAMILIES.items()
            for language in corpus.LANGUAGES
        ],
    }


def _benchmark(family: str, title: str, language: str) -> dict[str, Any]:
    is_choice = family.startswith("choice")
    return {
        "name": f"demo_{family}_{language}",
        "title": title,
        "family": family,
        "language": language,
        "engine": "lm_eval",
        "scoring": "options" if is_choice else "generate",
        "metric": "acc" if is_choice else "exact_match",
        "questions": f"{family}_{language}.jsonl",
        "options": {"num_fewshot": 0, "chat": not is_choice},
        "task": _choice_task() if is_choice else _answer_task(),
    }


def _choice_task() -> dict[str, Any]:
    return {
        "output_type": "multiple_choice",
        "doc_to_text": "{{q}}: {{question}}\n{{a}}:",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "answer",
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True}
            for metric in ("acc", "acc_norm")
        ],
        "metadata": {"version": 1.0},
    }


def _answer_task() -> dict[str, Any]:
    return {
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{target}}",
        "generation_kwargs": {
            "until": ["\n"],
            "max_gen_toks": 16,
            "do_sample": False,
            "temperature": 0.0,
        },
        "metric_list": [
            {
                "metric": "exact_match",
                "aggregation": "mean",
                "higher_is_better": True,
                "ignore_case": True,
                "ignore_punctuation": True,
            }
        ],
        "metadata": {"version": 1.0},
    }


def write(folder: Path = FOLDER) -> None:
    """suite.yaml and one JSON Lines file a benchmark, the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(suite(), sort_keys=False, allow_unicode=True, width=100)
    (folder / "suite.yaml").write_text(text, encoding="utf-8")
    for family in FAMILIES:
        for language in corpus.LANGUAGES:
            lines = [json.dumps(row, ensure_ascii=False) for row in questions(family, language)]
            path = folder / f"{family}_{language}.jsonl"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
