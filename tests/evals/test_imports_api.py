"""Results of others by the API: kept once, with their facts, and refused with what is wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from evals.models import ExternalResult, Import
from portal.accounts.models import Project, User
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


def test_who_kept_an_import_is_named_where_it_is_told(ask: Asking, as_erik: Client) -> None:
    key = f"CI ({ask.key.prefix}…)"
    kept = sent(ask).json()
    assert kept["imported_by"] == key
    assert f"Imported by {key} on" in as_erik.get(f"/external/import/{kept['id']}/").text
    assert key in as_erik.get(reverse("evals:external")).text
    rows = json.loads(as_erik.get(reverse("evals:external"), {"format": "json"}).getvalue())
    assert {row["imported_by"] for row in rows} == {key}


def test_a_key_takes_over_no_preview_that_waits_for_somebody(as_erik: Client, ask: Asking) -> None:
    preview = upload(as_erik, BOARD.encode())
    kept = Import.objects.get(pk=sent(ask).json()["id"])
    assert kept != preview and kept.sha256 == preview.sha256  # byte for byte, by either way
    assert kept.imported_by.startswith("CI (")
    preview.refresh_from_db()
    assert preview.confirmed_at is None  # still there for its owner

    url = reverse("evals:import_confirm", args=[preview.pk])
    other = as_erik.post(url, {"source": "Another", "dated": "2026-01-02"}, follow=True)
    assert other.redirect_chain[0][0] == kept.get_absolute_url()
    assert "source: Arena" in other.text
    same = as_erik.post(url, {"source": "Arena", "dated": "2026-01-02"})
    assert same["Location"] == kept.get_absolute_url()
    assert list(Import.objects.all()) == [kept] and ExternalResult.objects.count() == 4


def test_two_people_have_a_preview_each_and_who_confirms_is_named(
    as_erik: Client, alice: User
) -> None:
    other = Client()
    other.force_login(alice)
    mine, hers = upload(as_erik, BOARD.encode()), upload(other, BOARD.encode())
    assert mine != hers
    assert keep(other, mine) == 302  # an engineer may confirm what another has brought
    mine.refresh_from_db()
    assert (mine.created_by.username, mine.imported_by) == ("erik", "alice")


def test_what_is_refused_leaves_nothing_behind(ask: Asking) -> None:
    assert sent(ask, source="").status_code == 422
    assert sent(ask, content="model,Elo\nA,x\n").status_code == 422
    assert not Import.objects.exists()


def test_which_column_the_model_is_is_not_guessed(ask: Asking, as_erik: Client) -> None:
    board = "System,Elo\nA,1287\n"
    answer = sent(ask, content=board)
    assert answer.status_code == 422 and named(answer) == {"columns"}
    assert "no column “model”; the columns are “System”, “Elo”" in answer.json()["detail"]
    assert not Import.objects.exists()
    found = upload(as_erik, board.encode())  # in the browser somebody looks before it is kept
    assert '<option value="model" selected>' in as_erik.get(found.get_absolute_url()).text
    assert sent(ask, content=board, columns={"System": "model", "Elo": "score"}).status_code == 201


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"model": "model", "Eol": "score"}, "no column “Eol”"),
        ({"model": "model", "Elo": "points"}, "cannot be “points”"),
        ({"model": "model"}, "No column is “score”"),
    ],
)
def test_columns_that_cannot_be_are_refused_by_name(
    ask: Asking, columns: dict[str, str], said: str
) -> None:
    answer = sent(ask, columns=columns)
    assert answer.status_code == 422 and named(answer) == {"columns"}
    assert said in answer.json()["detail"] and answer.json()["errors"][0]["value"] == columns


def test_places_that_cannot_be_used_are_told_with_their_lines(ask: Asking) -> None:
    rows = "".join(f"B{n},x\n" for n in range(60))
    new, again = (sent(ask, content="model,Elo\nA,1\n" + rows) for _ in range(2))
    assert (new.status_code, again.status_code) == (201, 200)
    assert (new.json()["results"], new.json()["faults"]) == (1, 60)
    places = new.json()["unusable"]
    assert again.json()["unusable"] == places and [each["line"] for each in places] == [
        *range(3, 53)
    ]
    assert places[0]["message"] == "Elo is 'x', which is no finite number."

    none = sent(ask, content="model,Elo\n" + rows)
    assert none.status_code == 422 and named(none) == {"content"}
    assert none.json()["faults"] == 60 and len(none.json()["unusable"]) == 50
    assert none.json()["unusable"][0] == places[0] | {"line": 2}
