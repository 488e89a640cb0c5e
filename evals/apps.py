from __future__ import annotations

from django.apps import AppConfig


class EvalsConfig(AppConfig):
    name = "evals"
    api_router = "evals.api.router"

    def due(self) -> None:
        """Start the runs of schedules; called by the clock every few seconds."""
        from evals import schedules

        schedules.tick()

    def nav_counts(self, project: object) -> dict[str, int]:
        """Active runs beside "Runs" in the navigation."""
        from evals.models import Run

        return {"evals:runs": Run.objects.in_project(project).active().count()}
