"""The Celery app. Settings come from Django; messages are JSON and carry ids only."""

from __future__ import annotations

import logging
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
# Read by the evaluation libraries when they are imported, much later, by a job: no
# process pools inside a pool process, and no calls to a hub.
os.environ.setdefault("DISABLE_MULTIPROC", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("LMEVAL_LOG_LEVEL", "WARNING")

from celery import Celery, signals
from django.conf import settings
from kombu import Queue
from kombu.transport import TRANSPORT_ALIASES

from workers import shutdown

TRANSPORT_ALIASES["embedded"] = "workers.embedded:Transport"

JOBS = "jobs"
UPKEEP = "upkeep"  # its own queue: the sweeper must not wait behind a hundred jobs

app = Celery("pruefstand")
app.conf.update(
    broker_url=settings.BROKER_URL,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_publish_retry=False,  # a request must not wait for a broker; the sweeper repeats
    result_backend=None,
    task_ignore_result=True,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    timezone="UTC",
    enable_utc=True,
    task_queues=[Queue(JOBS), Queue(UPKEEP)],
    task_default_queue=JOBS,
    task_default_exchange=JOBS,
    task_default_routing_key=JOBS,
    # Acknowledged before the work: redelivery is the lease's business, and Redis would
    # deliver a job a second time while it runs for longer than the visibility timeout.
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_proc_alive_timeout=60.0,
    worker_redirect_stdouts=False,
    beat_schedule={
        "sweep": {
            "task": "workers.sweep",
            "schedule": settings.SWEEP_SECONDS,
            "options": {"queue": UPKEEP, "expires": settings.SWEEP_SECONDS},
        },
        "due": {
            "task": "workers.due",
            "schedule": settings.SWEEP_SECONDS,
            "options": {"queue": UPKEEP, "expires": settings.SWEEP_SECONDS},
        },
        "upkeep": {
            "task": "workers.upkeep",
            "schedule": 24 * 3600.0,
            "options": {"queue": UPKEEP, "expires": 3600},
        },
    },
)
if settings.BROKER_URL.startswith(("redis:", "rediss:")):
    app.conf.broker_transport_options = {
        "global_keyprefix": "pruefstand:",
        # For producers, a request among them; a worker's own loop retries for ever.
        "socket_connect_timeout": 2,
        "max_retries": 1,
        "interval_start": 0.1,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }
app.autodiscover_tasks()


@signals.setup_logging.connect
def keep_the_logging_of_django(**_: Any) -> None:
    """One log format, and no two lines for each sweep; jobs log for themselves."""
    for name in ("celery.app.trace", "celery.worker.strategy", "celery.beat"):
        logging.getLogger(name).setLevel(logging.WARNING)


@signals.worker_shutting_down.connect
def stop_jobs(**_: Any) -> None:
    shutdown.announce()


@signals.worker_process_init.connect
def tie_to_worker(**_: Any) -> None:
    shutdown.die_with_parent()
