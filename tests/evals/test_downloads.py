"""Every table can be taken away as a file, with what stands on its page."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evals.models import Run
from portal.accounts.models import AuditEntry, Project, User
from tests.evals.making import make_candidate, make_run, make_suite

pytestmark = pytest.mark.django_db
COLOURS = [1.0, 0.0, 1.0, 1.0, None]


@pytest.fixture
def run(project: Project) -> Run:
    candidate = make_candidate(project, "=First")
    suite = make_suite(project)
    make_run(make_candidate(project, "Second"), suite, {"colours": COLOURS, "words": [1.0, 0.0]})
    return make_run(candidate, suite, {"colours": COLOURS, "words": [1.0, 0.0]})


@pytest.fixture
def as_vera(client: Client, vera: User) -> Client:
    client.force_login(vera)
    return client


def rows(client: Client, address: str, **query: Any) -> list[dict[str, Any]]:
    return json.loads(client.get(address, query | {"format": "json"}).getvalue())


def addresses(run: Run) -> list[tuple[str, str]]:
    return [
        (reverse("evals:runs"), ""),
        (reverse("evals:candidates"), ""),
        (reverse("evals:suites"), ""),
        (reverse("evals:suite", args=[run.suite_id]), ""),
        (reverse("evals:run", args=[run.pk]), "scores"),
        (reverse("evals:run", args=[run.pk]), "samples"),
        (reverse("evals:board", args=[run.suite.slug]), ""),
        (reverse("workers:activity"), ""),
    ]


@pytest.mark.parametrize("number", range(8))
def test_a_table_is_the_same_in_each_format_and_the_page_leads_there(
    as_vera: Client, run: Run, number: int
) -> None:
    from pyarrow import parquet

    address, table = addresses(run)[number]
    query = {"table": table} if table else {}
    found = rows(as_vera, address, **query)
    text = as_vera.get(address, query | {"format": "csv"}).getvalue().decode("utf-8-sig")
    data = as_vera.get(address, query | {"format": "parquet"}).getvalue()
    assert found
    assert parquet.read_table(io.BytesIO(data)).num_rows == len(found)
    told = list(csv.DictReader(io.StringIO(text, newline="")))
    for mine, other in zip(told, found, strict=True):
        assert list(mine) == list(other)
        assert {name for name, cell in mine.items() if cell == ""} == {
            name for name, value in other.items() if value in (None, "")
        }
    page = as_vera.get(address).content.decode()
    link = f"?format=csv&amp;table={table}" if table else "?format=csv"
    assert f'href="{link}"' in page
    assert as_vera.get(address, query | {"format": "exe"}).status_code == 404
    assert AuditEntry.objects.filter(actor_name="vera").count() == 3


def test_samples_are_those_of_the_filter_and_a_failed_one_has_no_score(
    as_vera: Client, run: Run
) -> None:
    address = reverse("evals:run", args=[run.pk])
    every = rows(as_vera, address, table="samples")
    assert [row["value"] for row in every] == [*COLOURS, 1.0, 0.0]
    assert every[4]["error"] == "out of order" and every[4]["answer"] is None
    wrong = rows(as_vera, address, table="samples", show="wrong", benchmark="colours")
    assert [(row["benchmark"], row["doc_id"]) for row in wrong] == [("colours", 1)]


def test_models_are_those_of_the_filter(as_vera: Client, run: Run) -> None:
    found = rows(as_vera, reverse("evals:candidates"), q="second")
    assert [row["model"] for row in found] == ["Second"]
    text = as_vera.get(reverse("evals:candidates"), {"format": "csv"}).getvalue().decode()
    assert "'=First" in text


def test_scores_have_every_digit_their_interval_and_their_number(as_vera: Client, run: Run) -> None:
    found = rows(as_vera, reverse("evals:run", args=[run.pk]), table="scores")
    words = next(row for row in found if row["benchmark"] == "words")
    score = run.parts.get(benchmark__name="words").scores.get(metric=words["metric"])
    assert (words["value"], words["low"], words["high"]) == (score.value, score.low, score.high)
    assert (words["answered"], words["asked"], words["valid"]) == (2, 2, True)


def test_more_runs_need_no_more_queries(as_vera: Client, run: Run) -> None:
    address = reverse("evals:runs")
    rows(as_vera, address)
    with CaptureQueriesContext(
        connection,
    ) as few:
        assert len(rows(as_vera, address)) == 2
    for number in range(8):
        candidate = make_candidate(run.project, f"More {number}")
        make_run(candidate, run.suite, {"colours": COLOURS, "words": [1.0, 0.0]})
    with CaptureQueriesContext(connection) as many:
        assert len(rows(as_vera, address)) == 10
    assert len(many) == len(few)


def test_others_get_no_table(client: Client, mallory: User, run: Run) -> None:
    client.force_login(mallory)
    address = reverse("evals:run", args=[run.pk])
    assert client.get(address, {"format": "csv", "table": "samples"}).status_code == 404
