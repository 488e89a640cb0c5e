"""Make people and the project they start in."""

from __future__ import annotations

import secrets

from axes.models import AccessAttempt
from django.db import transaction

from portal.accounts import audit
from portal.accounts.models import Membership, Project, Role, User


def default_project() -> Project:
    """The oldest project; made when there is none."""
    project = Project.objects.order_by("pk").first()
    return project or Project.objects.get_or_create(name="First project")[0]


@transaction.atomic
def create_admin(username: str) -> str:
    """A new administrator of the default project; returns the random password.

    Only its hash is kept, so this is the one time to show it. Raises
    IntegrityError when the name is taken.
    """
    password = secrets.token_urlsafe(12)
    user = User.objects.create_superuser(username=username, password=password)
    Membership.objects.create(project=default_project(), user=user, role=Role.ADMIN)
    return password


@transaction.atomic
def create(username: str, project: Project, role: str, *, email: str = "") -> str:
    """A new member of ``project``; returns the random password, shown this one time.

    Raises IntegrityError when the name is taken.
    """
    password = secrets.token_urlsafe(12)
    user = User.objects.create_user(username=username, email=email, password=password)
    Membership.objects.create(project=project, user=user, role=role)
    audit.record(project, "person.create", user, role=role)
    return password


@transaction.atomic
def reset_password(user: User) -> str:
    """A new random password; every session of ``user`` ends and locks are lifted."""
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    AccessAttempt.objects.filter(username=user.get_username()).delete()
    for project in Project.objects.of(user):
        audit.record(project, "person.reset_password", user)
    return password
