"""Sums of samples that were stored before parts kept them, and the wall time of their runs."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce


def add_up(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    part_table = apps.get_model("evals", "Part")
    sample_table = apps.get_model("evals", "Sample")
    both = Q(prompt_tokens__isnull=False, completion_tokens__isnull=False)
    for part in part_table.objects.only("pk").iterator():
        answered = sample_table.objects.filter(part=part, error="")
        sums = answered.aggregate(
            counted=Count("pk", filter=both),  # first: the names below hide the columns
            prompt_tokens=Sum("prompt_tokens"),
            completion_tokens=Sum("completion_tokens"),
            value_sum=Coalesce(Sum("value"), 0.0),
            latency_sum_ms=Coalesce(Sum("latency_ms"), 0.0),
        )
        part_table.objects.filter(pk=part.pk).update(**sums)
    runs = apps.get_model("evals", "Run").objects
    finished = runs.filter(started_at__isnull=False, finished_at__gt=F("started_at"))
    for run in finished.only("pk", "started_at", "finished_at").iterator():
        seconds = (run.finished_at - run.started_at).total_seconds()
        runs.filter(pk=run.pk).update(worked_seconds=seconds)


class Migration(migrations.Migration):
    dependencies = [("evals", "0002_prices_examples_totals")]
    operations = [migrations.RunPython(add_up, migrations.RunPython.noop)]
