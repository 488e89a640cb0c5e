"""Store what an engine brings, and keep the sums of a part that pages show."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce

from evals.answers import DISTANCES
from evals.compact import Places
from evals.engines import Outcome
from evals.models import Part, Sample
from evals.storable import clean
from workers.progress import Progress

SAMPLE_FIELDS = [
    "prompt", "target", "answer", "correct", "value", "metrics", "counts", "choices",
    "loglikelihoods", *DISTANCES, "prompt_tokens", "completion_tokens", "latency_ms",
    "attempts", "raw", "finish_reason", "error", "error_kind",
]  # fmt: skip


def store(part: Part, outcomes: list[Outcome], progress: Progress, failed: Places) -> None:
    """Write ``outcomes`` and what they add up to in one transaction, if the lease is still ours.

    ``failed`` holds the doc_ids without an answer so far and is kept up to date.
    """
    rows = [_sample(part, outcome) for outcome in outcomes]
    answered = [row for row in rows if not row.error]
    healed = [row.doc_id for row in answered if row.doc_id in failed]
    failing = [row.doc_id for row in rows if row.error and row.doc_id not in failed]
    errors = len(failing) - len(healed)
    with transaction.atomic():
        progress.fence()
        Sample.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["part", "doc_id"],
            update_fields=SAMPLE_FIELDS,
        )
        # With the sums, so that a mean over what is done is right at every moment.
        Part.objects.filter(pk=part.pk).update(
            done=progress.job.done + len(answered),
            errors=len(failed) + errors,
            **_added(answered),
        )
    failed.update(failing)
    for doc_id in healed:
        failed.discard(doc_id)
    progress.advance(done=len(answered), errors=errors)
    progress.beat()


def tally(part: Part) -> None:
    """Set the sums of ``part`` to those of its answered samples, counted anew."""
    both = Q(prompt_tokens__isnull=False, completion_tokens__isnull=False)
    sums = part.samples.answered().aggregate(
        counted=Count("pk", filter=both),  # first: the names below hide the columns
        prompt_tokens=Sum("prompt_tokens"),
        completion_tokens=Sum("completion_tokens"),
        value_sum=Coalesce(Sum("value"), 0.0),
        latency_sum_ms=Coalesce(Sum("latency_ms"), 0.0),
    )
    for name, value in sums.items():
        setattr(part, name, value)
    Part.objects.filter(pk=part.pk).update(**sums)


def _added(answered: list[Sample]) -> dict[str, Any]:
    """The sums of a part with ``answered`` in them; only what had no answer is ever asked."""
    sums: dict[str, Any] = {
        "counted": F("counted")
        + sum(None not in (row.prompt_tokens, row.completion_tokens) for row in answered),
        "value_sum": F("value_sum") + sum(row.value or 0.0 for row in answered),
        "latency_sum_ms": F("latency_sum_ms") + sum(row.latency_ms or 0.0 for row in answered),
    }
    for name in ("prompt_tokens", "completion_tokens"):
        told = [count for row in answered if (count := getattr(row, name)) is not None]
        if told:
            sums[name] = Coalesce(F(name), 0) + sum(told)
    return sums


def _sample(part: Part, outcome: Outcome) -> Sample:
    value = outcome.value
    return Sample(
        part=part,
        doc_id=outcome.doc_id,
        prompt=clean(outcome.prompt),
        target=clean(outcome.target),
        answer=clean(outcome.answer),
        correct=bool(value) if value in (0.0, 1.0) else None,
        value=value,
        metrics=outcome.metrics,
        counts=list(outcome.counts),
        choices=[clean(choice) for choice in outcome.choices],
        loglikelihoods=list(outcome.loglikelihoods),
        p_gold=outcome.p_gold,
        margin=outcome.margin,
        nll=outcome.nll,
        brier=outcome.brier,
        prompt_tokens=outcome.prompt_tokens,
        completion_tokens=outcome.completion_tokens,
        latency_ms=outcome.latency_ms,
        attempts=outcome.attempts,
        raw=clean(outcome.raw),
        finish_reason=clean(outcome.finish_reason)[:40],
        error=clean(outcome.error),
        error_kind=outcome.error_kind,
    )
