"""What is measured: suites of benchmarks over question sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

from django.db import connection, models
from django.db.models.functions import Substr
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from evals.compact import Rows
from evals.words import titled
from portal.accounts.models import Project

PIECE = 2**22  # bytes or characters of a question file read at once


class QuestionSet(models.Model):
    """The rows of one benchmark, kept by their checksum: equal rows are stored once."""

    sha256 = models.CharField(max_length=64, unique=True)
    count = models.PositiveIntegerField()
    lines = models.TextField(help_text=_("JSON Lines, one question a line"))
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.sha256[:12]

    def rows(self) -> Rows:
        """All questions, in a file of their own."""
        return Rows(self._each_line())

    def each(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, self._each_line())

    def some(self, places: range) -> list[dict[str, Any]]:
        """The questions at ``places``, without reading what comes after them."""
        return [json.loads(line) for line in islice(self._each_line(), places.start, places.stop)]

    def _each_line(self) -> Iterator[bytes]:
        # Not splitlines(): that cuts at U+2028 and U+0085 too, which JSON strings may hold.
        rest = b""
        for piece in self._pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from filter(bytes.strip, whole)
        if rest.strip():
            yield rest

    def _pieces(self) -> Iterator[bytes]:
        """``lines`` bit by bit, read so from the database where they are deferred."""
        if "lines" not in self.get_deferred_fields():
            yield self.lines.encode()
        elif connection.vendor == "sqlite":
            connection.ensure_connection()
            with connection.connection.blobopen(
                self._meta.db_table, "lines", self.pk, readonly=True
            ) as text:
                while piece := text.read(PIECE):
                    yield piece
        else:
            each = QuestionSet.objects.filter(pk=self.pk)
            for start in count(1, PIECE):
                piece = each.values_list(Substr("lines", start, PIECE), flat=True).get()
                if not piece:
                    return
                yield piece.encode()


class SuiteQuerySet(models.QuerySet["Suite"]):
    def in_project(self, project: Project) -> SuiteQuerySet:
        return self.filter(project=project)


class Suite(models.Model):
    """A versioned set of benchmarks. Once a run has used a version, it never changes."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="suites")
    slug = models.SlugField(max_length=80)
    version = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    licence = models.CharField(max_length=120, blank=True)
    tags = models.JSONField(default=list, help_text="Use cases that the suite speaks for.")
    sha256 = models.CharField(max_length=64)
    frozen_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SuiteQuerySet.as_manager()

    class Meta:
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint("project", "slug", "version", name="suite_version_once")
        ]

    def __str__(self) -> str:
        return f"{titled(self.name)} v{self.version}"

    def get_absolute_url(self) -> str:
        return reverse("evals:suite", args=[self.pk])


class Scoring(models.TextChoices):
    """How an answer is taken. Different ways never share a leaderboard column."""

    OPTIONS = "options", _("Choice by log-likelihood")
    LETTER = "letter", _("Letter by one request")
    GENERATE = "generate", _("Short generated answer")


class SuiteFrozen(Exception):
    """A run has used the suite version, so it cannot change; raise the version instead."""


class BenchmarkQuerySet(models.QuerySet["Benchmark"]):
    """Refuses to change or delete benchmarks of a suite version that a run has used."""

    def with_questions(self) -> BenchmarkQuerySet:
        """With questions and examples, but for their texts, which may be big."""
        found = self.select_related("questions", "examples")
        return found.defer("questions__lines", "examples__lines")

    def _refuse_frozen(self) -> None:
        if frozen := self.filter(suite__frozen_at__isnull=False).first():
            raise SuiteFrozen(f"{frozen.suite} is in use. Import it under a higher version.")

    def update(self, **changes: Any) -> int:
        self._refuse_frozen()
        return super().update(**changes)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._refuse_frozen()
        return super().delete()


class Benchmark(models.Model):
    """One column of a suite: an engine's task over one question set in one language."""

    suite = models.ForeignKey(Suite, models.CASCADE, related_name="benchmarks")
    position = models.PositiveSmallIntegerField()
    name = models.SlugField(max_length=120)
    title = models.CharField(max_length=160)
    family = models.SlugField(max_length=80)
    language = models.CharField(max_length=12)
    engine = models.CharField(max_length=40)
    scoring = models.CharField(max_length=16, choices=Scoring.choices)
    metric = models.CharField(max_length=60)
    questions = models.ForeignKey(QuestionSet, models.PROTECT, related_name="benchmarks")
    examples = models.ForeignKey(
        QuestionSet,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="Few-shot examples; without them examples are drawn from the questions.",
    )
    tags = models.JSONField(default=list, help_text="Use cases, such as knowledge or summarising.")
    options = models.JSONField(default=dict)
    task = models.JSONField(default=dict)
    cluster = models.CharField(
        max_length=80,
        blank=True,
        help_text="The field of a question that says which text it belongs to.",
    )
    source = models.JSONField(
        default=dict, help_text="Where the questions come from: repository, revision, licence."
    )

    objects = BenchmarkQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint("suite", "name", name="benchmark_once_per_suite")]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.suite.frozen_at:
            raise SuiteFrozen(f"{self.suite} is in use. Import it under a higher version.")
        super().save(*args, **kwargs)

    def __str__(self) -> str:
        return self.name
