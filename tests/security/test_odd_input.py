"""Whatever an address, a form, a header or a body holds: an answer, never a server error."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from evals.models import Candidate
from portal.accounts.models import Project, User
from portal.ui.tables import sort_of
from tests.conventions.test_addresses import ADDRESSES
from tests.conventions.things import Things, make_things
from tests.security.pages import read, shown, url_of
from tests.security.test_xss import PARAMETERS

pytestmark = pytest.mark.django_db
ODD = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "%00",
    "\ud800",
    "\U0010ffff" * 20,
    "-1",
    "0",
    "1e999",
    "NaN",
    "inf",
    "9" * 30,
    "9" * 5000,
    "²",
    "１２",
    "٣",
    "1_000",
    "../../../../etc/passwd",
    "..%2f..%2fetc/passwd",
    "%2e%2e%2f",
    "C:\\Windows\\win.ini",
    "\\\\evil.example\\x",
    "x\r\nSet-Cookie: a=b",
    "' OR 1=1 --",
    '{"a": ' * 500,
    "[" * 5000,
    "x" * 20_000,
    "project__name",
    "-endpoint__key_encrypted",
    "__class__",
]


def told(text: str) -> str:
    """``text`` as a browser can send it: a lone surrogate only as raw bytes."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


@pytest.fixture
def things(project: Project) -> Things:
    return make_things(project)


@pytest.fixture
def as_alice(alice: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    return client


@pytest.mark.parametrize("text", ODD)
def test_no_parameter_of_an_address_breaks_a_page(
    text: str, things: Things, as_alice: Client
) -> None:
    found = {}
    for name in shown():
        url = url_of(name, things)
        for parameters in (PARAMETERS, ("page",), ("m",)):
            sent = "&".join(f"{p}={_quoted(text)}" for p in parameters)
            found[name, parameters[0]] = as_alice.get(f"{url}?{sent}").status_code
    assert {place: status for place, status in found.items() if status >= 500} == {}


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("text", ODD)
def test_no_field_of_a_form_breaks_a_page(text: str, things: Things, as_alice: Client) -> None:
    found = {}
    for name in set(shown("post")) - {"accounts:logout"}:
        url = url_of(name, things)
        fields = {f.name: f for form in _forms(as_alice, url, name) for f in form}
        for only in (None, *fields):
            values = {n: (f.value if only and n != only else text) for n, f in fields.items()}
            body = "&".join(f"{_quoted(n)}={_quoted(v)}" for n, v in values.items())
            answer = as_alice.post(url, body, content_type="application/x-www-form-urlencoded")
            found[name, only] = answer.status_code
    assert {place: status for place, status in found.items() if status >= 500} == {}


def _forms(client: Client, url: str, name: str) -> list:
    page = client.get(url)
    forms = [form.fields for form in read(page.content.decode()).forms if page.status_code == 200]
    if "get" not in ADDRESSES[name].methods:  # its form stands on another page
        from tests.security.pages import Field

        known = ("slug", "name", "pricing", "currency", "per_million_prompt", "gpus", "language",
                 "theme", "project", "listed", "next", "role", "email", "scopes")  # fmt: skip
        forms = [[Field(field, "text", "") for field in known]]
    return forms


@pytest.mark.parametrize("pk", ["0", "9" * 18, "9" * 19, "9" * 40, "9" * 4500, "1.5", "-1", "%00"])
def test_numbers_of_things_that_cannot_be_are_not_found(pk: str, as_alice: Client) -> None:
    for path in (
        "models/{}/", "models/{}/edit/", "suites/{}/", "runs/{}/", "runs/{}/progress/",
        "runs/1/samples/{}/", "compare/samples/{}/0/", "compare/samples/1/{}/",
        "activity/evals.run/{}/progress/", "leaderboard/{}/", "leaderboard/{}/?format=csv",
    ):  # fmt: skip
        assert as_alice.get("/" + path.format(pk)).status_code == 404, path
    for path in ("models/{}/check/", "models/{}/price/", "runs/{}/resume/"):
        assert as_alice.post("/" + path.format(pk)).status_code == 404, path


@pytest.mark.parametrize("path", [
    "/../../etc/passwd", "/static/../portal/settings.py", "/static/%2e%2e/portal/settings.py",
    "/static/..%252f..%252fportal/settings.py", "/static/ui/../../../manage.py",
    "/static//etc/passwd", "/static/ui\\..\\..\\settings.py", "/static/%00", "/leaderboard/../x/",
    "/leaderboard/%2e%2e/csv/", "/leaderboard/things/..%2f..%2fetc%2fpasswd/",
    "/var/portal.sqlite3",
    "/.git/config", "/.env", "/manage.py", "/keys/encryption.key", "//evil.example/%2e%2e",
])  # fmt: skip
def test_no_path_leads_to_a_file(path: str, things: Things, as_alice: Client) -> None:
    answer = as_alice.get(path)
    assert answer.status_code in {301, 400, 404}
    assert not answer.get("Location", "/").startswith(("//", "http"))


def test_bodies_of_every_kind_get_an_answer(things: Things, as_alice: Client) -> None:
    bodies = [
        ("application/json", b"[" * 100_000),
        ("application/json", b'{"a":' * 100_000),
        ("application/json", b"\xff\xfe\x00"),
        ("text/xml", b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken"),
        ("multipart/form-data; boundary=" + "x" * 3000, b"--x"),
        ("multipart/form-data", b""),
        ("application/x-www-form-urlencoded; charset=nonsense", b"name=%ff"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"\xff\xfe"),
        ("nonsense", b"\x00"),
    ]
    for name in shown("post"):
        for kind, body in bodies:
            answer = as_alice.generic("POST", url_of(name, things), body, content_type=kind)
            assert answer.status_code < 500, (name, kind)


def test_too_many_fields_and_too_large_bodies_are_refused(as_alice: Client) -> None:
    url = reverse("evals:candidate_new")
    form = "application/x-www-form-urlencoded"
    many = "&".join(f"a{n}=1" for n in range(2000))
    assert as_alice.post(url, many, content_type=form).status_code == 400
    large = "name=" + "x" * 3_000_000
    assert as_alice.post(url, large, content_type=form).status_code in {400, 413}
    files = "".join(
        f'--x\r\nContent-Disposition: form-data; name="f{n}"; filename="../../x{n}"\r\n\r\n.\r\n'
        for n in range(200)
    )
    answer = as_alice.post(url, files + "--x--\r\n", content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400
    assert not Candidate.objects.exists()


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost@evil.example", "a b", "127.0.0.1.evil"]
)
def test_a_host_that_is_not_ours_is_refused(host: str, as_alice: Client) -> None:
    assert as_alice.get("/", headers={"host": host}).status_code == 400


def test_no_header_changes_method_address_or_sender(things: Things, as_alice: Client) -> None:
    """Overrides that frameworks know: the portal takes a request as it was sent."""
    url = url_of("evals:candidate_check", things)
    for headers in (
        {"X-HTTP-Method-Override": "POST"}, {"X-Method-Override": "POST"},
        {"X-HTTP-Method": "POST"},
    ):  # fmt: skip
        assert as_alice.get(url + "?_method=POST", headers=headers).status_code == 405
    for headers in (
        {"X-Original-URL": "/models/"}, {"X-Rewrite-URL": "/models/"},
        {"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Prefix": "/x"},
    ):  # fmt: skip
        page = as_alice.get("/nowhere/", headers=headers)
        assert page.status_code == 404
        assert b"evil.example" not in page.content
    for method in ("put", "patch", "delete", "options", "trace"):
        answer = getattr(as_alice, method)(reverse("evals:candidates"))
        assert answer.status_code < 500


def test_no_answer_carries_a_header_that_was_sent(things: Things, as_alice: Client) -> None:
    sent = "x%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a<script>"
    for name in shown():
        answer = as_alice.get(f"{url_of(name, things)}?next={sent}&q={sent}&version={sent}")
        assert "a" not in answer.cookies
        for value in answer.headers.values():
            assert "\r" not in value and "\n" not in value


def test_tables_sort_by_their_own_columns_alone(rf: object) -> None:
    for asked in (
        "endpoint__key_encrypted",
        "-project__memberships__user__password",
        "pk",
        "?",
        "-",
    ):
        found = sort_of(rf.get("/", {"sort": asked}), {"model", "overall"}, default="-overall")
        assert (found.key, found.descending) == ("overall", True)


def test_addresses_filter_by_no_field_of_their_own(things: Things, as_alice: Client) -> None:
    """A page with guessed filters is the page without: nothing can be asked letter by letter."""
    candidate = Candidate.objects.get(pk=things.candidate)
    candidate.endpoint.key_encrypted = "gAAAA"
    candidate.endpoint.save()
    get_user_model().objects.update(email="secret@example.org")
    guesses = {
        "endpoint__key_encrypted__startswith": "g", "password__startswith": "a", "order_by": "pk",
        "memberships__user__password__regex": ".*", "filter": "api_key__startswith:sk",
    }  # fmt: skip
    for name in ("evals:candidates", "evals:runs", "evals:board", "evals:suites", "home"):
        url = url_of(name, things)
        plain, asked = (_text(as_alice.get(url, query)) for query in ({}, guesses))
        assert plain == asked, name


def _text(answer: object) -> list[str]:
    assert answer.status_code == 200
    reader = read(answer.content.decode())
    links = {text for text in reader.text if text.startswith(("/", "?")) or "=" in text}
    return [text for text in reader.text if text not in links and len(text) < 60]
