"""The API is asked what its document allows, and more, by schemathesis.

    SCHEMATHESIS_EXAMPLES=300 .venv/bin/python -m pytest -rP tests/evals/test_api_schema.py

asks for longer. Seeds are fixed, so the suite asks the same every time.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from evals import schedules
from evals.models import Schedule
from portal.accounts import keys
from portal.accounts.models import Project
from portal.api import document
from tests.evals.making import make_candidate, make_run, make_suite

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES") or 5)
# No schema can say that a cursor comes from the page before, or that a model must exist.
BEYOND_A_SCHEMA = [positive_data_acceptance]
ANSWERS: Counter[int] = Counter()

portal = get_wsgi_application()


@schemathesis.serializer("application/zip")
def file_as_it_is(context: Any, value: Any) -> bytes:
    """A data pack; schemathesis knows only files without a kind."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def counted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """The portal; every answer is counted, those to requests of the checks, too."""

    def start(status: str, *arguments: Any) -> Any:
        ANSWERS[int(status[:3])] += 1
        return start_response(status, *arguments)

    return portal(environ, start)


schema = schemathesis.openapi.from_dict(document.document())
schema.app = counted


@pytest.fixture(autouse=True)
def connection_stays_open() -> Iterator[None]:
    """The test's transaction lives in its connection, which the end of a request would close."""
    changes = (request_started, request_finished)
    for change in changes:
        change.disconnect(close_old_connections)
    yield
    for change in changes:
        change.connect(close_old_connections)


@pytest.fixture(scope="module", autouse=True)
def told() -> Iterator[None]:
    """Print how many requests there were and how they were answered."""
    yield
    print(f"{ANSWERS.total()} requests: {dict(sorted(ANSWERS.items()))}")


@pytest.fixture
def here(project: Project, settings: Any, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """A key, and the ids of things that exist."""
    cache.clear()
    caplog.set_level(logging.ERROR, "django.request")  # thousands of refusals are no news
    settings.API_RATE = 10**9
    suite = make_suite(project)
    candidate = make_candidate(project)
    run = make_run(candidate, suite, {"colours": [1, 0, None], "words": [1, 1]})
    _key, secret = keys.issue(project, "schemathesis", ["read", "run"], by=None)
    sample = run.parts.first().samples.first()
    schedule = Schedule(project=project, suite_slug=suite.slug, every="change")
    schedules.keep(schedule, [candidate])
    ids = {
        "schedule": schedule.pk,
        "candidate": candidate.pk,
        "suite": suite.pk,
        "run": run.pk,
        "sample": sample.pk,
    }
    return {"headers": {"Authorization": f"Bearer {secret}"}, "ids": ids}


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.django_db
def test_it_keeps_to_its_document(case: schemathesis.Case, here: dict[str, Any]) -> None:
    for name, value in list((case.path_parameters or {}).items()):
        if type(value) is int and value % 4:  # mostly things that are there
            case.path_parameters[name] = here["ids"][name]
    response = case.call(headers=here["headers"])
    case.validate_response(response, headers=here["headers"], excluded_checks=BEYOND_A_SCHEMA)
