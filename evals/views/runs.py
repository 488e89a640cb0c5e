from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import F, Prefetch, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from evals import exports, forecasts, runs, set_scores, tables
from evals.forecasts import Forecast
from evals.forms import BudgetForm, RunForm, budget_initial
from evals.llm import thinking
from evals.models import Part, Run, Sample, Score, Suite
from evals.models.suites import Scoring
from evals.samples import SampleList
from evals.slots import at_once
from evals.spending import spent, with_spending
from portal.accounts import audit
from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.tables import Columns, Rows
from portal.ui import downloads
from portal.ui.htmx import page_or_part, unchanged


def get_run(request: HttpRequest, pk: int) -> Run:
    return get_object_or_404(Run.objects.in_project(request.project).for_list(), pk=pk)


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    every = Run.objects.in_project(request.project).for_list()
    if downloads.asked(request):
        rows = tables.runs(every.iterator(tables.AT_ONCE))
        return downloads.table(request, "run.list", "runs", rows, tables.RUNS)
    page = Paginator(every, 50).get_page(request.GET.get("page"))
    page.object_list = with_spending(page.object_list)
    return render(request, "evals/runs/index.html", {"page": page})


@require(Role.ENGINEER)
def create(request: HttpRequest) -> HttpResponse:
    """The form, with an estimate of what its choice takes; "estimate" in it starts nothing."""
    initial, given = _initial(request), request.POST.copy()
    if given.get("instead"):  # the way of asking that was offered after a refusal
        given["scoring"] = given["instead"]
    form = RunForm(given or None, project=request.project, initial=initial)
    if "estimate" in request.POST:
        context = {"form": form, "forecasts": _forecasts(form)}
        return page_or_part(request, "evals/runs/new.html", context, part="estimate")
    refused: list[Refused] = []
    if request.method == "POST" and form.is_valid():
        started, refused = _start(request, form)
        if started and not refused:
            return redirect(started[0] if len(started) == 1 else "evals:runs")
        if started:
            count = len(started)
            said = ngettext("%(count)s run was started.", "%(count)s runs were started.", count)
            messages.info(request, said % {"count": count})
    forecast = _forecasts(RunForm(given or initial, project=request.project))
    context = {"form": form, "refused": refused, "forecasts": forecast}
    status = 422 if form.is_bound else 200
    return render(request, "evals/runs/new.html", context, status=status)


class Refused(NamedTuple):
    """A model that cannot be asked so: what shows it, and the ways it can be asked instead."""

    name: str
    evidence: list[dict[str, Any]]
    offers: list[tuple[str, Any]]


def _start(request: HttpRequest, form: RunForm) -> tuple[list[Run], list[Refused]]:
    """The runs of the chosen models; those that were refused stand in the form's errors, too."""
    started, refused = [], []
    wishes = {name: form.cleaned_data[name] for name in ("scoring", "languages", "again")}
    wishes["budget"] = form.budget or None
    for candidate in form.cleaned_data["candidates"]:
        try:
            run = runs.start(candidate, form.cleaned_data["suite"], by=request.user, **wishes)
        except runs.BudgetRefused as error:
            refused.append(Refused(candidate.name, [], []))
            form.add_error(error.field, f"{candidate.name}: {error}")
        except runs.CannotStart as error:
            offers = [(scoring, Scoring(scoring).label) for scoring in error.offers]
            refused.append(Refused(candidate.name, error.evidence, offers))
            form.add_error("candidates", f"{candidate.name}: {error}")
        else:
            started.append(run)
    return started, refused


def _initial(request: HttpRequest) -> dict[str, Any]:
    """What the address chooses: ``?suite=…&model=…&model=…``."""
    suite = request.GET.get("suite")
    if not suite:
        first = Suite.objects.in_project(request.project).first()
        suite = first.pk if first else None
    return {"suite": suite, "candidates": request.GET.getlist("model")}


def _forecasts(form: RunForm) -> list[Forecast]:
    """What starting the choice of ``form`` would take, for each model; [] without a choice."""
    if not form.is_valid():
        return []
    chosen = form.cleaned_data["candidates"].for_list().prefetch_related("endpoint__prices")
    return forecasts.forecast(
        form.cleaned_data["suite"],
        list(chosen),
        scoring=form.cleaned_data["scoring"],
        languages=form.cleaned_data["languages"],
        again=form.cleaned_data["again"],
    )


@require(Role.VIEWER)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    run = get_run(request, pk)
    show = request.GET.get("show", "")
    name = request.GET.get("benchmark", "")
    context = _progress(run)
    shown = [part for part in context["parts"] if name in ("", part.benchmark.name)]
    if downloads.asked(request, "scores"):
        rows = tables.scores(run, context["parts"])
        return _table(request, run, "scores", rows, tables.SCORES)
    if downloads.asked(request, "samples"):
        rows = tables.samples(run, SampleList(shown, show))
        return _table(request, run, "samples", rows, tables.SAMPLES)
    page = Paginator(SampleList(shown, show), 50).get_page(request.GET.get("page"))
    context |= {"page": page, "show": show, "benchmark": name}
    return render(request, "evals/runs/detail.html", context)


def _table(
    request: HttpRequest, run: Run, name: str, rows: Rows, columns: Columns
) -> downloads.Download:
    file = f"run-{run.pk}-{name}"
    return downloads.table(request, "run.export", file, rows, columns, target=run, table=name)


@require(Role.VIEWER)
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The live part of a run's page; 204 while nothing has changed."""
    run = get_run(request, pk)
    run.count_up()
    if request.GET.get("v") == str(run.version):
        return unchanged()
    context = _progress(get_run(request, pk))
    return render(request, "evals/runs/detail.html#progress", context)


def _progress(run: Run) -> dict[str, Any]:
    """The parts with their primary score, and what they add up to; no sample is read."""
    shown = Q(metric=F("part__benchmark__metric")) | Q(metric="thinking_cut")
    parts = list(
        run.parts.select_related("benchmark")
        .prefetch_related(Prefetch("scores", Score.objects.filter(shown), to_attr="shown"))
        .defer("values", "contributions", "benchmark__task", "benchmark__options")
    )
    run.count_up(parts)
    styled = [part.pk for part in parts if part.benchmark.engine == set_scores.ENGINE]
    unread = set_scores.unread(styled) if styled else {}
    for part in parts:
        part.score = next((s for s in part.shown if s.metric == part.benchmark.metric), None)
        part.so_far = set_scores.mean_so_far(part.benchmark.metric, part, part.score)
        part.unread = unread.get(part.pk)
        part.run = run
    return {
        "run": run,
        "parts": parts,
        "figures": _figures(parts),
        "spent": spent([run])[run.pk],
        "thinking": _thinking(parts),
        "at_once": at_once(parts),
        "waiting": next((part for part in parts if part.waits), None),
        "budget_form": _budget_form(run),
    }


def _budget_form(run: Run) -> BudgetForm | None:
    """What a run with a budget is resumed with."""
    if not run.budget or not run.is_finished:
        return None
    return BudgetForm(initial=budget_initial(run.budget))


def _figures(parts: list[Part]) -> dict[str, float | None]:
    """Sums over ``parts``; None where nothing is known, which is not zero."""

    def total(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    means = [part.so_far for part in parts if part.so_far is not None]
    answered = sum(part.done for part in parts)
    return {
        "mean": sum(means) / len(means) if means else None,
        "prompt": total(part.prompt_tokens for part in parts),
        "completion": total(part.completion_tokens for part in parts),
        "uncounted": answered - sum(part.counted for part in parts),
        "latency": sum(part.latency_sum_ms for part in parts) / answered if answered else None,
    }


class Thinking(NamedTuple):
    """How many answers of a run came with thinking, and in how many it was cut off."""

    answers: int
    cut: int


def _thinking(parts: list[Part]) -> Thinking:
    scores = [s for part in parts for s in part.shown if s.metric == "thinking_cut"]
    cut = sum(round((s.value or 0.0) * s.answered) for s in scores)
    return Thinking(sum(s.answered for s in scores), cut)


@require(Role.VIEWER)
def download(request: HttpRequest, pk: int) -> downloads.Download:
    """The run as lm-eval's result files."""
    run = get_run(request, pk)
    audit.record(request.project, "run.export", run, by=request.user, format="lm-eval")
    name = f"run-{run.pk}-lm-eval.zip"
    return downloads.Download(exports.lm_eval_files(run), as_attachment=True, filename=name)


@require_POST
@require(Role.ENGINEER)
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask on; the form of a run with a budget sends the new one, an empty field is no limit."""
    run = get_run(request, pk)
    form = BudgetForm(request.POST)
    if not form.is_valid():
        for name, faults in form.errors.items():
            messages.error(request, f"{form.fields[name].label}: {faults[0]}")
        return redirect(run)
    given = "budget_tokens" in request.POST or "budget_money" in request.POST
    try:
        runs.resume(run, budget=form.budget if given else None, by=request.user)
    except runs.CannotStart as error:
        messages.error(request, str(error))
    return redirect(run)


@require(Role.VIEWER)
def sample(request: HttpRequest, run_pk: int, pk: int) -> HttpResponse:
    """One exchange, with the neighbours of the same benchmark for stepping through."""
    run = get_run(request, run_pk)
    found = get_object_or_404(
        Sample.objects.select_related("part__benchmark").defer(
            "part__values", "part__benchmark__task", "part__benchmark__options"
        ),
        pk=pk,
        part__run=run,
    )
    siblings = Sample.objects.filter(part=found.part).values_list("pk", flat=True)
    others = (
        Sample.objects.filter(
            part__benchmark=found.part.benchmark,
            doc_id=found.doc_id,
            part__run__candidate__project=request.project,
        )
        .exclude(part__run__candidate=run.candidate)
        .select_related("part__run__candidate")
        .only("answer", "correct", "value", "error", "part__run__candidate__name", "part__run__id")
        .order_by("part__run__candidate__name", "-part__run")
    )
    context = {
        "run": run,
        "sample": found,
        "benchmark": found.part.benchmark,
        "previous": siblings.filter(doc_id__lt=found.doc_id).order_by("-doc_id").first(),
        "next": siblings.filter(doc_id__gt=found.doc_id).order_by("doc_id").first(),
        "others": others,
        "options": _options(found),
        "thought": thinking.split(found.raw if "thinking" in found.metrics else ""),
    }
    return render(request, "evals/runs/sample.html", context)


def _options(sample: Sample) -> list[dict[str, object]]:
    """The choices with their log-likelihood and probability among each other, best first."""
    from math import exp

    if not sample.loglikelihoods:
        return []
    top = max(sample.loglikelihoods)
    weights = [exp(value - top) for value in sample.loglikelihoods]
    rows = [
        {
            "text": choice,
            "loglikelihood": value,
            "share": weight / sum(weights),
            "chosen": choice == sample.answer,
            "right": choice == sample.target,
        }
        for choice, value, weight in zip(
            sample.choices, sample.loglikelihoods, weights, strict=True
        )
    ]
    return sorted(rows, key=lambda row: -float(row["share"]))
