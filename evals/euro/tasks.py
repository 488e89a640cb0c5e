"""Every task of the set: which data, which wording, how many shots, which metrics."""

from __future__ import annotations

from typing import Any, NamedTuple

from evals.euro.languages import BELEBELE, ENGLISH, NATIVE, TRANSLATED, Words

VERSION = 1.1
# fork: as occiglot's euro-lm-evaluation-harness; upstream: as lm-eval; native: in the language.
WORDINGS = ("fork", "upstream", "native")
TRUTHFULQA = ("truthfulqa_mc1", "truthfulqa_mc2")
# The published tables of Occiglot agree with these numbers of the first Open LLM Leaderboard.
PRESETS = {
    "open-llm-v1": {
        "arc": 25, "leolm_arc": 25, "hellaswag": 10, "mmlu": 5, "belebele": 5,
        "truthfulqa_mc1": 0, "truthfulqa_mc2": 0, "mgsm_direct": 8, "mgsm_native_cot": 8,
        "gsm8k": 5, "mmlu_subjects": 5,
    },
    "zero-shot": {},
}  # fmt: skip
# What the mean of a language counts: one number for each of these, whatever their sizes.
CORE = ("arc", "hellaswag", "mmlu", "truthfulqa_mc2", "belebele")


class Family(NamedTuple):
    """A benchmark and where the hub has it; ``splits`` are those of questions and of shots."""

    name: str
    repo: str
    splits: tuple[str, str]
    metrics: tuple[str, ...]
    metric: str  # the one that counts
    letters: bool = False  # the choices stand in the prompt, the answer is a letter


_BOTH = ("acc", "acc_norm")
FAMILIES = {
    family.name: family
    for family in (
        Family("arc", "alexandrainst/m_arc", ("test", "train"), _BOTH, "acc_norm"),
        Family("hellaswag", "alexandrainst/m_hellaswag", ("val", "val"), _BOTH, "acc_norm"),
        Family("mmlu", "alexandrainst/m_mmlu", ("test", "val"), ("acc",), "acc", True),
        Family("truthfulqa_mc1", "alexandrainst/m_truthfulqa", ("val", "val"), ("acc",), "acc"),
        Family("truthfulqa_mc2", "alexandrainst/m_truthfulqa", ("val", "val"), ("mc2",), "mc2"),
        Family("belebele", "facebook/belebele", ("test", "test"), _BOTH, "acc", True),
        Family("leolm_arc", "LeoLM/ArcChallenge_de", ("test", "validation"), _BOTH, "acc_norm"),
    )
}
# English was never translated: these families have their original there, asked alike.
ORIGINALS = {
    "arc": ("allenai/ai2_arc", "ARC-Challenge", ("test", "train")),
    "hellaswag": ("Rowan/hellaswag", None, ("validation", "train")),
    "truthfulqa_mc1": ("truthfulqa/truthful_qa", "multiple_choice", ("validation",) * 2),
    "truthfulqa_mc2": ("truthfulqa/truthful_qa", "multiple_choice", ("validation",) * 2),
}


class Task(NamedTuple):
    """One family in one language and one wording."""

    family: Family
    language: str
    wording: str

    @property
    def name(self) -> str:
        return f"euro_{self.family.name}_{self.language}_{self.wording}"

    @property
    def _original(self) -> tuple[str, str | None, tuple[str, ...]] | None:
        return ORIGINALS.get(self.family.name) if self.language == "en" else None

    @property
    def repo(self) -> str:
        return self._original[0] if self._original else self.family.repo

    @property
    def config(self) -> str | None:
        """The data set's configuration on the hub."""
        if self._original:
            return self._original[1]
        if self.family.name == "belebele":
            return BELEBELE[self.language]
        return None if self.family.name == "leolm_arc" else self.language

    @property
    def rows(self) -> str:
        """The function of ``rows`` that makes its rows."""
        name = self.family.name
        if name == "arc" and self.wording == "upstream" and not self._original:
            return "arc_clean"
        bare = name in TRUTHFULQA and self.wording == "native"
        return f"{name}_bare" if bare else name

    @property
    def split(self) -> str:
        return self._original[2][0] if self._original else self.family.splits[0]

    @property
    def shots_split(self) -> str:
        """The split that shots come from; lm-eval takes those of MMLU from ``train``."""
        if self._original:
            return self._original[2][1]
        upstream = self.family.name == "mmlu" and self.wording == "upstream"
        return "train" if upstream else self.family.splits[1]

    @property
    def argmax(self) -> bool:
        """Occiglot's ``mc2`` is no mass: it counts how often the first true answer wins."""
        return self.family.name == "truthfulqa_mc2" and self.wording == "fork"

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("acc",) if self.argmax else self.family.metrics

    @property
    def metric(self) -> str:
        return "acc" if self.argmax else self.family.metric

    @property
    def scoring(self) -> str:
        return "options"


def catalogue() -> list[Task]:
    """All tasks with files of our own, by language and family."""
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
    extra = ("en", "is", "nb") if family == "mmlu" else ("en",)
    return tuple(sorted({*TRANSLATED, *extra}))


def wordings(family: str, language: str) -> tuple[str, ...]:
    """HellaSwag has no words to translate; LeoLM's ARC is in German alone.

    Of mc1 and of the English originals, fork and lm-eval ask the same.
    """
    if family == "hellaswag":
        return ("upstream",)
    if family == "leolm_arc":
        return ("native",)
    if language == "en" and family in ORIGINALS:
        return ("upstream",)
    native = ("native",) if language in NATIVE else ()
    return (("upstream",) if family == "truthfulqa_mc1" else WORDINGS[:2]) + native


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
        "fewshot_config": {"sampler": "first_n" if first else "default"},
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True}
            for metric in task.metrics
        ],
        "metadata": {
            "version": VERSION,
            "language": task.language,
            "family": task.family.name,
            "source": task.repo,
        },
    }


def _text(task: Task, words: Words) -> str:
    if task.family.name == "hellaswag":
        return "{{question}}"
    if task.family.name in TRUTHFULQA and task.wording != "native":
        return "{{primer}}\n\nQ: {{question}}\nA:"
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
