"""The rows of the tables that people see, as flat records for files.

Scores are shares (0 to 1), never localised; what is not known is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from evals import history
from evals.models import Candidate, ExternalResult, Part, Run, Sample, Suite
from evals.spending import with_spending

AT_ONCE = 200  # runs or samples that are read together

RUNS = {
    "run": int, "model": str, "suite": str, "suite_version": int, "languages": str,
    "scoring": str, "repeat": int, "endpoint_revision": int, "state": str,
    "value": float, "low": float, "high": float, "method": str, "answered": int, "failed": int,
    "asked": int, "prompt_tokens": int, "answer_tokens": int, "tokens_partial": bool,
    "seconds": float, "cost": float, "currency": str, "cost_at_least": bool,
    "server": str, "created_at": datetime, "finished_at": datetime,
}  # fmt: skip
MODELS = {
    "model": str, "base_model": str, "parameters_billion": float, "quantisation": str,
    "licence": str, "languages": str, "endpoint": str, "served_model": str, "software": str,
    "check": str, "server": str,
}  # fmt: skip
SCORES = {
    "run": int, "model": str, "suite": str, "suite_version": int, "benchmark": str,
    "language": str, "scoring": str, "state": str, "metric": str, "value": float, "low": float,
    "high": float, "method": str, "answered": int, "failed": int, "asked": int, "valid": bool,
}  # fmt: skip
SAMPLES = {
    "run": int, "benchmark": str, "language": str, "doc_id": int, "prompt": str, "target": str,
    "answer": str, "correct": bool, "value": float, "p_gold": float, "margin": float,
    "nll": float, "brier": float, "prompt_tokens": int, "answer_tokens": int,
    "latency_ms": float, "attempts": int, "finish_reason": str, "error_kind": str, "error": str,
}  # fmt: skip
EXTERNAL = {
    "source": str, "url": str, "dated": str, "model": str, "benchmark": str, "task": str,
    "languages": str, "metric": str, "value": float, "low": float, "high": float,
    "spread": float, "spread_kind": str, "samples": int, "failed": int, "few_shot": bool,
    "split": str, "engine": str, "measured_at": str, "imported_at": datetime, "imported_by": str,
    "file": str, "line": int,
}  # fmt: skip
SUITES = {
    "suite": str, "version": int, "name": str, "licence": str, "languages": str,
    "benchmarks": int, "questions": int, "frozen_at": datetime,
}  # fmt: skip
BENCHMARKS = {
    "suite": str, "version": int, "benchmark": str, "title": str, "family": str,
    "language": str, "scoring": str, "metric": str, "shots": int, "questions": int,
    "tags": str, "data_sha256": str,
}  # fmt: skip


def runs(found: Iterable[Run]) -> Iterator[dict[str, Any]]:
    """A record a run with mean, tokens and cost; four queries for each 200 of them."""
    left = iter(found)
    while some := list(islice(left, AT_ONCE)):
        means = history.means(some)
        for run in with_spending(some):
            usage, cost, mean = *run.spent, means.get(run.pk)  # type: ignore[attr-defined]
            yield {
                "run": run.pk,
                "model": run.candidate.name,
                "suite": run.suite.slug,
                "suite_version": run.suite.version,
                "languages": ",".join(run.languages) or None,
                "scoring": run.options.get("scoring") or None,
                "repeat": run.repeat,
                "endpoint_revision": run.endpoint_revision,
                "state": run.state,
                "value": mean.value if mean else None,
                "low": mean.low if mean else None,
                "high": mean.high if mean else None,
                "method": mean.method if mean else None,
                "answered": run.done,
                "failed": run.errors,
                "asked": run.total,
                "prompt_tokens": usage.prompt_tokens,
                "answer_tokens": usage.answer_tokens,
                "tokens_partial": usage.at_least,
                "seconds": usage.seconds,
                "cost": float(cost.amount) if cost.amount is not None else None,
                "currency": cost.currency or None,
                "cost_at_least": cost.at_least if cost.amount is not None else None,
                "server": run.server or None,
                "created_at": run.created_at,
                "finished_at": run.finished_at,
            }


def models(found: Iterable[Candidate]) -> Iterator[dict[str, Any]]:
    """``found`` as ``for_list`` gives them; no query more."""
    for candidate in found:
        endpoint = candidate.endpoint
        probe = endpoint.latest_probe
        yield {
            "model": candidate.name,
            "base_model": candidate.base_model or None,
            "parameters_billion": candidate.parameters,
            "quantisation": candidate.quantisation or None,
            "licence": candidate.licence or None,
            "languages": ",".join(candidate.languages) or None,
            "endpoint": endpoint.host,
            "served_model": endpoint.served_model,
            "software": endpoint.software,
            "check": endpoint.checked.value,
            "server": probe.server or None if probe else None,
        }


def scores(run: Run, parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
    """The primary metric of each of ``parts``, as the page of a run has prepared them."""
    for part in parts:
        score = part.score  # type: ignore[attr-defined]
        yield {
            "run": run.pk,
            "model": run.candidate.name,
            "suite": run.suite.slug,
            "suite_version": run.suite.version,
            "benchmark": part.benchmark.name,
            "language": part.benchmark.language,
            "scoring": part.benchmark.scoring,
            "state": part.state,
            "metric": part.benchmark.metric,
            "value": score.value if score else None,
            "low": score.low if score else None,
            "high": score.high if score else None,
            "method": score.method if score else None,
            "answered": part.done,
            "failed": part.errors,
            "asked": part.total,
            "valid": score.valid if score else None,
        }


def samples(run: Run, found: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    """A record a sample; a query for each 200 of them."""
    for start in range(0, len(found), AT_ONCE):
        for sample in found[start : start + AT_ONCE]:
            benchmark = sample.part.benchmark
            same = ("doc_id", "prompt", "target", "correct", "value", "p_gold", "margin", "nll",
                    "brier", "prompt_tokens", "latency_ms", "attempts")  # fmt: skip
            yield {
                "run": run.pk,
                "benchmark": benchmark.name,
                "language": benchmark.language,
                **{name: getattr(sample, name) for name in same},
                "answer": None if sample.error else sample.answer,
                "answer_tokens": sample.completion_tokens,
                "finish_reason": sample.finish_reason or None,
                "error_kind": sample.error_kind or None,
                "error": sample.error or None,
            }


def external(found: Iterable[ExternalResult]) -> Iterator[dict[str, Any]]:
    """Values in the scale of their files."""
    same = ("model", "benchmark", "metric", "value", "low", "high", "spread", "samples",
            "failed", "few_shot", "line")  # fmt: skip
    texts = ("task", "spread_kind", "split", "engine", "measured_at")
    for result in found:
        come = result.source
        yield {
            "source": come.source or None,
            "url": come.url or None,
            "dated": come.dated.isoformat() if come.dated else None,
            **{name: getattr(result, name) for name in same},
            **{name: getattr(result, name) or None for name in texts},
            "languages": ",".join(result.languages) or None,
            "imported_at": come.confirmed_at,
            "imported_by": come.imported_by or None,
            "file": ", ".join(file.name for file in come.files.all()),
        }


def suites(found: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """``found`` as the page of suites has prepared them."""
    for suite in found:
        yield {
            "suite": suite.slug,
            "version": suite.version,
            "name": suite.name,
            "licence": suite.licence or None,
            "languages": ",".join(suite.languages),
            "benchmarks": len(suite.columns),
            "questions": suite.question_count,
            "frozen_at": suite.frozen_at,
        }


def benchmarks(suite: Suite) -> Iterator[dict[str, Any]]:
    for each in suite.benchmarks.select_related("questions").defer("questions__lines"):
        yield {
            "suite": suite.slug,
            "version": suite.version,
            "benchmark": each.name,
            "title": each.title,
            "family": each.family,
            "language": each.language,
            "scoring": each.scoring,
            "metric": each.metric,
            "shots": int(each.options.get("num_fewshot", 0)),
            "questions": each.questions.count,
            "tags": ",".join(each.tags) or None,
            "data_sha256": each.questions.sha256,
        }
