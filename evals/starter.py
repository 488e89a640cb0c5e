"""The starter suites' files: ``python -m evals.starter`` writes them beside the questions.

The questions are written by people; their prompts, in ten languages, stand here once for two
suites: choices scored by log-likelihood (``suite.yaml``), and short answers through the chat
route for servers without log-probabilities (``chat.yaml``). The files are committed, so that
a suite is data like any other; a test makes them again and compares the bytes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FOLDER = Path(__file__).resolve().parent / "data" / "suites" / "starter"
LANGUAGES = ("de", "en", "fr", "es", "it", "nl", "da", "sv", "nb", "pl")
VERSION = 1
LICENCE = "CC0-1.0"
TAGS = ["starter", "multilingual"]
LETTERS = "ABCD"
ANSWER_TOKENS = 24
PROMISE = (
    "Five abilities in ten European languages, written for this portal. Good enough to tell "
    "models of 1 to 70 billion parameters apart coarsely; not meant for more: with about thirty "
    "questions a column, differences of a few points are noise."
)


class Family(NamedTuple):
    """One ability: its title, use cases, primary metric and number of examples shown."""

    title: str
    tags: list[str]
    metric: str
    shots: int


FAMILIES = {
    "knowledge": Family("Knowledge", ["knowledge", "question-answering"], "acc_norm", 4),
    "reading": Family("Reading comprehension", ["reading", "rag"], "acc_norm", 2),
    "sentiment": Family("Sentiment", ["classification"], "acc", 3),
    "acceptability": Family("Linguistic acceptability", ["language"], "acc", 4),
    "commonsense": Family("Common-sense completion", ["reasoning"], "acc_norm", 4),
}


def words(language: str) -> dict[str, Any]:
    """The words of the prompts in ``language``, and the colon as it is set there."""
    text = (FOLDER / "words" / f"{language}.json").read_text(encoding="utf-8")
    return {"colon": "\u00a0:" if language == "fr" else ":"} | json.loads(text)


def suite() -> dict[str, Any]:
    """Choices scored by log-likelihood."""
    return _suite("starter", "Starter suite", _choice_task, scoring="options")


def chat_suite() -> dict[str, Any]:
    """The same questions as short answers through the chat route."""
    return _suite("starter-chat", "Starter suite, as chat", _chat_task, scoring="generate")


def _suite(slug: str, name: str, task: Any, *, scoring: str) -> dict[str, Any]:
    benchmarks = []
    for language in LANGUAGES:
        for key, family in FAMILIES.items():
            benchmarks.append(
                {
                    "name": f"{slug.replace('-', '_')}_{key}_{language}",
                    "title": family.title,
                    "family": key,
                    "language": language,
                    "tags": family.tags,
                    "engine": "lm_eval",
                    "scoring": scoring,
                    "metric": family.metric if scoring == "options" else "exact_match",
                    "questions": f"{key}_{language}.jsonl",
                    "examples": f"{key}_{language}_examples.jsonl",
                    "options": {"num_fewshot": family.shots, "chat": scoring == "generate"},
                    "task": task(key, words(language)),
                }
            )
    return {
        "slug": slug,
        "version": VERSION,
        "name": name,
        "description": PROMISE,
        "licence": LICENCE,
        "tags": TAGS,
        "benchmarks": benchmarks,
    }


def _choice_task(family: str, said: dict[str, Any]) -> dict[str, Any]:
    names = ("question", "answer", "text", "sentence", "sentiment_ask")
    question, answer, text, sentence, feeling = (said[name] + said["colon"] for name in names)
    texts = {
        "knowledge": f"{question} {{{{question}}}}\n{answer}",
        "reading": f"{text} {{{{passage}}}}\n{question} {{{{question}}}}\n{answer}",
        "sentiment": f"{text} {{{{text}}}}\n{feeling}",
        "acceptability": f"{sentence} {{{{text}}}}\n{said['acceptable_ask']}\n{answer}",
        "commonsense": "{{context}}",
    }
    choices: Any = {
        "sentiment": said["labels"],
        "acceptability": [said["yes"], said["no"]],
    }.get(family, "{{choices}}")
    return {
        "output_type": "multiple_choice",
        "doc_to_text": texts[family],
        "doc_to_choice": choices,
        "doc_to_target": "answer",
        "metric_list": [_mean("acc"), _mean("acc_norm")],
        "metadata": {"version": float(VERSION)},
    }


def _chat_task(family: str, said: dict[str, Any]) -> dict[str, Any]:
    options = "\n".join(f"{letter}. {{{{choices[{i}]}}}}" for i, letter in enumerate(LETTERS))
    letter = said["letter_instruction"]
    texts = {
        "knowledge": f"{{{{question}}}}\n{options}\n\n{letter}",
        "reading": f"{{{{passage}}}}\n\n{{{{question}}}}\n{options}\n\n{letter}",
        "sentiment": (
            f"{said['text']}{said['colon']} {{{{text}}}}\n\n{said['sentiment_instruction']}"
        ),
        "acceptability": (
            f"{said['sentence']}{said['colon']} {{{{text}}}}\n\n{said['acceptable_instruction']}"
        ),
        "commonsense": f"{{{{context}}}}\n{options}\n\n{said['continue_instruction']}",
    }
    labels = {"sentiment": said["labels"], "acceptability": [said["yes"], said["no"]]}.get(
        family, list(LETTERS)
    )
    # The first label that stands as a word of its own. Letters only as capitals: "a" is a word.
    alternatives = "|".join(re.escape(label) for label in labels)
    flags = "" if family in ("knowledge", "reading", "commonsense") else "(?i)"
    return {
        "output_type": "generate_until",
        "doc_to_text": texts[family],
        "doc_to_target": f"{{{{{json.dumps(labels, ensure_ascii=False)}[answer]}}}}",
        "generation_kwargs": {"until": [], "max_gen_toks": ANSWER_TOKENS, "do_sample": False},
        "filter_list": [
            {
                "name": "label",
                "filter": [
                    {
                        "function": "regex",
                        "regex_pattern": f"{flags}\\b({alternatives})\\b",
                        "group_select": 0,
                        "fallback": "[no label]",
                    },
                    {"function": "take_first"},
                ],
            }
        ],
        "metric_list": [_mean("exact_match") | {"ignore_case": True}],
        "metadata": {"version": float(VERSION)},
    }


def _mean(metric: str) -> dict[str, Any]:
    return {"metric": metric, "aggregation": "mean", "higher_is_better": True}


def write(folder: Path = FOLDER) -> None:
    """suite.yaml and chat.yaml, the same bytes every time."""
    for name, content in (("suite.yaml", suite()), ("chat.yaml", chat_suite())):
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
