"""Runs of the real EuroEval, which measures by itself and hands over its result file."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext

from evals.models.candidates import Candidate
from evals.models.imports import Import
from portal.accounts.models import Project
from workers.models import Job, JobQuerySet


class EuroEvalRunQuerySet(JobQuerySet):
    def for_list(self) -> EuroEvalRunQuerySet:
        return self.select_related("candidate__project")


class EuroEvalRun(Job):
    """EuroEval over ``datasets`` (its own names), one process after the other.

    ``measured`` are those whose results are kept: a resumed job skips them. ``failed`` are
    those that ended without a result. ``log`` holds the end of what EuroEval wrote.
    """

    task_name: ClassVar[str] = "evals.run_euroeval"
    project_path: ClassVar[str] = "candidate__project"

    candidate = models.ForeignKey(Candidate, models.CASCADE, related_name="euroeval_runs")
    endpoint_revision = models.PositiveIntegerField()
    datasets = models.JSONField(default=list)
    test_split = models.BooleanField(default=True)
    measured = models.JSONField(default=list)
    failed = models.JSONField(default=list)
    log = models.TextField(blank=True)
    imports = models.ManyToManyField(Import, related_name="+")

    objects = EuroEvalRunQuerySet.as_manager()

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return gettext("EuroEval on %(name)s") % {"name": self.candidate.name}

    @property
    def project(self) -> Project:
        return self.candidate.project

    def get_absolute_url(self) -> str:
        return reverse("evals:euroeval", args=[self.pk])
