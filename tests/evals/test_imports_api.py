"""Results of others by the API: kept once, with their facts, and refused with what is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from evals.models import ExternalResult
from portal.accounts.models import Project
from tests.evals.asking import Asking
from tests.evals.test_imports import keep, upload

pytestmark = pytest.mark.django_db
BOARD = "model,Elo,Size\nA,1287,7\nB,1106,8\n"
SENT = {"name": "board.csv", "content": BOARD, "source": "Arena", "dated": "2026-01-02"}


@pytest.fixture
def ask(project: Project) -> Asking:
    return Asking(project)


def sent(ask: Asking, **other: Any) -> Any:
    return ask.post("/imports", SENT | other)


def named(answer: Any) -> set[str]:
    """The fields that a refusal names."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return {error["field"] for error in answer.json()["errors"]}


def test_the_same_file_with_the_same_facts_is_kept_once(ask: Asking) -> None:
    first, again = sent(ask), sent(ask)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert ExternalResult.objects.count() == 4  # two models, two columns of scores


@pytest.mark.parametrize(
    ("other", "stored"),
    [
        ({"source": "Another"}, "source: Arena"),
        ({"dated": "2026-01-03"}, "dated: 2026-01-02"),
        ({"url": "https://b.example"}, "url: –"),
        ({"columns": {"model": "model", "Elo": "score"}}, "Size = score"),
    ],
)
def test_the_same_file_with_another_fact_is_refused_with_what_is_stored(
    ask: Asking, other: dict[str, Any], stored: str
) -> None:
    kept = sent(ask).json()
    answer = sent(ask, **other)
    assert answer.status_code == 409 and named(answer) == set(other)
    assert answer.json()["errors"][0]["value"] == next(iter(other.values()))
    said = answer.json()["detail"]
    assert stored in said and reverse("evals:import", args=[kept["id"]]) in said
    assert sent(ask).json() == kept


def test_columns_that_say_the_same_are_no_other_fact(ask: Asking) -> None:
    chosen = {"model": "model", "Elo": "score"}
    assert sent(ask, columns=chosen).status_code == 201
    assert sent(ask, columns=chosen | {"Size": "ignore"}).status_code == 200


def test_a_date_in_the_future_is_refused(as_erik: Client, ask: Asking) -> None:
    today = timezone.localdate()
    tomorrow = (today + timedelta(days=1)).isoformat()
    answer = sent(ask, dated=tomorrow)
    assert answer.status_code == 422 and named(answer) == {"dated"}
    assert answer.json()["errors"][0]["value"] == tomorrow
    assert tomorrow in answer.json()["detail"] and today.isoformat() in answer.json()["detail"]
    found = upload(as_erik, BOARD.encode())
    assert keep(as_erik, found, dated=tomorrow) == 422
    assert not ExternalResult.objects.exists()
    assert sent(ask, dated=today.isoformat()).status_code == 201


@pytest.mark.parametrize("missing", [{"source"}, {"dated"}, {"source", "dated"}])
def test_what_a_board_lacks_is_named(ask: Asking, missing: set[str]) -> None:
    answer = ask.post("/imports", {name: SENT[name] for name in SENT if name not in missing})
    assert answer.status_code == 422 and named(answer) == missing
    assert sent(ask, source="  ").status_code == 422
