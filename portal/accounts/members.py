"""Roles of people in a project: change them, take them away."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from portal.accounts import audit
from portal.accounts.models import Invitation, Membership, Project, Role, User


class LastAdministrator(Exception):
    """Nobody could administer the project any more; the text says so."""

    def __init__(self) -> None:
        super().__init__(
            _("A project needs an administrator. Make somebody else one first, then try again.")
        )


@transaction.atomic
def change_role(membership: Membership, role: str, *, by: User | None) -> None:
    """Give ``membership`` another role. Raises LastAdministrator."""
    current = _locked(membership)
    if current is None or current.role == role:
        return
    if current.role == Role.ADMIN:
        _demand_another_admin(current)
    before, current.role = current.role, role
    current.save(update_fields=["role"])
    audit.record(
        current.project, "member.change_role", current.user, by=by, role=role, role_before=before
    )


@transaction.atomic
def remove(membership: Membership, *, by: User | None) -> None:
    """Take the person out of the project. Raises LastAdministrator.

    Their open password links of this project end too; keys for machines belong to the
    project and stay.
    """
    current = _locked(membership)
    if current is None:
        return
    if current.role == Role.ADMIN:
        _demand_another_admin(current)
    Invitation.objects.open().filter(project=current.project, user=current.user).delete()
    role = current.role
    current.delete()
    audit.record(current.project, "member.remove", current.user, by=by, role=role)


def _locked(membership: Membership) -> Membership | None:
    """``membership`` as it is now, while nobody else changes members of the project.

    The row of the project is the lock: of two administrators who remove each other, the
    second one waits here and then sees that nobody else is left.
    """
    Project.objects.select_for_update().get(pk=membership.project_id)
    return Membership.objects.select_related("project", "user").filter(pk=membership.pk).first()


def _demand_another_admin(membership: Membership) -> None:
    others = Membership.objects.filter(
        project=membership.project, role=Role.ADMIN, user__is_active=True
    ).exclude(pk=membership.pk)
    if not others.exists():
        raise LastAdministrator
