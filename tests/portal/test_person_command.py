"""``manage.py person`` makes people and new passwords from a shell."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from portal.accounts.models import AuditEntry, Membership, Project, User

pytestmark = pytest.mark.django_db


def person(*words: str) -> str:
    """The password that the command shows."""
    out = StringIO()
    call_command("person", *words, stdout=out)
    return out.getvalue().split()[-1]


def test_it_adds_a_person_who_can_sign_in(project: Project) -> None:
    password = person("add", "nora", "--role", "rater", "--email", "nora@example.org")
    nora = User.objects.get(username="nora")
    assert nora.check_password(password) and not nora.is_superuser
    assert Membership.objects.get(user=nora, project=project).role == "rater"
    assert AuditEntry.objects.get().actor_name == "command"
    with pytest.raises(CommandError, match="already"):
        person("add", "Nora")
    with pytest.raises(CommandError, match="no project"):
        person("add", "otto", "--project", "Nowhere")


def test_it_gives_a_new_password_and_ends_sessions(client: Client, erik: User) -> None:
    client.force_login(erik)
    password = person("password", "erik")
    erik.refresh_from_db()
    assert erik.check_password(password) and client.get("/").status_code == 302
    assert password not in str(list(AuditEntry.objects.values()))
    with pytest.raises(CommandError, match="no person"):
        person("password", "nobody")
