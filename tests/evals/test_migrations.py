"""Data of an older version is brought along."""

from __future__ import annotations

from datetime import date
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from evals import imports
from evals.models import Import, Part, Run, Sample, Suite
from portal.accounts.models import AuditEntry, Project, User
from tests.evals.making import make_candidate, make_run, make_suite

pytestmark = pytest.mark.django_db


def test_sums_of_older_samples_are_added_up(project: Project) -> None:
    add_up = import_module("evals.migrations.0003_sums").add_up
    values = {"colours": [1.0, 0.0, None], "words": [1.0, 1.0]}
    run = make_run(make_candidate(project), make_suite(project), values)
    Sample.objects.filter(part__run=run, error="").update(prompt_tokens=7, latency_ms=3.0)
    Part.objects.update(value_sum=0.0, latency_sum_ms=0.0, prompt_tokens=None)
    Run.objects.filter(pk=run.pk).update(worked_seconds=0.0, started_at=run.created_at)
    add_up(apps, connection.schema_editor())
    colours = run.parts.get(benchmark__name="colours")
    sums = (colours.value_sum, colours.latency_sum_ms, colours.prompt_tokens)
    assert sums == (1.0, 6.0, 14) and colours.completion_tokens is None and colours.counted == 0
    run.refresh_from_db()
    assert run.worked_seconds == (run.finished_at - run.started_at).total_seconds() > 0


def test_checksums_of_older_suites_become_those_that_are_computed_today(project: Project) -> None:
    suite = make_suite(project, licence="CC0-1.0")
    Suite.objects.update(sha256="0" * 64)
    import_module("evals.migrations.0009_canonical_checksums").compute_anew(
        apps, connection.schema_editor()
    )
    assert Suite.objects.get().sha256 == suite.sha256


def test_who_kept_an_older_import_is_taken_from_the_audit_log(
    project: Project, erik: User, alice: User
) -> None:
    board = [imports.File("board.csv", b"model,Elo\nA,1\n")]
    found = imports.receive(project, board, by=erik)
    imports.confirm(found, source="Arena", dated=date(2026, 1, 2), by=alice)
    name = import_module("evals.migrations.0023_imported_by").name_from_the_log
    Import.objects.update(imported_by="")
    name(apps, connection.schema_editor())
    assert Import.objects.get().imported_by == "alice"
    AuditEntry.objects.all().delete()
    name(apps, connection.schema_editor())
    assert Import.objects.get().imported_by == "erik"
