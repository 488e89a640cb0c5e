"""Celery's door into the verbs: ids in, nothing out."""

from __future__ import annotations

from evals import beside, candidates, euroeval, leaderboard, runs, schedules
from evals.models import EuroEvalRun, Part, Probe, ScheduledModel, Suite
from workers import broker
from workers.celery import app
from workers.progress import Progress
from workers.tasks import job_task


@job_task("evals.execute_part", "evals.Part")
def execute_part(part: Part, progress: Progress) -> None:
    try:
        runs.execute(part, progress)
    finally:
        if not part.run.parts.active().exclude(pk=part.pk).exists():
            broker.poke(refresh_boards.name, part.run.suite_id)


@job_task("evals.check_endpoint", "evals.Probe")
def check_endpoint(probe: Probe, progress: Progress) -> None:
    candidates.run_check(probe, progress)


@job_task("evals.run_euroeval", "evals.EuroEvalRun")
def run_euroeval(run: EuroEvalRun, progress: Progress) -> None:
    euroeval.execute(run, progress)


@app.task(name=schedules.LOOK)
def look_for_change(pk: int) -> None:
    """Lost or late, it is asked for again."""
    model = ScheduledModel.objects.select_related("schedule__project", "candidate__endpoint")
    if found := model.filter(pk=pk).first():
        schedules.look(found)


@app.task(name="evals.refresh_boards")
def refresh_boards(suite: int) -> None:
    """Have the boards ready before people open them. Lost, they are computed at that moment."""
    if found := Suite.objects.filter(pk=suite).first():
        beside.settle(found)
        leaderboard.refresh(found)
