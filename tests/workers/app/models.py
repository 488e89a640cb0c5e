from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F

from portal.accounts.models import Project
from workers.models import Job


class Errand(Job):
    """Makes ``items`` stops, ``pause`` seconds each; ``mode`` says how it goes wrong."""

    task_name: ClassVar[str] = "errands.run"

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    items = models.PositiveIntegerField(default=1)
    pause = models.FloatField(default=0.0)
    mode = models.CharField(max_length=20, blank=True)
    receipts = models.PositiveIntegerField(default=0)

    class Meta:
        app_label = "errands"

    @property
    def title(self) -> str:
        return f"Errand {self.pk}"

    def get_absolute_url(self) -> str:
        return f"/errands/{self.pk}/"

    def settled(self) -> None:
        Errand.objects.filter(pk=self.pk).update(receipts=F("receipts") + 1)


class Stop(models.Model):
    errand = models.ForeignKey(Errand, models.CASCADE, related_name="stops")
    index = models.PositiveIntegerField()

    class Meta:
        app_label = "errands"
        constraints = [models.UniqueConstraint("errand", "index", name="one_stop_per_index")]


class Tour(Job):
    """A group: done when its only leg is."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    leg = models.ForeignKey(Errand, models.CASCADE, related_name="+")

    class Meta:
        app_label = "errands"

    @property
    def title(self) -> str:
        return "Tour"

    def get_absolute_url(self) -> str:
        return "/tour/"

    def children(self) -> list[Errand]:
        return list(Errand.objects.filter(pk=self.leg_id))
