from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class WorkersConfig(AppConfig):
    name = "workers"

    def readiness(self) -> dict[str, bool]:
        from workers import broker

        return {"broker": broker.waiting() is not None}

    def metrics(self) -> Iterator[Metric]:
        """How many jobs wait and work, how long the oldest has waited, and pokes in the broker."""
        from workers import figures

        yield from figures.metrics()
