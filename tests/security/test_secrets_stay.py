"""Canary secrets go through everything that can happen, and are then searched for everywhere."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import web
from django.apps import apps
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from evals import candidates, runs
from evals.models import Candidate, Part, Probe
from portal import backup
from portal.accounts import invitations, keys
from portal.accounts.models import Project, Role, User
from tests.conventions.things import make_things
from tests.evals.making import make_probe, make_suite
from tests.evals.stub_server import MODEL, StubServer
from tests.security.listening import Listener
from tests.security.pages import shown, url_of
from workers import jobs, processes

KEY = "sk-CANARY-3f9a77c1-wxyz"
PASSWORD = "pw-CANARY-8d21-long-enough"
WRONG = "pw-CANARY-wrong-0f1e"
METRICS = "mt-CANARY-5b5b5b5b"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def as_admin(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture(autouse=True)
def everything_is_logged(
    caplog: pytest.LogCaptureFixture, settings: object, tmp_path: Path
) -> Iterator[None]:
    settings.METRICS_TOKEN = METRICS
    settings.DEBUG = False
    cache.clear()
    with caplog.at_level(logging.DEBUG):
        yield


async def blames_the_key(request: web.BaseRequest) -> web.StreamResponse:
    """A server that puts the key it got into its answer, as some do."""
    said = {"error": {"message": f"Incorrect API key provided: {request.headers['Authorization']}"}}
    return web.json_response(said, status=401)


def with_key(project: Project, url: str, name: str) -> Candidate:
    return candidates.register(
        project, name=name, base_url=url, served_model=MODEL, api_key=KEY, concurrency=2
    )


def work_off(candidate: Candidate) -> None:
    """Check ``candidate`` and run a suite on it, in this process."""
    probe = candidate.endpoint.probes.get()
    jobs.perform(jobs.claim(Probe, probe.pk), candidates.run_check)
    make_probe(candidate.endpoint)
    suite = make_suite(candidate.project, slug=f"suite-{candidate.pk}")
    for part in runs.start(candidate, suite).children():
        jobs.perform(jobs.claim(Part, part.pk), runs.execute)


def text_of(page: bytes) -> str:
    """What stands in ``page``, in the members of an archive too."""
    if not page.startswith(b"PK"):
        return page.decode(errors="replace")
    with zipfile.ZipFile(BytesIO(page)) as file:
        return "\n".join(file.read(name).decode() for name in file.namelist())


def everything(client: Client, project: Project, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Every place a secret could have come to, with what stands there."""
    for model in apps.get_models():
        rows = list(model._base_manager.values())
        yield f"table {model._meta.label}", repr(rows)
    things = make_things(project)
    newest = Candidate.objects.filter(endpoint__key_last_four="wxyz")
    for name in shown():
        for kind in ("csv", "json"):
            page = client.get(url_of(name, things._replace(kind=kind)))
            yield f"page {name}", text_of(page.getvalue())
    for candidate in newest:
        for url in (
            candidate.get_absolute_url(),
            reverse("evals:candidate_edit", args=[candidate.pk]),
            f"/api/v1/candidates/{candidate.pk}",
            f"/api/v1/candidates/{candidate.pk}/endpoint",
        ):
            yield f"page {url}", client.get(url).content.decode()
        for run in candidate.runs.all():
            for url in (run.get_absolute_url(), reverse("evals:run_files", args=[run.pk])):
                yield f"run {url}", text_of(client.get(url).getvalue())
            for sample in run.parts.first().samples.all()[:2]:
                yield "sample", client.get(sample.get_absolute_url()).content.decode()
    path = tmp_path / "backup.zip"
    backup.write(path)
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            yield f"backup {name}", file.read(name).decode()
    folder = Path(django_settings.DATA_DIR)
    for found in folder.rglob("*"):
        if found.is_file() and "keys" not in found.parts and found.suffix != ".sqlite3":
            yield f"file {found.relative_to(folder)}", found.read_bytes().decode(errors="replace")


def assert_nowhere(
    secrets: list[str], places: Iterator[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> int:
    looked = 0
    for where, text in [*places, ("log", caplog.text)]:
        looked += 1
        for secret in secrets:
            assert secret not in text, f"{secret[:9]}… in {where}"
    for record in caplog.records:  # what a collector of structured logs would be given
        told = repr(vars(record))
        assert not [secret for secret in secrets if secret in told], record.name
    return looked


def test_the_key_of_an_endpoint_is_nowhere(
    as_admin: Client,
    project: Project,
    stub: StubServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(candidates, "CHECK_SECONDS", 3.0)
    work_off(with_key(project, stub.base_url, "Works"))
    stub.reset(kind="hang", after=0)
    late = with_key(project, stub.base_url, "Too late")
    jobs.perform(jobs.claim(Probe, late.endpoint.probes.get().pk), candidates.run_check)
    with Listener() as elsewhere:

        async def sends_away(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": elsewhere.url})

        with Listener(blames_the_key) as angry, Listener(sends_away) as moving:
            work_off(with_key(project, f"{angry.url}/v1", "Refuses"))
            work_off(with_key(project, f"{moving.url}/v1", "Moves"))
            assert angry.requests and angry.requests[0].headers["Authorization"] == f"Bearer {KEY}"
        assert not elsewhere.requests
    monkeypatch.setattr(candidates.llm, "check", _stumbles)
    broken = with_key(project, stub.base_url, "Stumbles")
    jobs.perform(jobs.claim(Probe, broken.endpoint.probes.get().pk), candidates.run_check)
    assert "Traceback" in caplog.text  # the accident was told, without the key
    assert candidates.spec(broken.endpoint).api_key == KEY
    looked = assert_nowhere([KEY], everything(as_admin, project, tmp_path), caplog)
    assert looked > 80
    out, err = capfd.readouterr()
    assert KEY not in out + err
    page = as_admin.get(broken.get_absolute_url()).content.decode()
    assert "wxyz" in page


async def _stumbles(endpoint: object) -> None:
    raise RuntimeError(f"something odd with {endpoint!r}")


def test_keys_links_passwords_and_tokens_are_nowhere(
    client: Client, project: Project, alice: User, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    alice.set_password(PASSWORD)
    alice.save()
    _key, secret = keys.issue(project, "CI", ["read"], by=alice)
    _invitation, token = invitations.create(project, Role.VIEWER, by=alice)
    _used, joined = invitations.create(project, Role.VIEWER, by=alice)
    login = reverse("accounts:login")
    for password in (WRONG, PASSWORD):
        client.post(login, {"username": "alice", "password": password})
    for address in (token, token + "x"):
        Client().get(reverse("accounts:invitation", args=[address]), follow=True)
    visitor = Client()
    visitor.get(reverse("accounts:invitation", args=[joined]))
    fields = {"username": "nina", "password1": WRONG, "password2": PASSWORD}
    visitor.post(reverse("accounts:join"), fields)
    for authorization in (f"Bearer {secret}", f"Bearer {secret}x", f"Basic {secret}"):
        client.get("/api/v1/candidates", headers={"Authorization": authorization})
        client.get("/api/v1/nowhere", headers={"Authorization": authorization})
    for given in (METRICS, METRICS + "x"):
        client.get("/metrics", headers={"Authorization": f"Bearer {given}"})
    client.post(reverse("accounts:password"), {"old_password": PASSWORD, "new_password1": WRONG})
    searched = [secret, token, joined, PASSWORD, WRONG, METRICS]
    assert assert_nowhere(searched, everything(client, project, tmp_path), caplog) > 60


def test_an_accident_in_a_page_tells_the_reader_nothing(
    project: Project, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*args: object, **kwargs: object) -> None:
        raise RuntimeError(f"{KEY} {django_settings.SECRET_KEY}")

    monkeypatch.setattr(candidates, "register", stumble)
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    values = {"name": "x", "base_url": "http://127.0.0.1:9/v1", "served_model": "m",
              "api_key": KEY, "concurrency": 1}  # fmt: skip
    page = client.post(reverse("evals:candidate_new"), values)
    assert page.status_code == 500
    values["endpoint"] = {"base_url": values["base_url"], "served_model": "m", "api_key": KEY}
    told = client.post("/api/v1/candidates", json.dumps(values), content_type="application/json")
    for answer in (page, told):
        text = answer.content.decode()
        assert KEY not in text
        assert django_settings.SECRET_KEY not in text
        assert "Traceback" not in text and "/portal/" not in text


def test_processes_are_started_without_secrets_in_their_command_lines(tmp_path: Path) -> None:
    lines = [
        *processes.web("127.0.0.1", 8000),
        *processes.worker(2),
        *processes.beat(tmp_path / "schedule"),
    ]
    secrets = [django_settings.SECRET_KEY, *django_settings.ENCRYPTION_KEYS]
    assert not [line for line in lines for secret in secrets if secret in line]
    assert not [line for line in lines if "://" in line]


def test_messages_to_workers_hold_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code sends what it sends through one call, with the primary key and nothing else."""
    import ast

    from tests.conventions.tree import parsed, python_files

    sending = {"send_task", "apply_async", "delay", "delay_on_commit", "apply_async_on_commit"}
    calls = [
        ast.unparse(node)
        for path in python_files()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in sending
    ]
    assert calls, "nothing is sent any more?"
    assert all("key" not in call.replace("pk", "") for call in calls), calls
