"""From a message to a job: claim the row, run the body, settle."""

from __future__ import annotations

import logging
from collections.abc import Callable

from celery import Task
from django.apps import apps

from workers import jobs
from workers.celery import app

log = logging.getLogger(__name__)


def job_task(name: str, model_label: str) -> Callable[[jobs.Body], Task]:
    """Make ``body(job, progress)`` the Celery task ``name`` of the model ``app.Model``.

    The body runs in a worker process, outside any transaction. It returns when the
    work is done; exceptions settle the job (see ``jobs.perform``).
    """

    def decorate(body: jobs.Body) -> Task:
        @app.task(name=name)
        def execute(pk: int) -> None:
            progress = jobs.claim(apps.get_model(model_label), pk)
            if progress is None:
                return
            log.info("%s %s starts", model_label, pk)
            jobs.perform(progress, body)
            log.info("%s %s ends: %s of %s", model_label, pk, progress.job.done, progress.job.total)

        return execute

    return decorate


@app.task(name="workers.sweep")
def sweep() -> None:
    handled = jobs.sweep()
    if handled:
        log.info("Swept up %s jobs", handled)


@app.task(name="workers.due")
def due() -> None:
    """Every few seconds each app starts what is due: ``AppConfig.due()``."""
    for config in apps.get_app_configs():
        if hasattr(config, "due"):
            config.due()


@app.task(name="workers.upkeep")
def upkeep() -> None:
    """Once a day each app throws away what has run out: ``AppConfig.upkeep()``."""
    for config in apps.get_app_configs():
        if hasattr(config, "upkeep"):
            config.upkeep()
