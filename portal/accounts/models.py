"""People, the projects they work in, and what they may do there."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class Theme(models.TextChoices):
    SYSTEM = "", _("System")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class User(AbstractUser):
    """A person who signs in. Language and theme follow them to every browser."""

    language = models.CharField(max_length=8, blank=True)
    theme = models.CharField(max_length=8, blank=True, choices=Theme.choices)


class Role(models.TextChoices):
    """From most to least: each role may do what the ones below it may."""

    ADMIN = "admin", _("Administrator")
    ENGINEER = "engineer", _("Engineer")
    RATER = "rater", _("Rater")
    VIEWER = "viewer", _("Viewer")


class ProjectQuerySet(models.QuerySet["Project"]):
    def of(self, user: User) -> ProjectQuerySet:
        """The projects that ``user`` is a member of, by name."""
        return self.filter(memberships__user=user).order_by("name")


class Project(models.Model):
    """Everything in the portal belongs to one project; projects never see each other."""

    name = models.CharField(max_length=120, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [models.UniqueConstraint("project", "user", name="one_role_per_project")]

    def __str__(self) -> str:
        return f"{self.user} · {self.project} · {self.role}"
