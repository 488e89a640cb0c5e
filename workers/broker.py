"""Pokes: the only place that talks to the broker, and never fails because of it."""

from __future__ import annotations

import logging
from time import monotonic

from django.conf import settings

log = logging.getLogger(__name__)

_away_until = 0.0  # monotonic: no further attempt before, so that requests do not queue up


def poke(task_name: str, pk: int) -> bool:
    """Tell a worker that the row ``pk`` waits; False when the broker is away."""
    from workers.celery import app

    if monotonic() < _away_until:
        return False
    try:
        app.send_task(task_name, [pk])
    except Exception as error:  # each transport has errors of its own
        _note_failure(error)
        return False
    return True


def waiting() -> int | None:
    """Pokes that no worker has fetched yet; None when the broker is away."""
    from workers.celery import JOBS, app

    try:
        with app.connection_for_read() as connection, connection.channel() as channel:
            return channel.queue_declare(JOBS).message_count
    except Exception as error:
        _note_failure(error)
        return None


def _note_failure(error: Exception) -> None:
    global _away_until
    _away_until = monotonic() + settings.SWEEP_SECONDS
    log.warning("The broker does not answer (%s); the sweeper sends pokes again", error)
