"""Every task of the set: which data, which wording, how many shots, which metrics."""

from __future__ import annotations

from typing import Any, NamedTuple

from evals.euro.languages import BELEBELE, ENGLISH, NATIVE, TRANSLATED, Words

VERSION = 1.0
# fork: as occiglot's euro-lm-evaluation-harness; upstream: as lm-eval; native: in the language.
WORDINGS = ("fork", "upstream", "native")
# The published tables of Occiglot agree with these numbers of the first Open LLM Leaderboard.
PRESETS = {
    "open-llm-v1": {"arc": 25, "leolm_arc": 25, "hellaswag": 10, "mmlu": 5, "belebele": 5},
    "zero-shot": {"arc": 0, "leolm_arc": 0, "hellaswag": 0, "mmlu": 0, "belebele": 0},
}


class Family(NamedTuple):
    """A benchmark and where the hub has it; ``splits`` are those of questions and of shots."""

    name: str
    repo: str
    splits: tuple[str, str]
    metrics: tuple[str, ...]
    metric: str  # the one that counts
    letters: bool  # the choices stand in the prompt, the answer is a letter


FAMILIES = {
    family.name: family
    for family in (
        Family("arc", "alexandrainst/m_arc", ("test", "train"), ("acc", "acc_norm"), "acc_norm",
               False),
        Family("hellaswag", "alexandrainst/m_hellaswag", ("val", "val"), ("acc", "acc_norm"),
               "acc_norm", False),
        Family("mmlu", "alexandrainst/m_mmlu", ("test", "val"), ("acc",), "acc", True),
        Family("belebele", "facebook/belebele", ("test", "test"), ("acc", "acc_norm"), "acc",
               True),
        Family("leolm_arc", "LeoLM/ArcChallenge_de", ("test", "validation"),
               ("acc", "acc_norm"), "acc_norm", False),
    )
}  # fmt: skip


class Task(NamedTuple):
    """One family in one language and one wording."""

    family: Family
    language: str
    wording: str

    @property
    def name(self) -> str:
        return f"euro_{self.family.name}_{self.language}_{self.wording}"

    @property
    def config(self) -> str | None:
        """The data set's configuration on the hub."""
        if self.family.name == "belebele":
            return BELEBELE[self.language]
        return None if self.family.name == "leolm_arc" else self.language

    @property
    def rows(self) -> str:
        """The function of ``rows`` that makes its rows."""
        clean = self.family.name == "arc" and self.wording == "upstream"
        return "arc_clean" if clean else self.family.name

    @property
    def shots_split(self) -> str:
        """The split that shots come from; lm-eval takes those of MMLU from ``train``."""
        upstream = self.family.name == "mmlu" and self.wording == "upstream"
        return "train" if upstream else self.family.splits[1]


def catalogue() -> list[Task]:
    """All tasks, by language and family."""
    return [
        Task(family, language, wording)
        for language in sorted(BELEBELE)
        for family in FAMILIES.values()
        if language in languages(family.name)
        for wording in wordings(family.name, language)
    ]


def languages(family: str) -> tuple[str, ...]:
    if family == "belebele":
        return tuple(sorted(BELEBELE))
    if family == "leolm_arc":
        return ("de",)
    extra = {"mmlu": ("en", "is", "nb")}.get(family, ())
    return tuple(sorted({*TRANSLATED, *extra}))


def wordings(family: str, language: str) -> tuple[str, ...]:
    """HellaSwag has no words to translate; LeoLM's ARC is in German alone."""
    if family == "hellaswag":
        return ("upstream",)
    if family == "leolm_arc":
        return ("native",)
    return WORDINGS if language in NATIVE else WORDINGS[:2]


def template(task: Task) -> dict[str, Any]:
    """The fields of lm-eval's task that make prompt and score from a row of ``rows``."""
    words = NATIVE[task.language] if task.wording == "native" else ENGLISH
    first = task.family.name == "belebele" or (task.family.name, task.wording) == (
        "mmlu",
        "upstream",
    )
    return {
        "output_type": "multiple_choice",
        "doc_to_text": _text(task, words),
        "doc_to_choice": [*"ABCD"] if task.family.letters else "choices",
        "doc_to_target": "answer",
        **({"fewshot_config": {"sampler": "first_n"}} if first else {}),
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True}
            for metric in task.family.metrics
        ],
        "metadata": {
            "version": VERSION,
            "language": task.language,
            "family": task.family.name,
            "source": task.family.repo,
        },
    }


def _text(task: Task, words: Words) -> str:
    if task.family.name == "hellaswag":
        return "{{question}}"
    if task.family.name == "mmlu" and task.wording == "upstream":
        return f"{{{{question}}}}\n{_listed('. ')}\nAnswer:"
    if task.family.name == "mmlu":
        return (
            f"{words.question}: {{{{question}}}}\n{words.choices}:\n"
            f"{_listed('. ')}\n{words.answer}:"
        )
    if task.family.name == "belebele" and task.wording == "native":
        return (
            f"{words.text}: {{{{text}}}}\n{words.question}: {{{{question}}}}\n"
            f"{words.choices}:\n{_listed(': ')}\n{words.answer}:"
        )
    if task.family.name == "belebele":
        colon = "\N{FULLWIDTH COLON}" if task.wording == "fork" else ":"
        return f"P: {{{{text}}}}\nQ: {{{{question}}}}\n{_listed(': ')}\nAnswer{colon}"
    return f"{words.question}: {{{{question}}}}\n{words.answer}:"


def _listed(mark: str) -> str:
    return "\n".join(f"{letter}{mark}{{{{choices[{i}]}}}}" for i, letter in enumerate("ABCD"))
