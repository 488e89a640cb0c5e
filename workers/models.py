"""A job: anything longer than a request. The row is the truth, messages only poke a worker."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portal.accounts.models import Project

MAX_ATTEMPTS = 5  # a job whose worker vanished this often is given up


class JobState(models.TextChoices):
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")
    STOPPED = "stopped", _("Stopped")


ACTIVE = (JobState.QUEUED, JobState.RUNNING)
UNFINISHED = (JobState.FAILED, JobState.CANCELLED, JobState.STOPPED)  # ended before its end
FINISHED = (JobState.DONE, *UNFINISHED)


class JobQuerySet(models.QuerySet["Job"]):
    def of(self, project: Project) -> Self:
        """The jobs that belong to ``project``."""
        return self.filter(**{self.model.project_path: project})

    def for_list(self) -> Self:
        """With all that title and progress need, so that a list costs one query."""
        return self

    def active(self) -> Self:
        return self.filter(state__in=ACTIVE)

    def finished(self) -> Self:
        return self.filter(state__in=FINISHED)

    def abandoned(self, now: datetime) -> Self:
        """Running by the row, but the lease of the worker has run out."""
        return self.filter(state=JobState.RUNNING, lease_until__lt=now)

    def unattended(self, now: datetime) -> Self:
        """Active, and no living worker holds it: waiting or abandoned."""
        return self.filter(
            Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, lease_until__lt=now)
        )

    def claimable(self, now: datetime) -> Self:
        """What a worker may take at ``now``."""
        return self.unattended(now).filter(
            Q(state=JobState.QUEUED) | Q(attempts__lt=MAX_ATTEMPTS), cancel_requested=False
        )


class Job(models.Model):
    """Progress, lease and outcome of one piece of work.

    A subclass gives ``task_name``, ``title``, ``get_absolute_url`` and a
    ``project`` (field or property; ``project_path`` is the lookup of it). A job
    without ``task_name`` is a group: no worker claims it, its ``children`` run
    and their ``settled`` hook settles it.
    """

    task_name: ClassVar[str] = ""
    project_path: ClassVar[str] = "project"
    in_activity: ClassVar[bool] = True  # False: shown only as a part of another job

    state = models.CharField(
        max_length=16, choices=JobState.choices, default=JobState.QUEUED, db_index=True
    )
    total = models.PositiveIntegerField(null=True, blank=True)
    done = models.PositiveIntegerField(default=0)
    done_before = models.PositiveIntegerField(default=0, help_text="Done when this attempt began.")
    errors = models.PositiveIntegerField(default=0)
    message = models.TextField(blank=True, help_text="Why it failed, for people.")
    cancel_requested = models.BooleanField(default=False)
    owner = models.CharField(max_length=32, blank=True, help_text="Token of the lease.")
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Times a worker vanished.")
    version = models.PositiveIntegerField(default=0, help_text="Grows with every visible change.")
    settled_pending = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField(default=timezone.now)
    poked_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True, help_text="Of the latest attempt.")
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        abstract = True

    if TYPE_CHECKING:
        project: Project

    @property
    def title(self) -> str:
        """What a person calls this job."""
        raise NotImplementedError

    def get_absolute_url(self) -> str:
        raise NotImplementedError

    @property
    def label(self) -> str:
        """The table in addresses: ``evals.run``."""
        return self._meta.label_lower

    def children(self) -> Iterable[Job]:
        """The jobs a group is made of."""
        return ()

    def count_up(self) -> None:
        """Take the counters of a group from what ``for_list`` brought along."""

    def settled(self) -> None:
        """Called after the job has ended in whatever way and that is committed.

        At least once: after a crash the sweeper calls it again, so it must bear
        repetition.
        """

    @property
    def explanation(self) -> str:
        """``message`` as pages show it; its first line is translated there."""
        return self.message

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    @property
    def seconds(self) -> float | None:
        """How long the latest attempt has run, or ran."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    @property
    def rate(self) -> float | None:
        """Items per second in the latest attempt; None before the first."""
        seconds, fresh = self.seconds, self.done - self.done_before
        return fresh / seconds if seconds and fresh > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the last item at the present rate; None when unknown."""
        if self.state != JobState.RUNNING or self.total is None or not self.rate:
            return None
        return max(0, self.total - self.done) / self.rate

    @property
    def percent(self) -> int | None:
        """Whole percent done, 0 to 100; None while the total is unknown."""
        if not self.total:
            return None
        return min(100, 100 * self.done // self.total)


def job_models() -> list[type[Job]]:
    """Every table of jobs in the installed apps."""
    return [model for model in apps.get_models() if issubclass(model, Job)]
