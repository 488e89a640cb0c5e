"""Links that let somebody join a project or set a new password; each works once."""

from __future__ import annotations

import secrets
from datetime import timedelta

from axes.models import AccessAttempt
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts import audit
from portal.accounts.keys import digest
from portal.accounts.models import Invitation, Membership, Project, User

LIFETIME = timedelta(days=7)


class CannotInvite(Exception):
    """The link is not given out; the text says why and what to do."""


class NotOpen(Exception):
    """The invitation was used, revoked or has expired since it was looked at."""


@transaction.atomic
def create(
    project: Project, role: str, *, email: str = "", by: User | None
) -> tuple[Invitation, str]:
    """An invitation and the secret of its link, which is kept nowhere."""
    invitation, token = _create(project, role=role, email=email, created_by=by)
    audit.record(project, "invitation.create", invitation, by=by, role=role, email=email)
    return invitation, token


@transaction.atomic
def password_link(
    project: Project, person: User, *, by: User | None, anybody: bool = False
) -> tuple[Invitation, str]:
    """The same for a member who forgot the password; earlier links of theirs end.

    Raises CannotInvite when ``by`` would get more than they administer: the account opens
    every project the person is in. ``anybody`` is for the shell.
    """
    if not anybody and not _may_reset(person, by):
        raise CannotInvite(
            _(
                "%(name)s may do things that you do not administer, in another project or for the "
                "whole portal. Whoever runs the portal can help: manage.py person password."
            )
            % {"name": person.get_username()}
        )
    now = timezone.now()
    Invitation.objects.open().filter(user=person).update(revoked_at=now)
    invitation, token = _create(project, user=person, created_by=by)
    audit.record(project, "person.reset_link", person, by=by)
    return invitation, token


def find(token: str) -> Invitation | None:
    """The invitation of this link, open or not: the page says what became of it."""
    return Invitation.objects.filter(token_hash=digest(token)).first()


@transaction.atomic
def join(invitation: Invitation, person: User) -> Membership:
    """Use ``invitation`` up and make ``person`` a member. Raises NotOpen.

    Of two who accept at the same time one conditional update lets exactly one in.
    """
    _use(invitation, person)
    membership, _created = Membership.objects.get_or_create(
        project=invitation.project, user=person, defaults={"role": invitation.role}
    )
    audit.record(invitation.project, "member.join", person, by=person, role=membership.role)
    return membership


@transaction.atomic
def set_password(invitation: Invitation, password: str) -> User:
    """Use the password link up; every session of the person ends, every lock. Raises NotOpen."""
    person = invitation.user
    _use(invitation, person)
    person.set_password(password)
    person.save(update_fields=["password"])
    AccessAttempt.objects.filter(username=person.get_username()).delete()
    audit.record(invitation.project, "person.reset_password", person, by=person)
    return person


@transaction.atomic
def revoke(invitation: Invitation, *, by: User | None) -> bool:
    """The link opens nothing from now on; False when it did not any more."""
    rows = Invitation.objects.open().filter(pk=invitation.pk)
    if not rows.update(revoked_at=timezone.now()):
        return False
    audit.record(invitation.project, "invitation.revoke", invitation, by=by)
    return True


def _create(project: Project, **values: object) -> tuple[Invitation, str]:
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        project=project,
        token_hash=digest(token),
        expires_at=timezone.now() + LIFETIME,
        **values,
    )
    return invitation, token


def _use(invitation: Invitation, person: User) -> None:
    rows = Invitation.objects.open().filter(pk=invitation.pk)
    if not rows.update(accepted_at=timezone.now(), accepted_by=person):
        raise NotOpen


def _may_reset(person: User, by: User | None) -> bool:
    if by is None:
        return False
    if by.is_superuser or by == person:
        return True
    foreign = Project.objects.of(person).exclude(pk__in=Project.objects.administered_by(by))
    return not person.is_superuser and not foreign.exists()
