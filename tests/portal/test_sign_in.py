"""Guessing of passwords is slowed down, and sign-ins are written down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.conf import settings
from django.test import Client
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone

from portal.accounts.models import AuditEntry, Project, User

pytestmark = pytest.mark.django_db


def sign_in(name: str, password: str, address: str = "192.0.2.1") -> Any:
    form = {"username": name, "password": password}
    return Client(REMOTE_ADDR=address).post(reverse("accounts:login"), form)


def test_five_wrong_passwords_shut_the_door_for_a_while(erik: User, alice: User) -> None:
    right = "erik-has-a-long-password"
    answers = [sign_in("erik", "guess").status_code for _ in range(settings.AXES_FAILURE_LIMIT)]
    assert answers == [200, 200, 200, 200, 429]
    page = sign_in("erik", right)
    assert page.status_code == 429 and "For 15 minutes nobody can sign in" in page.text
    # Others behind the same proxy, and the same person elsewhere, come in.
    assert sign_in("alice", "alice-has-a-long-password").status_code == 302
    assert sign_in("erik", right, "192.0.2.2").status_code == 302
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert sign_in("erik", right).status_code == 302


def test_guessing_on_does_not_keep_the_door_shut(erik: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(6):
            sign_in("erik", "guess")
        clock.shift(timedelta(minutes=10))
        assert sign_in("erik", "guess").status_code == 429
        clock.shift(timedelta(minutes=6))
        assert sign_in("erik", "erik-has-a-long-password").status_code == 302


def test_a_right_password_forgives_the_wrong_ones(erik: User) -> None:
    for _ in range(2):
        for _ in range(settings.AXES_FAILURE_LIMIT - 1):
            assert sign_in("erik", "guess").status_code == 200
        assert sign_in("erik", "erik-has-a-long-password").status_code == 302


def test_no_password_is_kept_with_the_failures(erik: User) -> None:
    sign_in("erik", "CANARY-password")
    assert "CANARY" not in str(list(AccessAttempt.objects.values()))
    assert "CANARY" not in str(list(AuditEntry.objects.values()))


def test_sign_ins_are_written_down_for_the_projects_of_the_person(
    erik: User, project: Project
) -> None:
    sign_in("erik", "erik-has-a-long-password")
    for _ in range(settings.AXES_FAILURE_LIMIT + 3):
        sign_in("erik", "guess")
    sign_in("nobody", "guess")
    sign_in("nul\0", "guess")
    log = AuditEntry.objects.order_by("pk").values_list("project", "actor_name", "action")
    failed = settings.AXES_FAILURE_LIMIT - 1
    assert list(log) == [
        (project.pk, "erik", "person.sign_in"),
        *[(project.pk, "erik", "person.sign_in_failed")] * failed,
        (project.pk, "erik", "person.lock_out"),  # once, however long somebody goes on
    ]


@pytest.mark.parametrize("path", ["signup", "password/reset", "email", "3rdparty", "inactive"])
def test_nobody_signs_up_and_no_page_of_allauth_has_an_address(path: str) -> None:
    for start in ("", "accounts/", "accounts/social/", "accounts/oidc/"):
        with pytest.raises(Resolver404):
            resolve(f"/{start}{path}/")
