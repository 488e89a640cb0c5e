"""What people kept from the playground."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from evals.models.candidates import Candidate
from portal.accounts.models import Project


class KeptQuestion(models.Model):
    """A prompt with an answer worth keeping: raw material of own question sets."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="kept_questions")
    messages = models.JSONField(help_text="The chat messages that were sent.")
    answer = models.TextField()
    candidate = models.ForeignKey(Candidate, models.SET_NULL, null=True, related_name="+")
    served_model = models.CharField(max_length=300, blank=True)
    note = models.TextField(blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.prompt[:80]

    @property
    def prompt(self) -> str:
        """The last thing that was asked."""
        return str(self.messages[-1].get("content", "")) if self.messages else ""

    @property
    def system(self) -> str:
        """The system prompt, "" without one."""
        return "\n".join(str(m.get("content", "")) for m in self.messages if m["role"] == "system")
