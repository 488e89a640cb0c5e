"""What somebody gets who installs the portal and changes nothing."""

from __future__ import annotations

import json
import re
import stat
from http.cookies import Morsel
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse

from portal.accounts.models import Project, User
from tests.conventions.tree import ROOT, python, python_files
from tests.portal.people import make_person

TELEMETRY = re.compile(
    r"sentry|posthog|segment\.(io|com)|mixpanel|google-?analytics|plausible|matomo|datadog", re.I
)
FRESH = """
import json
from django.contrib.auth import get_user_model
from django.conf import settings
from portal.accounts.people import create_admin
people = list(get_user_model().objects.values_list("username", flat=True))
made = [create_admin(username=f"a{n}") for n in range(2)]
print(json.dumps({"people": people, "made": made, "debug": settings.DEBUG,
                  "hosts": settings.ALLOWED_HOSTS, "allow": settings.OUTBOUND_ALLOW}))
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outer") / "data"
    done = python("manage.py", "migrate", "-v0", data=folder, PORTAL_BOOTSTRAP="off")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_fresh_portal_has_no_person_and_no_known_password(fresh: Path) -> None:
    done = python("manage.py", "shell", "--no-imports", "-c", FRESH, data=fresh,
                  PORTAL_BOOTSTRAP="off")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["people"] == []
    assert len(set(found["made"])) == 2 and min(map(len, found["made"])) >= 16
    assert found["debug"] is False
    assert set(found["hosts"]) == {"localhost", "127.0.0.1", "[::1]"}
    assert found["allow"] == ["127.0.0.0/8", "::1/128"]


def test_nobody_else_on_the_machine_reads_the_data(fresh: Path) -> None:
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700
    for path in (fresh / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def deploy(folder: Path, **environment: str) -> str:
    done = python("manage.py", "check", "--deploy", "--fail-level", "INFO", data=folder,
                  PORTAL_BOOTSTRAP="off", DJANGO_ALLOW_ASYNC_UNSAFE="", **environment)  # fmt: skip
    return done.stdout + done.stderr + f"exit {done.returncode}"


def test_a_portal_behind_https_passes_the_check_without_a_word(fresh: Path) -> None:
    said = deploy(fresh, PORTAL_HTTPS="1", PORTAL_ALLOWED_HOSTS="eval.example.org")
    assert "no issues" in said and said.endswith("exit 0"), said


def test_the_check_tells_what_is_open(fresh: Path) -> None:
    plain = deploy(fresh, PORTAL_ALLOWED_HOSTS="eval.example.org")
    assert "portal.W001" in plain and plain.endswith("exit 1")
    debug = deploy(fresh, PORTAL_HTTPS="1", PORTAL_ALLOWED_HOSTS="eval.example.org",
                   PORTAL_DEBUG="1")  # fmt: skip
    assert "portal.E001" in debug
    fresh.chmod(0o755)
    try:
        told = deploy(fresh, PORTAL_HTTPS="1")
        assert "portal.W004" in told and "chmod" in told
    finally:
        fresh.chmod(0o700)


def test_it_listens_on_this_machine_alone() -> None:
    for path in python_files():
        for host in re.findall(r'"--host", default="([^"]+)"', path.read_text(encoding="utf-8")):
            assert host == "127.0.0.1", path
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    published = re.findall(r'-\s*"?([^"\n]*:\d+)"?\s*$', re.sub(r"#.*", "", compose), re.M)
    assert all("127.0.0.1" in port for port in published if re.match(r"^[\d$.{]", port)), published


def test_nothing_reports_anywhere() -> None:
    for path in [*python_files(), *(ROOT / "templates").rglob("*.html"),
                 *(ROOT / "portal" / "ui" / "static").rglob("*.*")]:  # fmt: skip
        text = path.read_text(encoding="utf-8")
        assert not TELEMETRY.search(text), path
        assert not re.search(r"""(src|href)=["']?(https?:)?//""", text), path
    known = re.findall(r"^([\w-]+)==", (ROOT / "requirements.lock").read_text(), re.M)
    assert not [name for name in known if TELEMETRY.search(name)]


@pytest.mark.django_db
def test_nobody_can_sign_up(client: Client) -> None:
    for path in (
        "signup",
        "register",
        "accounts/signup",
        "accounts/register",
        "accounts/social",
        "accounts/confirm-email",
        "accounts/password/reset",
        "admin",
        "accounts/3rdparty",
    ):
        for answer in (client.get(f"/{path}/"), client.post(f"/{path}/", {"username": "x"})):
            assert answer.status_code in {302, 404}
            if answer.status_code == 302:
                assert answer["Location"].startswith("/accounts/login/")
    assert not User.objects.exists()


@pytest.mark.django_db
def test_every_answer_carries_the_headers_that_browsers_heed(client: Client, alice: User) -> None:
    stranger = Client(raise_request_exception=False)
    client.force_login(alice)
    for answer in (
        client.get("/"), client.get("/nowhere/"), client.get("/runs/"), client.get("/runs/999/"),
        client.get("/api/v1/candidates"), stranger.get("/accounts/login/"),
        stranger.get("/healthz"), stranger.get("/robots.txt"), stranger.get("/runs/"),
        stranger.get("/", headers={"host": "evil.example"}),
        stranger.post("/accounts/theme/", {"theme": "x"}),
    ):  # fmt: skip
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in answer["Permissions-Policy"]
        assert "Server" not in answer and "X-Powered-By" not in answer
        if answer.get("Content-Type", "").startswith("text/html"):
            policy = answer["Content-Security-Policy"].split("; ")
            assert "default-src 'self'" in policy and "object-src 'none'" in policy
            assert "base-uri 'none'" in policy and "frame-ancestors 'none'" in policy
            assert "form-action 'self'" in policy
            loose = [rule for rule in policy if "unsafe" in rule or "*" in rule or "http" in rule]
            assert loose == ["style-src-attr 'unsafe-inline'"]


@pytest.mark.django_db
def test_pages_of_people_are_kept_by_no_cache_in_between(client: Client, alice: User) -> None:
    client.force_login(alice)
    for path in ("/", "/runs/", "/models/", "/api/v1/candidates", "/settings/keys/"):
        answer = client.get(path)
        told = answer.get("Cache-Control", "") + " " + answer.get("Vary", "")
        assert "no-store" in told or "private" in told or "Cookie" in told, path


@pytest.mark.django_db
def test_cookies_are_out_of_reach(project: Project, settings: object) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = settings.HTTPS = True
    settings.SECURE_SSL_REDIRECT = False
    make_person("nina", project=project)
    client = Client()
    login = reverse("accounts:login")
    client.get(login)
    client.post(login, {"username": "nina", "password": "nina"})
    client.post(reverse("accounts:theme"), {"theme": "dark"})
    client.post(reverse("accounts:language"), {"language": "de"})
    assert {"sessionid", "csrftoken", "theme", "django_language"} <= set(client.cookies)
    for name, cookie in client.cookies.items():
        assert _flags(cookie) == (True, True, "Lax", ""), name


def _flags(cookie: Morsel) -> tuple[bool, bool, str, str]:
    return bool(cookie["secure"]), bool(cookie["httponly"]), cookie["samesite"], cookie["domain"]


@pytest.mark.django_db
def test_a_session_that_was_planted_is_not_the_one_signed_in(project: Project) -> None:
    make_person("nina", project=project)
    client = Client()
    client.post(reverse("accounts:language"), {"language": "de"})
    client.session.save()
    planted = client.session.session_key
    client.cookies["sessionid"] = planted
    before = client.get(reverse("accounts:login")).wsgi_request.META["CSRF_COOKIE"]
    client.post(reverse("accounts:login"), {"username": "nina", "password": "nina"})
    assert client.cookies["sessionid"].value != planted
    assert client.cookies["csrftoken"].value != before
    thief = Client()
    thief.cookies["sessionid"] = planted
    assert thief.get("/runs/").status_code == 302


@pytest.mark.django_db
def test_signing_out_and_a_new_password_end_sessions(project: Project) -> None:
    nina = make_person("nina", project=project)
    one, two = Client(), Client()
    for client in (one, two):
        client.force_login(nina, backend="django.contrib.auth.backends.ModelBackend")
    stolen = one.cookies["sessionid"].value
    one.post(reverse("accounts:logout"))
    one.cookies["sessionid"] = stolen
    assert one.get("/runs/").status_code == 302
    assert two.get("/runs/").status_code == 200
    nina.set_password("another long password")
    nina.save()
    assert two.get("/runs/").status_code == 302


def test_passwords_are_hashed_slowly() -> None:
    assert django_settings.PASSWORD_HASHERS[0].endswith("MD5PasswordHasher")  # of these tests
    text = (ROOT / "portal" / "settings.py").read_text(encoding="utf-8")
    assert re.search(r'PASSWORD_HASHERS = \[\s*"[\w.]+Argon2PasswordHasher"', text)
