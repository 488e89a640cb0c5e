from __future__ import annotations

from django.apps import AppConfig


class EvalsConfig(AppConfig):
    name = "evals"
    api_router = "evals.api.router"

    def nav_counts(self, project: object) -> dict[str, int]:
        """Active runs beside "Runs" in the navigation."""
        from evals.models import Run

        return {"evals:runs": Run.objects.in_project(project).active().count()}
