"""Make projects and name them."""

from __future__ import annotations

from django.db import transaction

from portal.accounts import audit
from portal.accounts.models import Membership, Project, Role, User


@transaction.atomic
def create(name: str, *, by: User) -> Project:
    """A new project with ``by`` as its first administrator."""
    project = Project.objects.create(name=name)
    Membership.objects.create(project=project, user=by, role=Role.ADMIN)
    audit.record(project, "project.create", project, by=by)
    return project


@transaction.atomic
def rename(project: Project, name: str, *, by: User | None) -> None:
    before, project.name = project.name, name
    if before == name:
        return
    project.save(update_fields=["name"])
    audit.record(project, "project.rename", project, by=by, name_before=before)
