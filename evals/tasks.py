"""Celery's door into the verbs: ids in, nothing out."""

from __future__ import annotations

from evals import candidates, runs
from evals.models import Part, Probe
from workers.progress import Progress
from workers.tasks import job_task


@job_task("evals.execute_part", "evals.Part")
def execute_part(part: Part, progress: Progress) -> None:
    runs.execute(part, progress)


@job_task("evals.check_endpoint", "evals.Probe")
def check_endpoint(probe: Probe, progress: Progress) -> None:
    candidates.run_check(probe, progress)
