"""Whose data packs are believed, and packs that wait for a person's word."""

from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils import timezone

from evals.formats import packs
from portal.accounts.models import Project, User


class PackKey(models.Model):
    """The key that this installation signs packs with; there is one, or none yet."""

    only = models.BooleanField(default=True, unique=True)
    public_key = models.CharField(max_length=44, help_text="Base64 of 32 bytes.")
    secret_encrypted = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(only=True), name="one_pack_key")]

    def __str__(self) -> str:
        return self.fingerprint

    @property
    def fingerprint(self) -> str:
        return packs.fingerprint(packs.public_key(self.public_key))


class TrustedKey(models.Model):
    """The public key of another installation whose packs this project takes."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="trusted_keys")
    name = models.CharField(max_length=120)
    public_key = models.CharField(max_length=44, help_text="Base64 of 32 bytes.")
    added_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint("project", "public_key", name="trusted_key_once_per_project")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def fingerprint(self) -> str:
        return packs.fingerprint(packs.public_key(self.public_key))


class WaitingPack(models.Model):
    """An uploaded pack between its preview and a person's decision; in no backup."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="waiting_packs")
    name = models.CharField(max_length=200, help_text="Of the file.")
    content = models.BinaryField()
    by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("evals:pack", args=[self.pk])
