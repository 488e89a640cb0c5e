"""Pokes: the only place that talks to the broker, and never fails because of it."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


def poke(task_name: str, pk: int) -> bool:
    """Tell a worker that the row ``pk`` waits; False when the broker is away."""
    from workers.celery import app

    try:
        app.send_task(task_name, [pk])
    except Exception as error:  # each transport has errors of its own
        log.warning("No broker for %s %s (%s); the sweeper sends it again", task_name, pk, error)
        return False
    return True


def waiting() -> int | None:
    """Pokes that no worker has fetched yet; None when the broker is away."""
    from workers.celery import JOBS, app

    try:
        with app.connection_for_read() as connection, connection.channel() as channel:
            return channel.queue_declare(JOBS).message_count
    except Exception as error:
        log.warning("No broker: %s", error)
        return None
