"""Make people and the project they start in."""

from __future__ import annotations

import secrets

from django.db import transaction

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
