from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from evals import playground
from evals.forms import PlaygroundForm
from evals.models import Candidate, KeptQuestion
from portal.accounts.models import Role
from portal.accounts.permissions import fetch, require
from portal.ui import downloads
from portal.ui.htmx import wants_part

REMEMBERED = "playground"  # in the session: the models and settings of the last prompt
FILES = ("jsonl", "csv")


@require(Role.ENGINEER)
def detail(request: HttpRequest) -> HttpResponse:
    """The form; without a script also the answers, when all of them are complete."""
    remembered = request.session.get(REMEMBERED, {})
    form = PlaygroundForm(request.POST or None, initial=remembered.get("settings"))
    asked = request.POST.getlist("m") or request.GET.getlist("m")
    chosen = _candidates(request, asked or remembered.get("models", []), strict=bool(asked))
    answers: list[playground.Answer] = []
    if form.is_valid():
        if obstacle := _obstacle(request, len(chosen)):
            form.add_error(None, obstacle)
        else:
            _remember(request, form)
            answers = _all_answers(request, chosen, form)
    everyone = Candidate.objects.in_project(request.project).only("pk", "name", "project")
    context = {
        "form": form,
        "everyone": list(everyone),
        "slots": [*chosen, *[None] * (playground.MOST - len(chosen))],
        "answers": answers,
    }
    status = 422 if form.errors else 200
    return render(request, "evals/playground/detail.html", context, status=status)


@require_POST
@require(Role.ENGINEER)
def answer(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One candidate's answer as server-sent events, from the first token on."""
    candidate = fetch(request, Candidate.objects.select_related("endpoint"), Role.ENGINEER, pk=pk)
    form = PlaygroundForm(request.POST)
    if not form.is_valid():
        told = [error for errors in form.errors.values() for error in errors]
        return JsonResponse({"failure": " ".join(told)}, status=422)
    if obstacle := _obstacle(request, 1):
        return JsonResponse({"failure": obstacle}, status=429)
    _remember(request, form)
    asked = playground.question(candidate, form.asked, by=request.user)
    response = StreamingHttpResponse(_frames(asked), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # nginx would collect the pieces
    return response


@require_POST
@require(Role.ENGINEER)
def keep(request: HttpRequest) -> HttpResponse:
    """Keep an answer that this portal has sealed; what is sealed cannot be made up."""
    answered = playground.unseal(request.project, request.POST.get("sealed", ""))
    context = {"failed": answered is None}
    if answered:
        note = request.POST.get("note", "").strip()[:10_000]
        playground.keep(request.project, answered, note=note, by=request.user)
    if wants_part(request):
        status = 200 if answered else 422
        return render(request, "evals/playground/_kept.html", context, status=status)
    if not answered:
        messages.error(request, _("This answer can no longer be kept. Ask the model once more."))
    return redirect("evals:questions")


@require(Role.VIEWER)
def kept(request: HttpRequest) -> HttpResponse:
    rows = KeptQuestion.objects.filter(project=request.project)
    found = rows.select_related("candidate", "created_by")
    page = Paginator(found, 25).get_page(request.GET.get("page"))
    return render(request, "evals/playground/kept.html", {"page": page})


@require(Role.VIEWER)
def download(request: HttpRequest, kind: str) -> HttpResponse:
    """All kept questions as a file."""
    if kind not in FILES:
        raise Http404
    rows = KeptQuestion.objects.filter(project=request.project).select_related("candidate")
    found = playground.records(rows, kind)
    return downloads.table(request, "question.export", "kept-questions", found, kind=kind)


@require_POST
@require(Role.ENGINEER)
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    question = fetch(request, KeptQuestion.objects, Role.ENGINEER, pk=pk)
    playground.forget(question, by=request.user)
    messages.success(request, _("The question has been deleted."))
    return redirect("evals:questions")


async def _frames(asked: playground.Question) -> AsyncIterator[str]:
    async for event in playground.events(asked):
        yield f"data: {json.dumps(event)}\n\n"


@async_to_sync
async def _together(asked: list[playground.Question]) -> list[playground.Answer]:
    return await asyncio.gather(*(playground.whole(each) for each in asked))


def _all_answers(
    request: HttpRequest, chosen: list[Candidate], form: PlaygroundForm
) -> list[playground.Answer]:
    return _together([playground.question(c, form.asked, by=request.user) for c in chosen])


def _candidates(request: HttpRequest, asked: list[Any], *, strict: bool) -> list[Candidate]:
    """The candidates ``asked`` for in their order, each once, at most three.

    ``strict``: 404 for one that the project does not have; else it is left out.
    """
    wanted = list(dict.fromkeys(str(value) for value in asked if value))
    wanted = [value for value in wanted if value.isdecimal() and len(value) < 19]
    rows = Candidate.objects.in_project(request.project).select_related("endpoint")
    found = {str(candidate.pk): candidate for candidate in rows.filter(pk__in=wanted)}
    if strict and len(found) < len(wanted):
        raise Http404
    return [found[value] for value in wanted if value in found][: playground.MOST]


def _obstacle(request: HttpRequest, answers: int) -> str:
    """Why the person cannot ask for ``answers`` more now; "" when they can."""
    if not answers:
        return _("Choose at least one model.")
    if all(playground.allowed(request.user) for _each in range(answers)):
        return ""
    return _("You have asked for many answers within a minute. Wait a moment.")


def _remember(request: HttpRequest, form: PlaygroundForm) -> None:
    """The last models and settings stand in the form the next time."""
    models = [value for value in request.POST.getlist("m") if value]
    last = {"models": models[: playground.MOST], "settings": form.settings}
    if request.session.get(REMEMBERED) != last:
        request.session[REMEMBERED] = last
