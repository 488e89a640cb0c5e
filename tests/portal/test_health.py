"""What machines ask: does it live, is it ready, how is it doing."""

from __future__ import annotations

import json
import logging

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from portal.accounts.models import User
from tests.conventions.tree import python
from workers import broker

pytestmark = pytest.mark.django_db


def unreachable() -> None:
    raise OperationalError


def test_it_lives_without_a_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "cursor", unreachable)
    assert client.get("/healthz").content == b"ok\n"


def test_it_is_ready_with_database_and_migrations(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert answer.json()["migrations"] is True


def test_it_is_not_ready_without_a_database(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "cursor", unreachable)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, False)


def test_it_is_not_ready_before_the_migrations(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.health.MigrationExecutor.migration_plan", lambda *_: ["one"])
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["migrations"]) == (503, False)


def test_it_stays_ready_without_a_broker_and_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "waiting", lambda: None)
    assert client.get("/readyz").json() == {
        "ready": True, "database": True, "migrations": True, "broker": False,
    }  # fmt: skip


def metrics(client: Client) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics", headers={"Authorization": "Bearer seven"})
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_metrics_need_the_token(client: Client, settings: LazySettings) -> None:
    assert client.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = "seven"
    assert client.get("/metrics").status_code == 404
    wrong = client.get("/metrics", headers={"Authorization": "Bearer eight"})
    assert wrong.status_code == 404


def test_metrics_count_jobs_and_requests(
    client: Client, settings: LazySettings, as_erik: Client
) -> None:
    settings.METRICS_TOKEN = "seven"
    row = ("portal_request_seconds_count", "GET", "/runs/", "2xx")
    before = metrics(client).get(row, 0.0)
    assert as_erik.get("/runs/").status_code == 200
    found = metrics(client)
    assert found[row] == before + 1
    assert found["portal_jobs", "evals.part", "queued"] == 0
    assert "process_resident_memory_bytes" in {name for name, *_ in found}


def test_a_request_is_logged_by_its_route_and_not_by_its_address(
    as_erik: Client, erik: User, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "portal.requests"):
        as_erik.get("/models/4711/?token=secret")
    (record,) = [r for r in caplog.records if r.name == "portal.requests"]
    assert (record.route, record.status, record.user) == ("/models/<int:pk>/", 404, erik.pk)
    assert "4711" not in record.getMessage() and "secret" not in record.getMessage()


def test_log_lines_are_json_when_asked_for() -> None:
    code = (
        "import django, logging; django.setup();"
        "logging.getLogger('portal.requests').info('said', extra={'status': 200})"
    )
    made = python("-c", code, DJANGO_SETTINGS_MODULE="portal.settings", PORTAL_LOG_FORMAT="json")
    line = json.loads(made.stderr.splitlines()[-1])
    assert (line["message"], line["level"], line["status"]) == ("said", "INFO", 200)


def test_an_unknown_log_format_is_refused() -> None:
    made = python("manage.py", "check", PORTAL_LOG_FORMAT="xml", PORTAL_BOOTSTRAP="off")
    assert made.returncode and "PORTAL_LOG_FORMAT='xml' is not known" in made.stderr
