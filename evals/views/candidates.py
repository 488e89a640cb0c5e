from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from evals import candidates, euroeval, exports, history, tables
from evals.forms import CandidateForm, PriceForm, ReplicaForm
from evals.models import Candidate, Run
from evals.models.candidates import Checked
from evals.spending import with_spending
from evals.templatetags.evals import points, span
from portal.accounts import audit
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.ui import charts, downloads
from portal.ui.htmx import page_or_part, unchanged, wants_part
from portal.ui.tables import Sort, sort_of

SORTS: dict[str, Callable[[Candidate], Any]] = {
    "model": lambda candidate: candidate.name.lower(),
    "size": lambda candidate: candidate.parameters,
    "quantisation": lambda candidate: candidate.quantisation.lower(),
    "licence": lambda candidate: candidate.licence.lower(),
    "check": lambda candidate: Checked.values.index(candidate.endpoint.checked),
}
MOST_SERIES = 8  # colours that can be told apart


def get_candidate(request: HttpRequest, pk: int) -> Candidate:
    return get_object_or_404(Candidate.objects.in_project(request.project).for_list(), pk=pk)


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    everyone = list(Candidate.objects.in_project(request.project).for_list())
    choice = _choice(request)
    sort = sort_of(request, SORTS, default="model")
    found = _sorted([candidate for candidate in everyone if choice.holds(candidate)], sort)
    if downloads.asked(request):
        rows = tables.models(found)
        return downloads.table(request, "candidate.list", "models", rows, tables.MODELS)
    context = {
        "page": Paginator(found, 50).get_page(request.GET.get("page")),
        "any": bool(everyone),
        "choice": choice,
        "sort": sort,
        "licences": sorted({c.licence for c in everyone} - {""}),
        "quantisations": sorted({c.quantisation for c in everyone} - {""}),
        "languages": sorted({code for c in everyone for code in c.languages}),
        "states": Checked.choices,
    }
    return page_or_part(request, "evals/candidates/index.html", context, part="models")


def _choice(request: HttpRequest) -> candidates.Choice:
    """The filter of the address."""
    words = {
        name: request.GET.get(name, "")
        for name in ("licence", "quantisation", "language", "checked")
    }
    sizes = {name: _size(request.GET.get(name, "")) for name in ("smallest", "largest")}
    return candidates.Choice(text=request.GET.get("q", "").strip(), **words, **sizes)


def _size(text: str) -> float | None:
    """Billions as a person types them, "7,5" too; None for anything else."""
    try:
        size = float(text.replace(",", "."))
    except ValueError:
        return None
    return size if 0 <= size < 1e6 else None


def _sorted(found: list[Candidate], sort: Sort) -> list[Candidate]:
    """By ``sort``, then by name; those without the fact come last, whatever the direction."""
    fact = SORTS[sort.key]
    by_name = sorted(found, key=lambda candidate: candidate.name.lower())
    known = [candidate for candidate in by_name if fact(candidate) not in (None, "")]
    known.sort(key=fact, reverse=sort.descending)
    return [*known, *(candidate for candidate in by_name if fact(candidate) in (None, ""))]


@require(Role.ENGINEER)
def create(request: HttpRequest) -> HttpResponse:
    form = CandidateForm(request.POST or None, project=request.project)
    if request.method == "POST" and form.is_valid():
        facts = {name: form.cleaned_data[name] for name in CandidateForm.Meta.fields}
        endpoint = form.endpoint_values
        candidate = candidates.register(
            request.project,
            by=request.user,
            **facts,
            **{**endpoint, "api_key": endpoint["api_key"] or ""},
        )
        return redirect(candidate)
    status = 422 if form.is_bound else 200
    return render(request, "evals/candidates/form.html", {"form": form}, status=status)


@require(Role.ENGINEER)
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    candidate = get_candidate(request, pk)
    form = CandidateForm(request.POST or None, instance=candidate, project=request.project)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            dropped = candidates.change_endpoint(
                candidate.endpoint, by=request.user, **form.endpoint_values
            )
        if dropped:
            messages.warning(
                request,
                _("The server changed, so the stored API key was forgotten. Enter it anew."),
            )
        return redirect(candidate)
    status = 422 if form.is_bound else 200
    return render(
        request, "evals/candidates/form.html", {"form": form, "candidate": candidate}, status=status
    )


@require(Role.VIEWER)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """The candidate, its endpoint and check, its runs; also the fragment polled while checking."""
    candidate = get_candidate(request, pk)
    probe = candidate.endpoint.latest_probe
    context = {"candidate": candidate, "endpoint": candidate.endpoint, "probe": probe}
    if wants_part(request):
        if probe and request.GET.get("v") == str(probe.version):
            return unchanged()
        return render(request, "evals/candidates/detail.html#check", context)
    context |= _history(request, candidate) | {"form": PriceForm()}
    context["euroeval"] = euroeval.available()
    return render(request, "evals/candidates/detail.html", context)


@require(Role.VIEWER)
def card(request: HttpRequest, pk: int) -> HttpResponse:
    """The results as the head of a model card."""
    candidate = get_candidate(request, pk)
    audit.record(request.project, "candidate.export", candidate, by=request.user)
    response = HttpResponse(exports.model_card(candidate), content_type="text/yaml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="model-{candidate.pk}-card.yaml"'
    return response


@require_POST
@require(Role.ENGINEER)
def set_price(request: HttpRequest, pk: int) -> HttpResponse:
    candidate = get_candidate(request, pk)
    form = PriceForm(request.POST)
    if form.is_valid():
        candidates.set_price(candidate.endpoint, by=request.user, **form.cleaned_data)
        return redirect(f"{candidate.get_absolute_url()}#prices")
    endpoint = candidate.endpoint
    context = {"candidate": candidate, "endpoint": endpoint, "probe": endpoint.latest_probe}
    context |= _history(request, candidate) | {"form": form}
    return render(request, "evals/candidates/detail.html", context, status=422)


def _history(request: HttpRequest, candidate: Candidate) -> dict[str, object]:
    """Scores over time, runs (newest first), checks and prices of ``candidate``."""
    every = Run.objects.filter(candidate=candidate).for_list()
    page = Paginator(every, 20).get_page(request.GET.get("page"))
    page.object_list = with_spending(page.object_list)
    means = history.means(page.object_list)
    for run in page.object_list:
        run.mean = means.get(run.pk)
    found = history.results(candidate)
    names = {result.series: str(result.run.suite) for result in found}
    shown = dict(list(names.items())[-MOST_SERIES:])
    colours = {series: at + 1 for at, series in enumerate(shown)}
    found = [result for result in found if result.series in shown]
    return {
        "page": page,
        "chart": _chart(found, colours),
        "legend": [(colours[series], name) for series, name in shown.items()],
        "replica_form": ReplicaForm(auto_id="server_%s"),
        "checks": history.checks(candidate.endpoint),
        "prices": list(candidate.endpoint.prices.select_related("created_by")),
    }


def _chart(found: list[history.Result], colours: dict[tuple[int, str], int]) -> str:
    """One line per suite version, cut where the endpoint changed; needs two results."""
    if len(found) < 2:
        return ""
    when = [result.run.created_at for result in found]
    moments = [
        charts.Moment(
            result.run.created_at.timestamp(), *result.mean[:3],
            f"{result.run.suite}\n{points(result.mean.value)} {span(*result.mean[1:3])}\n"
            f"{date_format(timezone.localtime(result.run.created_at), 'SHORT_DATETIME_FORMAT')}",
            href=result.run.get_absolute_url(), colour=colours[result.series],
        )
        for result in found
    ]  # fmt: skip
    cuts = [
        charts.Cut(
            (before.run.created_at.timestamp() + after.run.created_at.timestamp()) / 2,
            _("revision %(n)s") % {"n": after.run.endpoint_revision},
        )
        for before, after in itertools.pairwise(found)
        if before.run.endpoint_revision != after.run.endpoint_revision
    ]
    ends = tuple(
        date_format(timezone.localtime(at), "SHORT_DATE_FORMAT") for at in (min(when), max(when))
    )
    return charts.timeline(moments, _("Mean score of each run over time"), cuts=cuts, ends=ends)


@require_POST
@require(Role.ENGINEER)
def check(request: HttpRequest, pk: int) -> HttpResponse:
    candidate = get_candidate(request, pk)
    candidates.check(candidate.endpoint, by=request.user)
    return redirect(candidate)


@require_POST
@require(Role.ENGINEER)
def accept_software(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the server as the software that the check took it for."""
    candidate = get_candidate(request, pk)
    candidates.accept_software(candidate.endpoint, by=request.user)
    return redirect(candidate)
