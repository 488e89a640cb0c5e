"""Signing in, language and theme, and people's first project."""

from __future__ import annotations

import pytest
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from portal.accounts.models import Membership, Project, Role, User
from portal.accounts.people import create_admin, default_project
from tests.portal.people import make_person, signed_in

pytestmark = pytest.mark.django_db


def test_it_asks_strangers_to_sign_in_and_returns_them_to_their_page(client: Client) -> None:
    make_person("erik")
    asked = client.get("/?from=mail")
    assert asked.status_code == 302
    assert asked["Location"] == "/accounts/login/?next=/%3Ffrom%3Dmail"
    form = client.get(asked["Location"]).content.decode()
    assert 'autocomplete="username"' in form and 'autocomplete="current-password"' in form
    sent = client.post(
        reverse("accounts:login"),
        {"username": "erik", "password": "erik", "next": "/?from=mail"},
    )
    assert sent["Location"] == "/?from=mail"
    assert client.get("/").status_code == 200


def test_it_says_plainly_why_signing_in_failed(client: Client) -> None:
    make_person("erik")
    page = client.post(reverse("accounts:login"), {"username": "erik", "password": "guess"})
    assert page.status_code == 200
    assert "Name or password is wrong" in page.content.decode()
    assert 'role="alert"' in page.content.decode()


def test_it_does_not_send_people_to_other_sites_after_signing_in(client: Client) -> None:
    make_person("erik")
    sent = client.post(
        reverse("accounts:login"),
        {"username": "erik", "password": "erik", "next": "https://elsewhere.example/"},
    )
    assert sent["Location"] == "/"


def test_it_signs_out_by_post_only() -> None:
    client = signed_in(make_person("erik"))
    assert client.get(reverse("accounts:logout")).status_code == 405
    assert client.post(reverse("accounts:logout")).status_code == 302
    assert client.get("/").status_code == 302


def test_it_remembers_the_language_on_the_person() -> None:
    erik = make_person("erik")
    client = signed_in(erik)
    answer = client.post(reverse("accounts:language"), {"language": "de", "next": "/?a=1"})
    assert answer["Location"] == "/?a=1"
    # Another browser, which wishes for English, is answered in German all the same.
    page = signed_in(erik).get("/", headers={"Accept-Language": "en"})
    assert '<html lang="de"' in page.content.decode()
    assert page["Content-Language"] == "de"


def test_it_remembers_a_strangers_language_and_theme_in_the_browser(client: Client) -> None:
    client.post(reverse("accounts:language"), {"language": "de"})
    client.post(reverse("accounts:theme"), {"theme": "dark"})
    page = client.get(reverse("accounts:login")).content.decode()
    assert '<html lang="de" data-theme="dark">' in page


def test_it_remembers_the_theme_on_the_person() -> None:
    erik = make_person("erik")
    signed_in(erik).post(reverse("accounts:theme"), {"theme": "dark"})
    assert 'data-theme="dark"' in signed_in(erik).get("/").content.decode()
    signed_in(erik).post(reverse("accounts:theme"), {"theme": ""})
    assert "data-theme=" not in signed_in(erik).get("/").content.decode()


@pytest.mark.parametrize(("name", "value"), [("language", "xx"), ("theme", "pink")])
def test_it_refuses_preferences_that_do_not_exist(client: Client, name: str, value: str) -> None:
    assert client.post(reverse(f"accounts:{name}"), {name: value}).status_code == 400


@pytest.mark.parametrize("page", ["https://elsewhere.example/", "//elsewhere.example", ""])
def test_it_does_not_leave_the_site_after_a_preference(client: Client, page: str) -> None:
    answer = client.post(reverse("accounts:theme"), {"theme": "dark", "next": page})
    assert answer["Location"] == "/"


def test_it_wants_a_token_for_every_preference() -> None:
    strict = Client(enforce_csrf_checks=True)
    for name in ("language", "theme"):
        answer = strict.post(reverse(f"accounts:{name}"), {name: "dark"})
        assert answer.status_code == 403
        assert "Please send the form again" in answer.content.decode()


def test_the_first_administrator_gets_a_random_password_and_a_project() -> None:
    password, other = create_admin("admin"), create_admin("second")
    assert len(password) >= 16 and password != other
    admin = User.objects.get(username="admin")
    assert admin.check_password(password) and admin.is_superuser
    assert admin.password.startswith("argon2")
    assert Membership.objects.get(user=admin).role == Role.ADMIN
    assert Project.objects.count() == 1
    assert default_project() == Project.objects.get()


def test_it_makes_no_second_person_of_one_name() -> None:
    create_admin("admin")
    with pytest.raises(IntegrityError):
        create_admin("admin")
    assert User.objects.count() == 1
