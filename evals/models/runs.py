"""What was measured: runs, their parts, every sample and the scores made of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone

from evals.costs import Budget
from evals.models.candidates import Candidate, Price
from evals.models.suites import Benchmark, Suite
from evals.words import stopped, titled
from portal.accounts.models import Project
from workers.models import Job, JobQuerySet, JobState


class RunQuerySet(JobQuerySet):
    def in_project(self, project: Project) -> RunQuerySet:
        return self.filter(candidate__project=project)

    def for_list(self) -> RunQuerySet:
        """With names and the progress of the parts: one query for a whole page.

        Sums as subqueries: they are taken of the rows on the page, not of the whole table.
        """

        def total(name: str) -> models.Subquery:
            mine = Part.objects.filter(run=models.OuterRef("pk")).order_by().values("run")
            return models.Subquery(mine.annotate(sum=models.Sum(name)).values("sum"))

        return self.select_related("candidate__endpoint", "suite", "price").annotate(
            parts_done=total("done"),
            parts_total=total("total"),
            parts_errors=total("errors"),
            parts_version=total("version"),
        )


class Run(Job):
    """One candidate measured on one suite version.

    The constraint is the identity of a result: the same candidate, endpoint revision,
    suite version and options are one run, resumed rather than asked twice. ``repeat``
    counts deliberate repetitions.
    """

    task_name: ClassVar[str] = ""  # its parts are claimed, never the run itself
    project_path: ClassVar[str] = "candidate__project"

    candidate = models.ForeignKey(Candidate, models.CASCADE, related_name="runs")
    suite = models.ForeignKey(Suite, models.PROTECT, related_name="runs")
    endpoint_revision = models.PositiveIntegerField()
    options = models.JSONField(default=dict)
    options_hash = models.CharField(max_length=16)
    repeat = models.PositiveSmallIntegerField(default=0)
    server = models.CharField(max_length=200, blank=True)
    software = models.JSONField(default=dict)
    price = models.ForeignKey(
        Price, models.RESTRICT, null=True, blank=True, help_text="In force when the run started."
    )
    budget_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    budget_money = models.DecimalField(
        max_digits=16, decimal_places=6, null=True, blank=True, help_text="In the price's currency."
    )
    stopped_by = models.CharField(
        max_length=16, blank=True, help_text="Why it stopped before its end (words.STOPPED)."
    )
    worked_seconds = models.FloatField(
        default=0.0, help_text="Wall time of all finished attempts; the present one is not in it."
    )

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                "candidate",
                "suite",
                "endpoint_revision",
                "options_hash",
                "repeat",
                name="one_result_per_identity",
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return f"{self.suite} · {self.candidate}"

    @property
    def budget(self) -> Budget:
        return Budget(self.budget_tokens, self.budget_money)

    @property
    def currency(self) -> str:
        """That of the price it pays; "" without one."""
        return self.price.currency if self.price else ""

    @property
    def explanation(self) -> str:
        if self.state == JobState.STOPPED and self.stopped_by:
            return stopped(self.stopped_by, self.budget, self.currency)
        return self.message

    @property
    def languages(self) -> list[str]:
        """The codes that it is limited to; [] is all of the suite."""
        return self.options.get("languages", [])

    @property
    def project(self) -> Project:
        return self.candidate.project

    def get_absolute_url(self) -> str:
        return reverse("evals:run", args=[self.pk])

    def children(self) -> list[Part]:
        return list(self.parts.all())

    def count_up(self, parts: list[Part] | None = None) -> None:
        """Take the counters from ``parts`` (or from the annotations of ``for_list``)."""
        if parts is None:
            self.done = self.parts_done or 0  # type: ignore[attr-defined]
            self.total = self.parts_total  # type: ignore[attr-defined]
            self.errors = self.parts_errors or 0  # type: ignore[attr-defined]
            self.version = self.version + (self.parts_version or 0)  # type: ignore[attr-defined]
            return
        self.done = sum(part.done for part in parts)
        self.total = sum(part.total or 0 for part in parts)
        self.errors = sum(part.errors for part in parts)
        self.version = self.version + sum(part.version for part in parts)
        self.cancel_requested = any(part.cancel_requested for part in parts if not part.is_finished)

    @transaction.atomic
    def settle(self) -> None:
        """Follow the parts: running while one is active, then the worst of their ends.

        The lock makes parts that end together take turns, so the last one sees all ends.
        """
        before = Run.objects.select_for_update().only("state", "started_at").get(pk=self.pk)
        states = set(self.parts.values_list("state", flat=True))
        if states & {JobState.QUEUED, JobState.RUNNING}:
            state = JobState.QUEUED if states == {JobState.QUEUED} else JobState.RUNNING
        else:
            order = (JobState.CANCELLED, JobState.FAILED, JobState.STOPPED, JobState.DONE)
            state = next(state for state in order if state in states)
        changes: dict[str, Any] = {"state": state}
        if state not in (JobState.QUEUED, JobState.RUNNING):
            last = self.parts.aggregate(last=models.Max("finished_at"))["last"] or timezone.now()
            changes["finished_at"] = last
            if not before.is_finished:
                changes["worked_seconds"] = models.F("worked_seconds") + before.attempt(until=last)
            ended = self.parts.filter(state__in=(JobState.FAILED, JobState.STOPPED))
            worst = ended.order_by("state", "pk").first()  # "failed" comes before "stopped"
            changes["message"] = worst.message if worst else ""
        else:
            changes["finished_at"] = None
            if before.started_at is None and state == JobState.RUNNING:
                changes["started_at"] = timezone.now()
        Run.objects.filter(pk=self.pk).update(version=models.F("version") + 1, **changes)

    @transaction.atomic
    def stop_clock(self) -> None:
        """End the present attempt, so that the next one starts its own time."""
        before = Run.objects.select_for_update().only("state", "started_at").get(pk=self.pk)
        spent = 0.0 if before.is_finished else before.attempt(until=timezone.now())
        Run.objects.filter(pk=self.pk).update(
            started_at=None, worked_seconds=models.F("worked_seconds") + spent
        )

    def attempt(self, until: datetime) -> float:
        """Seconds of the latest attempt; 0 before it has begun."""
        return max(0.0, (until - self.started_at).total_seconds()) if self.started_at else 0.0

    @property
    def wall_seconds(self) -> float:
        """How long all attempts worked, the present one included."""
        running = 0.0 if self.is_finished else self.attempt(until=timezone.now())
        return self.worked_seconds + running


class Part(Job):
    """One benchmark of a run: the unit that workers claim."""

    task_name: ClassVar[str] = "evals.execute_part"
    project_path: ClassVar[str] = "run__candidate__project"
    in_activity: ClassVar[bool] = False

    run = models.ForeignKey(Run, models.CASCADE, related_name="parts")
    benchmark = models.ForeignKey(Benchmark, models.PROTECT, related_name="parts")
    values = models.JSONField(
        null=True,
        help_text="The primary metric by doc_id, null where there is no answer; set when done.",
    )
    contributions = models.JSONField(
        null=True,
        help_text="Numbers by doc_id whose mean is the score, where that is no mean of values.",
    )
    replicates = models.JSONField(
        default=list,
        help_text="The score on ten resamples of the questions, where rank scores need it.",
    )
    # Sums over the answered samples, kept with every batch stored, so that pages need not
    # read the samples. A token count is null while no sample told one: unknown is not zero.
    prompt_tokens = models.PositiveBigIntegerField(null=True)
    completion_tokens = models.PositiveBigIntegerField(null=True)
    counted = models.PositiveIntegerField(default=0, help_text="Samples with both token counts.")
    value_sum = models.FloatField(default=0.0)
    latency_sum_ms = models.FloatField(default=0.0)
    slots = models.PositiveSmallIntegerField(
        null=True, help_text="Of the endpoint's limit; null while it does not ask."
    )
    at_once = models.PositiveSmallIntegerField(
        null=True, help_text="Requests to the endpoint at once, of all that asked it, at last."
    )
    waiting_since = models.DateTimeField(null=True, help_text="Set while the server is away.")
    waiting_for = models.TextField(blank=True, help_text="What the absent server's address says.")

    class Meta:
        ordering = ["benchmark__position"]
        constraints = [models.UniqueConstraint("run", "benchmark", name="part_once_per_run")]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return f"{self.run.title} · {titled(self.benchmark.title)}"

    @property
    def project(self) -> Project:
        return self.run.project

    def get_absolute_url(self) -> str:
        return self.run.get_absolute_url()

    @property
    def stored(self) -> int:
        """How many samples there are, answered or failed."""
        return self.done + self.errors

    @property
    def mean(self) -> float | None:
        """The mean of the answers so far; None without any."""
        return self.value_sum / self.done if self.done else None

    @property
    def latency_ms(self) -> float | None:
        """Mean time of an answer."""
        return self.latency_sum_ms / self.done if self.done else None

    @property
    def waits(self) -> bool:
        """Whether it waits for a server that is away; a killed worker may leave its mark."""
        return self.state == JobState.RUNNING and self.waiting_since is not None

    def settled(self) -> None:
        self.run.settle()


class SampleQuerySet(models.QuerySet["Sample"]):
    def answered(self) -> SampleQuerySet:
        return self.filter(error="")


class Sample(models.Model):
    """One question put to a candidate: what was sent, what came back, how it scored.

    ``error`` is set when the server failed; such a sample is *not answered*, never wrong.
    Log-likelihoods and margin are in nats.
    """

    part = models.ForeignKey(Part, models.CASCADE, related_name="samples")
    doc_id = models.PositiveIntegerField()
    prompt = models.TextField()
    target = models.TextField()
    answer = models.TextField(blank=True)
    correct = models.BooleanField(null=True)
    value = models.FloatField(null=True)
    metrics = models.JSONField(default=dict)
    counts = models.JSONField(
        default=list, help_text="What it adds to a metric of the whole set (stats.corpus)."
    )
    choices = models.JSONField(default=list)
    loglikelihoods = models.JSONField(default=list)
    p_gold = models.FloatField(null=True)
    margin = models.FloatField(null=True)
    nll = models.FloatField(null=True)
    brier = models.FloatField(null=True)
    prompt_tokens = models.PositiveIntegerField(null=True)
    completion_tokens = models.PositiveIntegerField(null=True)
    latency_ms = models.FloatField(null=True)
    attempts = models.PositiveSmallIntegerField(default=1)
    raw = models.TextField(blank=True)
    finish_reason = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True)
    error_kind = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SampleQuerySet.as_manager()

    class Meta:
        ordering = ["doc_id"]
        constraints = [models.UniqueConstraint("part", "doc_id", name="sample_once_per_part")]

    def __str__(self) -> str:
        return f"{self.part_id}/{self.doc_id}"

    def get_absolute_url(self) -> str:
        return reverse("evals:sample", args=[self.part.run_id, self.pk])


class Score(models.Model):
    """One metric of one part, with its interval. Below 95 % coverage it is not valid."""

    part = models.ForeignKey(Part, models.CASCADE, related_name="scores")
    metric = models.CharField(max_length=80)
    value = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    method = models.CharField(max_length=60, blank=True)
    asked = models.PositiveIntegerField()
    answered = models.PositiveIntegerField()
    valid = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint("part", "metric", name="score_once_per_metric")]

    def __str__(self) -> str:
        return f"{self.metric} {self.value}"
