"""Whether the process lives, and whether it can do its work: asked by machines, without a session.

An app adds to readiness with a method of its AppConfig, ``readiness() -> {"broker": True}``;
the portal knows no app by import.
"""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all; it asks nobody else."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when all that a request needs is there, else 503; the body names each part.

    Without the broker pages still work and jobs only start later, so it is told but does
    not count.
    """
    found = {"database": _database_answers()}
    found["migrations"] = found["database"] and _is_migrated()
    needed = all(found.values())
    for config in apps.get_app_configs():
        if hasattr(config, "readiness"):
            found |= config.readiness()
    return JsonResponse({"ready": needed, **found}, status=200 if needed else 503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _is_migrated() -> bool:
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return False
