"""What every engine takes and gives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from evals.llm import EndpointSpec


class TaskInvalid(ValueError):
    """A benchmark's definition cannot be run; the text names the field and the way out."""


@dataclass(frozen=True)
class BenchmarkSpec:
    """One benchmark as an engine needs it.

    ``rows`` are the questions in order; a sample's ``doc_id`` is its index there. They may lie
    on disk (`evals.compact.Rows`): an engine holds no more of them than it asks at a time.
    ``examples`` are shown before a question, the first ``num_fewshot`` of them in their order;
    without any, examples are drawn from the other rows.
    ``task`` is in the engine's own terms (for lm-eval: a TaskConfig without data set).
    """

    name: str
    scoring: str
    metric: str
    rows: Sequence[dict[str, Any]]
    task: dict[str, Any]
    examples: list[dict[str, Any]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """One sample as asked, answered and scored.

    ``error`` non-empty: the server failed, there is no answer and no metric.
    ``value`` is the primary metric, or the sample's own score where that is one of the whole
    set: then ``counts`` is what the sample adds to it (`evals.stats.corpus`).
    Log-likelihoods and margin are in nats.
    """

    doc_id: int
    prompt: str
    target: str
    answer: str = ""
    value: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    loglikelihoods: tuple[float, ...] = ()
    p_gold: float | None = None
    margin: float | None = None
    nll: float | None = None
    brier: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_ms: float | None = None
    attempts: int = 1
    counts: tuple[int, ...] = ()
    raw: str = ""
    finish_reason: str = ""
    error: str = ""
    error_kind: str = ""


def never() -> bool:
    """Nothing stops a run before its end."""
    return False


class Engine(Protocol):
    """A plug-in: a module in this package with an ``ENGINE`` of this shape."""

    label: str

    def needs(self, spec: BenchmarkSpec) -> frozenset[str]:
        """What the endpoint must be able to do: names out of ``evals.llm.probes.CAPABILITIES``."""
        ...

    def validate(self, spec: BenchmarkSpec) -> None:
        """Raise TaskInvalid when ``spec`` cannot run; cheap enough for an import."""
        ...

    def run(
        self,
        endpoint: EndpointSpec,
        spec: BenchmarkSpec,
        skip: Collection[int],
        stop: Callable[[], bool] = never,
    ) -> AsyncIterator[list[Outcome]]:
        """Ask every row whose index is not in ``skip``; yield what has finished, in batches.

        ``stop`` is called before each row: once it is true no further one is begun, and what
        is in flight is still yielded.

        At most ``endpoint.concurrency`` samples are asked or waiting to be taken: a batch
        counts as stored when the next one is requested.
        """
        ...

    def software(self) -> dict[str, str]:
        """Names and versions of what computes the scores."""
        ...


EXAMPLES_SPLIT = "examples"


def fewshot(options: dict[str, Any], has_examples: bool) -> dict[str, Any]:
    """lm-eval's fields for ``options["num_fewshot"]``: how many examples, from where, drawn how."""
    shots = int(options.get("num_fewshot", 0))
    if not shots:
        return {"num_fewshot": 0}
    if not has_examples:
        return {"num_fewshot": shots, "fewshot_split": "test"}
    return {
        "num_fewshot": shots,
        "fewshot_split": EXAMPLES_SPLIT,
        "fewshot_config": {"sampler": "first_n"},
    }
