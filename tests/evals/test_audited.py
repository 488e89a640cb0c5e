"""Every change in the browser leaves a line with the person who made it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from evals.forms import KEEP_KEY
from evals.models import Candidate, Run, Suite
from portal.accounts.models import AuditEntry, Project
from tests.evals.making import make_candidate, make_suite
from tests.evals.test_pages_forms import KEY, fields

pytestmark = pytest.mark.django_db


def lines() -> list[tuple[str, str, str]]:
    rows = AuditEntry.objects.order_by("pk")
    return list(rows.values_list("actor_name", "action", "target_name"))


def test_changes_of_candidates_are_written_down_without_their_key(as_erik: Client) -> None:
    as_erik.post(reverse("evals:candidate_new"), fields())
    candidate = Candidate.objects.get()
    as_erik.post(
        reverse("evals:candidate_edit", args=[candidate.pk]),
        fields(api_key=KEEP_KEY, base_url="http://127.0.0.1:9000/v1"),
    )
    actions = [(actor, action) for actor, action, _name in lines()]
    assert actions == [
        ("erik", "candidate.register"), ("erik", "candidate.check"),
        ("erik", "candidate.change"), ("erik", "candidate.check"),
    ]  # fmt: skip
    changed = AuditEntry.objects.get(action="candidate.change")
    assert changed.target_name == "Viking 7B"
    assert changed.details == {
        "address": "http://127.0.0.1:9000/v1",
        "address_before": "http://127.0.0.1:8000/v1",
        "credential_changed": True,
    }
    assert KEY not in str(list(AuditEntry.objects.values()))


def test_suites_runs_and_downloads_are_written_down(as_erik: Client, project: Project) -> None:
    as_erik.post(reverse("evals:suite_install"), {"slug": "demo"})
    suite, candidate = make_suite(project), make_candidate(project)
    form = {"suite": suite.pk, "candidates": [candidate.pk]}
    as_erik.post(reverse("evals:run_new"), form)
    run = Run.objects.get()
    as_erik.post(reverse("workers:cancel", args=[run.label, run.pk]))
    as_erik.post(reverse("workers:cancel", args=[run.label, run.pk]))  # nothing left to stop
    as_erik.post(reverse("evals:run_resume", args=[run.pk]))
    as_erik.get(reverse("evals:board", args=[suite.slug]), {"format": "csv"})
    of_erik = [action for actor, action, _name in lines() if actor == "erik"]
    assert of_erik == [
        "suite.install", "run.start", "job.cancel", "run.resume", "leaderboard.export",
    ]  # fmt: skip
    assert Suite.objects.count() == 2
