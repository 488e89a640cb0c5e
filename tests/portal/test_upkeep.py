"""What has run out is thrown away once a day, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.utils import timezone

from portal.accounts.models import IdempotencyKey, Project
from workers.celery import app
from workers.tasks import upkeep

pytestmark = pytest.mark.django_db


def test_only_what_has_run_out_goes(project: Project) -> None:
    now = timezone.now()
    for name, age in (("old", timedelta(days=40)), ("new", timedelta(hours=1))):
        Session.objects.create(session_key=name, session_data="", expire_date=now - age)
        key = IdempotencyKey.objects.create(project=project, key=name, request_hash="")
        IdempotencyKey.objects.filter(pk=key.pk).update(created_at=now - age)
        attempt = AccessAttempt.objects.create(
            username=name, ip_address="127.0.0.1", failures_since_start=1
        )
        AccessAttempt.objects.filter(pk=attempt.pk).update(attempt_time=now - age)
    Session.objects.create(session_key="open", session_data="", expire_date=now + timedelta(days=1))
    upkeep()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["open"]
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["new"]
    assert list(AccessAttempt.objects.values_list("username", flat=True)) == ["new"]


def test_the_clock_calls_it_every_day() -> None:
    entries = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}
    assert entries["workers.upkeep"] == 24 * 3600
