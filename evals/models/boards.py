"""Boards that people put together and keep: suites, weights, languages, use cases."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from evals.models.suites import Suite
from portal.accounts.models import Project


class SavedBoard(models.Model):
    """A leaderboard over chosen benchmarks of one or more suite versions.

    ``weights`` by benchmark id as text, 1 where none is named; 0 leaves the benchmark out.
    ``share_digest`` is that of the secret in the public link, "" while there is none. ``fit``
    is what was computed while ``fingerprint`` was that of the results.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="boards")
    slug = models.SlugField(_("address"), max_length=80, validators=[
        RegexValidator("^(?!new$)", _("This word is taken."))
    ])  # fmt: skip
    name = models.CharField(_("name"), max_length=120)
    suites = models.ManyToManyField(Suite, related_name="boards", verbose_name=_("suites"))
    languages = models.JSONField(default=list, blank=True)
    tags = models.JSONField(default=list, blank=True)
    weights = models.JSONField(default=dict, blank=True)
    correction = models.CharField(_("correction of ranks"), max_length=8, default="holm")
    is_default = models.BooleanField(default=False)
    share_digest = models.CharField(max_length=64, blank=True, editable=False)
    fit = models.JSONField(default=dict, editable=False)
    fingerprint = models.CharField(max_length=64, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                "project", "slug", name="board_once_per_project",
                violation_error_message=_("A board of this address exists already."),
            ),
            models.UniqueConstraint(
                fields=["project"], condition=models.Q(is_default=True), name="one_default_board"
            ),
            models.UniqueConstraint(
                fields=["share_digest"], condition=~models.Q(share_digest=""),
                name="board_share_once",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("evals:saved_board", args=[self.slug])
