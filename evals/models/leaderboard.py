"""Cached fits of leaderboards. Ranks are views: a row can be dropped at any time."""

from __future__ import annotations

from django.db import models

from evals.models.suites import Suite


class Standing(models.Model):
    """The board of one suite under one filter, valid while ``fingerprint`` is the results'."""

    suite = models.ForeignKey(Suite, models.CASCADE, related_name="standings")
    view = models.CharField(max_length=120)
    fingerprint = models.CharField(max_length=64)
    board = models.JSONField()
    computed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint("suite", "view", name="standing_once_per_view")]

    def __str__(self) -> str:
        return f"{self.suite} {self.view}"
