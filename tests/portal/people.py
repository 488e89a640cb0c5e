"""People of the tests: each with a role in one project."""

from __future__ import annotations

from django.test import Client

from portal.accounts.models import Membership, Project, Role, User


def make_person(
    name: str, role: str | None = Role.ENGINEER, project: Project | None = None
) -> User:
    """A person who may sign in as ``name`` / ``name``; ``role=None``: a member nowhere."""
    user = User.objects.create_user(username=name, password=name)
    if role:
        project = project or Project.objects.get_or_create(name="Claims assistant")[0]
        Membership.objects.create(project=project, user=user, role=role)
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
