"""Multiple-choice questions of a usual length, for measuring what asking them costs."""

from __future__ import annotations

import random
from typing import Any

WORDS = [
    *("river", "harbour", "engine", "winter", "letter", "garden", "window", "teacher", "market"),
    *("bridge", "forest", "doctor", "station", "summer", "kitchen", "island", "picture", "evening"),
    *("machine", "village", "mountain", "number", "question", "colour", "paper", "morning"),
    *("animal", "language", "ocean", "season"),
]
WORDS_IN_PASSAGE = 26  # about 117 tokens a prompt, with the question and the choices
METRICS = ("acc", "acc_norm")


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "passage": " ".join(rng.choices(WORDS, k=WORDS_IN_PASSAGE)),
            "choices": [f"the {first} {second}" for first, second in _pairs(rng)],
            "answer": rng.randrange(4),
        }
        for _ in range(count)
    ]


def _pairs(rng: random.Random) -> list[list[str]]:
    words = rng.sample(WORDS, 8)
    return [words[at : at + 2] for at in range(0, 8, 2)]


def entry(scoring: str, count: int, seed: int) -> dict[str, Any]:
    """The entry of a suite file that asks ``count`` of them by ``scoring``, rows under "rows"."""
    letters = scoring == "letter"
    listed = "{% for c in choices %}\n{{'ABCD'[loop.index0]}}. {{c}}{% endfor %}"
    metrics = METRICS[:1] if letters else METRICS
    return {
        "name": f"bench_{scoring}",
        "title": "Cost of the client",
        "family": "bench",
        "language": "en",
        "engine": "lm_eval",
        "scoring": scoring,
        "metric": "acc",
        "rows": rows(count, seed),
        "options": {"num_fewshot": 0},
        "task": {
            "output_type": "multiple_choice",
            "doc_to_text": "{{passage}}\nQuestion: what is missing here?"
            + (listed if letters else "")
            + "\nAnswer:",
            "doc_to_choice": ["A", "B", "C", "D"] if letters else "{{choices}}",
            "doc_to_target": "answer",
            "metric_list": [
                {"metric": metric, "aggregation": "mean", "higher_is_better": True}
                for metric in metrics
            ],
        },
    }
