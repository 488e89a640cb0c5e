from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from evals import boards
from evals.boards import Found
from evals.forms import BoardForm, weights_of
from evals.models import SavedBoard, Suite
from evals.templatetags.evals import points, span
from evals.views.leaderboard import MOST_BARS, cells_by_benchmark
from evals.words import CORRECTIONS
from portal.accounts import once
from portal.accounts.models import Role
from portal.accounts.permissions import fetch, require
from portal.accounts.throttle import too_often
from portal.ui import charts, downloads

LINK = "board_link"  # in the session: the public link that was just made
PER_MINUTE = 60


def get_board(request: HttpRequest, slug: str, role: str = Role.VIEWER) -> SavedBoard:
    return fetch(request, SavedBoard.objects.all(), role, slug=slug)


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    rows = SavedBoard.objects.filter(project=request.project).select_related("created_by")
    suites = Suite.objects.only("pk", "name", "version")
    found = list(rows.defer("fit", "weights").prefetch_related(Prefetch("suites", suites)))
    return render(request, "evals/boards/index.html", {"boards": found})


@require(Role.VIEWER)
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    saved = get_board(request, slug)
    found = boards.compute(saved)
    if downloads.asked(request):
        rows, name = boards.records(found), f"board-{saved.slug}"
        return downloads.table(request, "board.export", name, rows, boards.COLUMNS, target=saved)
    made = once.take(request, LINK)
    link = made["address"] if made.get("board") == saved.pk else ""
    cells = cells_by_benchmark(found)
    lines = [(row, cells(row)) for row in found.rows]
    context = {"lines": lines, "link": link, **_shown(found)}
    return render(request, "evals/boards/detail.html", context)


@require(Role.ENGINEER)
def create(request: HttpRequest) -> HttpResponse:
    board = SavedBoard(project=request.project)
    form = BoardForm(request.POST or None, instance=board, project=request.project)
    if form.is_valid():
        boards.keep(form.save(commit=False), list(form.cleaned_data["suites"]), by=request.user)
        return redirect("evals:saved_board_edit", slug=form.instance.slug)
    status = 422 if form.errors else 200
    return render(request, "evals/boards/form.html", {"form": form}, status=status)


@require(Role.ENGINEER)
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Two forms: what is on the board, and what each benchmark weighs."""
    saved = get_board(request, slug, Role.ENGINEER)
    weighing, faults = request.POST.get("form") == "weights", []
    posted = request.POST if request.method == "POST" and not weighing else None
    form = BoardForm(posted, instance=saved, project=request.project)
    benchmarks = boards.candidates_for(saved)
    if weighing:
        weights, faults = weights_of(request.POST, benchmarks)
        if not faults:
            boards.weigh(saved, weights, by=request.user)
            return redirect(saved)
    elif form.is_valid():
        boards.keep(form.save(commit=False), list(form.cleaned_data["suites"]), by=request.user)
        return redirect("evals:saved_board_edit", slug=form.instance.slug)
    given = [(each, request.POST.get(f"w{each.pk}") if weighing else None) for each in benchmarks]
    rows = [(each, boards.weight_of(saved, each) if w is None else w) for each, w in given]
    context = {"form": form, "board": saved, "weights": rows, "faults": faults}
    status = 422 if form.errors or faults else 200
    return render(request, "evals/boards/form.html", context, status=status)


@require_POST
@require(Role.ENGINEER)
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    boards.delete(get_board(request, slug, Role.ENGINEER), by=request.user)
    messages.success(request, _("The board has been deleted; its results are kept."))
    return redirect("evals:saved_boards")


@require_POST
@require(Role.ENGINEER)
def make_default(request: HttpRequest, slug: str) -> HttpResponse:
    saved = get_board(request, slug, Role.ENGINEER)
    boards.set_default(saved, not saved.is_default, by=request.user)
    return redirect(saved)


@require_POST
@require(Role.ADMIN)
def share(request: HttpRequest, slug: str) -> HttpResponse:
    saved = get_board(request, slug, Role.ADMIN)
    secret = boards.share(saved, by=request.user)
    address = request.build_absolute_uri(reverse("evals:shared_board", args=[secret]))
    once.keep(request, LINK, {"board": saved.pk, "address": address})
    return redirect(saved)


@require_POST
@require(Role.ADMIN)
def unshare(request: HttpRequest, slug: str) -> HttpResponse:
    saved = get_board(request, slug, Role.ADMIN)
    boards.unshare(saved, by=request.user)
    messages.success(request, _("The public link no longer works."))
    return redirect(saved)


@require_GET
@login_not_required
@never_cache
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """What somebody with the public link sees: scores and ranks, no runs and no samples."""
    if too_often(request, "shared_board", limit=PER_MINUTE):
        return redirect("accounts:too_often")
    saved = boards.shared(token)
    if saved is None:
        raise Http404
    context = _shown(boards.compute(saved), public=True)
    response = render(request, "evals/boards/shared.html", context)
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _shown(found: Found, *, public: bool = False) -> dict[str, Any]:
    bars = [
        charts.Bar(
            row.candidate.name, *row.overall, f"{points(row.overall[0])} {span(*row.overall[1:])}",
            href="" if public else row.candidate.get_absolute_url(),
        )
        for row in found.ranked[:MOST_BARS]
        if row.overall
    ]  # fmt: skip
    heads = [(benchmark, found.weight(benchmark)) for benchmark in found.benchmarks]
    return {
        "board": found.saved, "found": found, "heads": heads,
        "correction": CORRECTIONS[found.saved.correction],
        "plain": [(row, [row.cells[b.pk] for b in found.benchmarks]) for row in found.rows],
        "forest": charts.forest(bars, _("Overall score of each model")) if bars else "",
    }  # fmt: skip
