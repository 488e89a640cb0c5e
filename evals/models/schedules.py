"""Runs that start by themselves: at a time of day, or when a server serves something else."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.dates import WEEKDAYS
from django.utils.formats import time_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from evals.costs import Budget
from evals.due import next_due
from evals.models.candidates import Candidate
from evals.models.runs import Run
from evals.models.suites import Scoring
from portal.accounts.models import Project


class Every(models.TextChoices):
    """What makes a schedule start its runs."""

    DAY = "day", _("Every day")
    WEEK = "week", _("Every week")
    CHANGE = "change", _("When the server or its model changes")


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def in_project(self, project: Project) -> ScheduleQuerySet:
        return self.filter(project=project)

    def due(self, now: datetime) -> ScheduleQuerySet:
        return self.filter(paused=False, next_at__lte=now)


class Schedule(models.Model):
    """Measure models on the newest version of a suite, again and again.

    The suite is kept by its slug and models by their names too, so that a schedule can say
    what it misses. ``at`` and ``weekday`` (0 is Monday) are in the portal's time zone;
    ``next_at`` is None while it is paused and where a change starts it.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="schedules")
    suite_slug = models.SlugField(max_length=80)
    scoring = models.CharField(max_length=16, choices=Scoring.choices, blank=True)
    languages = models.JSONField(default=list, blank=True)
    budget_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    budget_money = models.DecimalField(max_digits=16, decimal_places=6, null=True, blank=True)
    every = models.CharField(max_length=8, choices=Every.choices, default=Every.DAY)
    at = models.TimeField(null=True, blank=True)
    weekday = models.PositiveSmallIntegerField(null=True, blank=True)
    paused = models.BooleanField(default=False)
    next_at = models.DateTimeField(null=True, blank=True, db_index=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(every="change", at=None, weekday=None)
                | models.Q(every="day", at__isnull=False, weekday=None)
                | models.Q(every="week", at__isnull=False, weekday__lte=6),
                name="schedule_has_its_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.suite_slug}: {self.when}"

    def get_absolute_url(self) -> str:
        return reverse("evals:schedule_edit", args=[self.pk])

    @property
    def budget(self) -> Budget:
        return Budget(self.budget_tokens, self.budget_money)

    @property
    def currency(self) -> str:
        """That of each model's price: it has none of its own."""
        return gettext("in the currency of the price")

    @property
    def when(self) -> str:
        """What starts it, in the reader's language: "every day at 02:00"."""
        if self.at is None:
            return gettext("when the server or its model changes")
        time = time_format(self.at, "H:i")
        if self.weekday is None:
            return gettext("every day at %(time)s") % {"time": time}
        return gettext("every %(weekday)s at %(time)s") % {
            "weekday": WEEKDAYS[self.weekday],
            "time": time,
        }

    def due_after(self, moment: datetime) -> datetime | None:
        """Its first time later than ``moment``; None where it has none."""
        if self.paused or self.at is None:
            return None
        return next_due(moment, self.at, ZoneInfo(settings.TIME_ZONE), self.weekday)


class ScheduledModel(models.Model):
    """A model of a schedule.

    Of a schedule by change: ``known`` is what was served when it was last looked, "" before;
    ``changes`` counts how often that was not what had been measured.
    """

    schedule = models.ForeignKey(Schedule, models.CASCADE, related_name="models")
    candidate = models.ForeignKey(
        Candidate, models.SET_NULL, null=True, blank=True, related_name="schedules"
    )
    name = models.CharField(max_length=120, help_text="Of the model, should it be deleted.")
    known = models.CharField(max_length=200, blank=True)
    changes = models.PositiveIntegerField(default=0)
    looked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint("schedule", "candidate", name="model_once_per_schedule")
        ]

    def __str__(self) -> str:
        return self.name


class Outcome(models.TextChoices):
    """What came of a time at which a schedule was due."""

    STARTED = "started", _("started")
    SKIPPED = "skipped", _("skipped")
    REFUSED = "refused", _("could not start")


class Firing(models.Model):
    """What became of one model at one time at which its schedule was due.

    The constraint is what makes it once: the row and the run are written in one transaction.
    ``due`` is that time as ISO 8601 in UTC, or "change 3".
    """

    model = models.ForeignKey(ScheduledModel, models.CASCADE, related_name="firings")
    due = models.CharField(max_length=40)
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    message = models.TextField(blank=True, help_text="Why no run was started, for people.")
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="firings")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint("model", "due", name="fired_once")]

    def __str__(self) -> str:
        return f"{self.model} {self.due}"
