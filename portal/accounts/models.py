"""People, the projects they work in, and what they may do there."""

from __future__ import annotations

import json

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
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
    """Administrators may what engineers may, and these what raters and viewers may."""

    ADMIN = "admin", _("Administrator")
    ENGINEER = "engineer", _("Engineer")
    RATER = "rater", _("Rater")
    VIEWER = "viewer", _("Viewer")


class ProjectQuerySet(models.QuerySet["Project"]):
    def of(self, user: User) -> ProjectQuerySet:
        """The projects that ``user`` is a member of, by name."""
        return self.filter(memberships__user=user).order_by("name")

    def administered_by(self, user: User) -> ProjectQuerySet:
        return self.filter(memberships__user=user, memberships__role=Role.ADMIN)


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


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> InvitationQuerySet:
        """Those that somebody can still accept."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())


class Invitation(models.Model):
    """A link that lets one person join ``project``, or set a new password (``user`` given).

    Only the hash of the secret in the link is kept: the link is shown once.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    email = models.EmailField(blank=True)
    user = models.ForeignKey(
        User, models.CASCADE, null=True, blank=True, related_name="password_links"
    )
    token_hash = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.project} · {self.role}"

    @property
    def state(self) -> str:
        """open, used, revoked or expired."""
        if self.accepted_at:
            return "used"
        if self.revoked_at:
            return "revoked"
        return "open" if self.expires_at > timezone.now() else "expired"


class Scope(models.TextChoices):
    """What a key for machines may do; a scope does not include another."""

    READ = "read", _("Read results")
    RUN = "run", _("Register models and start runs")
    INGEST = "ingest", _("Send traces")


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self) -> ApiKeyQuerySet:
        not_expired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        return self.filter(not_expired, revoked_at=None)


class ApiKey(models.Model):
    """A key for machines. Only its hash is kept: the key is shown once."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="api_keys")
    name = models.CharField(_("name"), max_length=120)
    prefix = models.CharField(max_length=16, help_text="How the key begins, to recognise it by.")
    key_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name

    def allows(self, scope: str) -> bool:
        return scope in self.scopes

    @property
    def state(self) -> str:
        """usable, revoked or expired."""
        if self.revoked_at:
            return "revoked"
        expired = self.expires_at and self.expires_at <= timezone.now()
        return "expired" if expired else "usable"


class IdempotencyKey(models.Model):
    """The answer to a request that carried an ``Idempotency-Key``, given again to its repeats.

    ``status`` None: the first request is still being worked on.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    request_hash = models.CharField(max_length=64, help_text="Of method, path and body.")
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("project", "key", name="idempotency_key_once_per_project")
        ]

    def __str__(self) -> str:
        return self.key


class AuditEntry(models.Model):
    """Who did what to which object, in words that outlive both. Never changed, never a secret."""

    project = models.ForeignKey(Project, models.SET_NULL, null=True, related_name="audit_entries")
    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    actor_name = models.CharField(max_length=200, help_text="Person or key, as it was called.")
    action = models.CharField(max_length=60, help_text="noun.verb, such as candidate.register")
    target_type = models.CharField(max_length=60, blank=True)
    target_id = models.CharField(max_length=40, blank=True)
    target_name = models.CharField(max_length=300, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.target_name}"

    def told(self) -> list[tuple[str, str]]:
        """The details as text: lists with commas, what is not there as a dash."""
        found = []
        for name, value in self.details.items():
            if isinstance(value, list):
                value = ", ".join(map(str, value))
            elif isinstance(value, dict | bool):
                value = json.dumps(value, ensure_ascii=False)
            found.append((name, "–" if value in (None, "") else str(value)))
        return found
