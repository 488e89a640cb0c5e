"""Results that others measured: files as they came, and the numbers in them."""

from __future__ import annotations

import gzip
import io

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from evals.models.suites import Benchmark
from portal.accounts.models import Project


class Kind(models.TextChoices):
    """What the files are."""

    LM_EVAL = "lm_eval", _("lm-eval")
    EUROEVAL = "euroeval", _("EuroEval")
    BOARD = "board", _("Board as CSV")


class ImportQuerySet(models.QuerySet["Import"]):
    def in_project(self, project: Project) -> ImportQuerySet:
        return self.filter(project=project)

    def confirmed(self) -> ImportQuerySet:
        return self.filter(confirmed_at__isnull=False)


class Import(models.Model):
    """Files that somebody brought in; a preview until ``confirmed_at`` is set.

    ``roles`` says for a board what each of its columns is. ``created_by`` brought the files,
    ``imported_by`` names who confirmed them as the audit log does: a person, a key, a command.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="imports")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    sha256 = models.CharField(max_length=64)
    source = models.CharField(max_length=200, blank=True)
    url = models.CharField(max_length=500, blank=True)
    dated = models.DateField(null=True, blank=True)
    roles = models.JSONField(default=dict)
    faults = models.PositiveIntegerField(default=0, help_text="Places that could not be used.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(null=True)
    imported_by = models.CharField(max_length=300, blank=True)

    objects = ImportQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                "project", "sha256", name="import_confirmed_once",
                condition=models.Q(confirmed_at__isnull=False),
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        """Its source, or its file: of several the one that holds the results."""
        if self.source:
            return self.source
        names = [file.name for file in self.files.all()]
        name = next((each for each in names if each.startswith("results_")), "".join(names[:1]))
        if len(names) < 2:
            return name
        return gettext("%(name)s and %(n)s more") % {"name": name, "n": len(names) - 1}

    def get_absolute_url(self) -> str:
        return reverse("evals:import", args=[self.pk])


class ImportedFile(models.Model):
    """One file, byte for byte."""

    source = models.ForeignKey(Import, models.CASCADE, related_name="files")
    name = models.CharField(max_length=200)
    packed = models.BinaryField(help_text="gzip")
    size = models.PositiveBigIntegerField(help_text="Bytes, unpacked.")

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name

    def open(self) -> gzip.GzipFile:
        return gzip.GzipFile(fileobj=io.BytesIO(bytes(self.packed)))


class ExternalResult(models.Model):
    """One number that others measured, in the scale of its file; never among own results.

    ``spread`` or ``low`` and ``high`` are what ``spread_kind`` says (evals.words.SPREADS).
    """

    source = models.ForeignKey(Import, models.CASCADE, related_name="results")
    line = models.PositiveIntegerField()
    model = models.CharField(max_length=300)
    benchmark = models.CharField(max_length=300)
    task = models.CharField(max_length=300, blank=True)
    languages = models.JSONField(default=list)
    metric = models.CharField(max_length=80, blank=True)
    value = models.FloatField()
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    spread = models.FloatField(null=True)
    spread_kind = models.CharField(max_length=16, blank=True)
    samples = models.PositiveIntegerField(null=True)
    failed = models.PositiveIntegerField(null=True)
    few_shot = models.BooleanField(null=True)
    split = models.CharField(max_length=16, blank=True)
    engine = models.CharField(max_length=620, blank=True)
    measured_at = models.CharField(max_length=40, blank=True)
    replicates = models.JSONField(
        default=list, help_text="The value in each resampling, where the file tells it."
    )

    class Meta:
        ordering = ["source", "pk"]
        indexes = [models.Index(fields=["source", "model"], name="external_by_model")]

    def __str__(self) -> str:
        return f"{self.model} {self.benchmark} {self.metric}"


class ImportedColumn(models.Model):
    """Whether an imported result of lm-eval measures what a benchmark does, and its score then.

    ``difference`` is what is not the same (words.DIFFERENCES), at question ``doc_id`` where it
    is one of a question; "" where all is the same: then the result stands in the column.
    """

    source = models.ForeignKey(Import, models.CASCADE, related_name="columns")
    benchmark = models.ForeignKey(Benchmark, models.CASCADE, related_name="imported")
    difference = models.CharField(max_length=16, blank=True)
    doc_id = models.PositiveIntegerField(null=True)
    model = models.CharField(max_length=300)
    value = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    method = models.CharField(max_length=60, blank=True)
    asked = models.PositiveIntegerField(null=True)
    answered = models.PositiveIntegerField(null=True)
    valid = models.BooleanField(default=False)

    class Meta:
        ordering = ["source", "benchmark"]
        constraints = [models.UniqueConstraint("source", "benchmark", name="imported_column_once")]

    def __str__(self) -> str:
        return f"{self.model} {self.benchmark}"
