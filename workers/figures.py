"""What the jobs look like from outside, for ``/metrics``."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Min, Sum
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from workers import broker
from workers.models import JobState, job_models


def metrics() -> Iterator[Metric]:
    jobs = GaugeMetricFamily("portal_jobs", "Jobs by kind and state.", labels=["kind", "state"])
    items = CounterMetricFamily(
        "portal_job_items", "Items that jobs have done, such as samples.", labels=["kind"]
    )
    oldest = GaugeMetricFamily(
        "portal_oldest_queued_seconds",
        "How long the first of the queue has waited.",
        labels=["kind"],
    )
    for model in job_models():
        kind = model._meta.label_lower
        rows = (
            model.objects.order_by()
            .values("state")
            .annotate(count=Count("pk"), done=Sum("done"), since=Min("queued_at"))
        )
        found = {row["state"]: row for row in rows}
        for state in JobState.values:
            jobs.add_metric([kind, state], found[state]["count"] if state in found else 0)
        if not model.task_name:  # a group counts what its children have done
            continue
        items.add_metric([kind], sum(row["done"] or 0 for row in found.values()))
        first = found.get(JobState.QUEUED, {}).get("since")
        waited = (timezone.now() - first).total_seconds() if first else 0.0
        oldest.add_metric([kind], max(0.0, waited))
    yield from (jobs, items, oldest)
    if (waiting := broker.waiting()) is not None:
        yield GaugeMetricFamily("portal_pokes_waiting", "Messages in the broker.", value=waiting)
