"""Saved boards: weights, several suites, the default one, and links that outsiders may open."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evals import boards, leaderboard
from evals.models import SavedBoard, Suite
from portal.accounts.models import AuditEntry, Project, User
from tests.evals.making import answer, choice, make_candidate, make_run, make_suite

pytestmark = pytest.mark.django_db


def right(share: float, of: int = 100) -> list[float]:
    """0/1 values of which ``share`` are 1, evenly spread."""
    return [float(int((n + 1) * share) > int(n * share)) for n in range(of)]


@pytest.fixture
def suites(project: Project) -> list[Suite]:
    """Two suites and two models, each better on one of them."""
    cache.clear()
    first = make_suite(project, choice(), answer())
    second = make_suite(project, choice("shapes"), slug="shapes")
    for name, low, high in (("Alder", 0.2, 0.9), ("Birch", 0.9, 0.3)):
        candidate = make_candidate(project, name)
        make_run(candidate, first, {"colours": right(low), "words": right(0.5)})
        make_run(candidate, second, {"shapes": right(high)})
    return [first, second]


@pytest.fixture
def board(project: Project, suites: list[Suite], erik: User) -> SavedBoard:
    saved = SavedBoard(project=project, slug="mine", name="Mine")
    return boards.keep(saved, suites, by=erik)


def pk(suite: Suite, name: str) -> int:
    return suite.benchmarks.get(name=name).pk


def overall(board: SavedBoard) -> dict[str, float]:
    board.refresh_from_db()
    return {row.candidate.name: row.overall[0] for row in boards.compute(board).ranked}


def url(name: str, *args: Any) -> str:
    return reverse(f"evals:{name}", args=args)


def test_without_weights_it_is_the_plain_mean_over_all_suites(board: SavedBoard) -> None:
    assert overall(board) == pytest.approx({"Birch": (0.9 + 0.5 + 0.3) / 3, "Alder": 1.6 / 3})


def test_weights_decide_who_leads(board: SavedBoard, suites: list[Suite], erik: User) -> None:
    boards.weigh(board, {pk(suites[1], "shapes"): 4, pk(suites[0], "words"): 0.5}, by=erik)
    found = overall(board)
    assert found["Alder"] == pytest.approx((0.2 + 0.5 * 0.5 + 4 * 0.9) / 5.5)
    assert list(found) == ["Alder", "Birch"]
    row = boards.compute(board).rows[0]
    assert row.overall[1] < row.overall[0] < row.overall[2] and row.rank == (1, 1)


def test_a_benchmark_without_weight_is_left_out(
    board: SavedBoard, suites: list[Suite], erik: User
) -> None:
    boards.weigh(board, {pk(suites[0], "colours"): 0, pk(suites[1], "shapes"): 0}, by=erik)
    found = boards.compute(board)
    assert [benchmark.name for benchmark in found.benchmarks] == ["words"]
    plain = leaderboard.board(suites[0], leaderboard.View(scoring="generate"))
    assert {r.candidate.name: (r.overall, r.rank) for r in found.rows} == {
        r.candidate.name: (r.overall, r.rank) for r in plain.rows
    }


def test_languages_and_use_cases_choose_benchmarks(board: SavedBoard) -> None:
    board.languages = ["de"]
    assert {b.language for b in boards.candidates_for(board)} <= {"de"}
    board.languages, board.tags = [], ["no such use"]
    assert boards.candidates_for(board) == [] and boards.compute(board).rows == []


def test_it_is_computed_again_only_when_results_or_weights_change(
    board: SavedBoard, suites: list[Suite], erik: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    overall(board)
    computed: list[bool] = []
    real = leaderboard.compute
    monkeypatch.setattr(
        leaderboard, "compute", lambda *args: (computed.append(True), real(*args))[1]
    )
    overall(board)
    assert not computed
    boards.weigh(board, {pk(suites[1], "shapes"): 2}, by=erik)
    overall(board)
    assert computed == [True]


def test_the_list_takes_few_queries_however_long_it_is(
    client: Client, vera: User, project: Project, suites: list[Suite], board: SavedBoard
) -> None:
    client.force_login(vera)
    client.get(url("saved_boards"))
    with CaptureQueriesContext(connection) as few:
        client.get(url("saved_boards"))
    for number in range(8):
        saved = SavedBoard(project=project, slug=f"more-{number}", name=f"More {number}")
        boards.keep(saved, suites, by=vera)
    with CaptureQueriesContext(connection) as many:
        assert "More 7" in client.get(url("saved_boards")).content.decode()
    assert len(many) == len(few)


def test_a_board_is_made_weighed_and_deleted_on_its_pages(
    client: Client, erik: User, suites: list[Suite]
) -> None:
    client.force_login(erik)
    given = {"name": "Ours", "slug": "ours", "suites": [s.pk for s in suites],
             "correction": "bh", "form": "board"}  # fmt: skip
    assert client.post(url("saved_board_new"), given)["Location"] == url("saved_board_edit", "ours")
    again = client.post(url("saved_board_new"), given)
    assert again.status_code == 422 and "exists already" in again.content.decode()
    taken = client.post(url("saved_board_new"), given | {"slug": "new"})
    assert taken.status_code == 422
    edit = url("saved_board_edit", "ours")
    weights = {"form": "weights", f"w{pk(suites[1], 'shapes')}": "2,5"}
    assert client.post(edit, weights)["Location"] == url("saved_board", "ours")
    text = client.get(url("saved_board", "ours")).content.decode()
    assert "weight 2.5" in text and "Benjamini" in text
    wrong = client.post(edit, {"form": "weights", f"w{pk(suites[1], 'shapes')}": "lots"})
    assert wrong.status_code == 422 and "lots is no weight" in wrong.content.decode()
    nothing = {f"w{b.pk}": "0" for s in suites for b in s.benchmarks.all()}
    assert client.post(edit, {"form": "weights", **nothing}).status_code == 422
    client.post(url("saved_board_delete", "ours"))
    assert not SavedBoard.objects.exists() and suites[0].runs.count() == 2
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"board.create", "board.weigh", "board.delete"} <= actions


def test_the_table_can_be_taken_away(client: Client, vera: User, board: SavedBoard) -> None:
    client.force_login(vera)
    rows = json.loads(client.get(url("saved_board", "mine") + "?format=json").getvalue())
    assert len(rows) == 2 * 4 and rows[0]["benchmark"] == "overall"
    assert {row["suite"] for row in rows} == {None, "small", "shapes"}


def test_the_default_board_is_what_leaderboard_opens(
    client: Client, erik: User, board: SavedBoard, suites: list[Suite]
) -> None:
    client.force_login(erik)
    client.post(url("saved_board_default", "mine"))
    assert client.get(url("leaderboard"))["Location"] == url("saved_board", "mine")
    other = boards.keep(
        SavedBoard(project=board.project, slug="other", name="Other"), suites, by=erik
    )
    boards.set_default(other, True, by=erik)
    assert SavedBoard.objects.filter(is_default=True).get() == other
    with pytest.raises(IntegrityError), transaction.atomic():
        SavedBoard.objects.update(is_default=True)
    client.post(url("saved_board_default", "other"))
    assert "/leaderboard/" in client.get(url("leaderboard"))["Location"]


def link(client: Client, board: SavedBoard) -> str:
    """The public address, as the page of the board shows it once."""
    client.post(url("saved_board_share", board.slug))
    text = client.get(board.get_absolute_url()).content.decode()
    return re.search(r"http://testserver(/shared/[^\"]+/)", text).group(1)


def test_a_public_link_opens_the_board_to_strangers_until_it_ends(
    client: Client, alice: User, board: SavedBoard
) -> None:
    client.force_login(alice)
    address = link(client, board)
    assert address not in client.get(board.get_absolute_url()).content.decode()
    stranger = Client()
    page = stranger.get(address)
    assert page.status_code == 200 and "Alder" in page.content.decode()
    assert page["X-Robots-Tag"] == "noindex, nofollow"
    assert page["Referrer-Policy"] == "no-referrer" and "no-store" in page["Cache-Control"]
    later = link(client, board)
    assert stranger.get(address).status_code == 404 and stranger.get(later).status_code == 200
    client.post(url("saved_board_unshare", board.slug))
    assert stranger.get(later).status_code == 404


def test_a_public_page_shows_neither_runs_nor_samples_nor_people(
    client: Client, alice: User, erik: User, board: SavedBoard
) -> None:
    client.force_login(alice)
    text = Client().get(link(client, board)).content.decode()
    main = text[text.index("<main") :]
    for hidden in ("/runs/", "/models/", "/samples/", "/compare/", "No 1: which colour?",
                   board.project.name, erik.username, alice.username, "csrf"):  # fmt: skip
        assert hidden not in main


def test_the_secret_of_a_link_is_kept_nowhere(
    client: Client, alice: User, board: SavedBoard
) -> None:
    client.force_login(alice)
    secret = link(client, board).split("/")[2]
    assert len(secret) >= 43
    board.refresh_from_db()
    assert secret not in board.share_digest
    assert all(secret not in str(entry.details) for entry in AuditEntry.objects.all())
    shared = AuditEntry.objects.filter(action="board.share").get()
    assert shared.actor == alice


@pytest.mark.parametrize("token", ["x", "0" * 43, "%00", "ü", "a" * 4000])
def test_a_guess_is_not_found(client: Client, board: SavedBoard, token: str) -> None:
    assert SavedBoard.objects.filter(share_digest="").exists()
    assert client.get(f"/shared/{token}/").status_code == 404
    assert boards.shared("") is None


def test_guessing_is_slowed_down(client: Client, board: SavedBoard) -> None:
    answers = [client.get("/shared/guess/").status_code for _ in range(61)]
    assert answers[-1] == 302 and set(answers[:-1]) == {404}


def test_engineers_and_viewers_make_no_public_link(
    client: Client, erik: User, vera: User, board: SavedBoard
) -> None:
    for person in (erik, vera):
        client.force_login(person)
        assert client.post(url("saved_board_share", "mine")).status_code == 403
        page = client.get(board.get_absolute_url()).content.decode()
        assert url("saved_board_share", "mine") not in page
    board.refresh_from_db()
    assert board.share_digest == ""


def test_boards_and_suites_of_other_projects_are_out_of_reach(
    client: Client, erik: User, board: SavedBoard
) -> None:
    foreign = Project.objects.create(name="Elsewhere")
    suite = make_suite(foreign, choice())
    hidden = boards.keep(
        SavedBoard(project=foreign, slug="hidden", name="Hidden"), [suite], by=None
    )
    client.force_login(erik)
    assert client.get(hidden.get_absolute_url()).status_code == 404
    given = {"name": "Ours", "slug": "ours", "suites": [suite.pk], "correction": "holm"}
    assert client.post(url("saved_board_new"), given).status_code == 422
