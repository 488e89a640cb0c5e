from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count, Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from evals import imports, tables, words
from evals.formats import boards
from evals.formats.given import Fault
from evals.forms import ImportForm, SourceForm
from evals.models import ExternalResult, Import, ImportedFile
from evals.storable import cleaned
from portal.accounts.models import Role
from portal.accounts.permissions import may, require
from portal.ui import downloads
from portal.ui.tables import PER_PAGE, paged

COMMAND = "manage.py results import"


def get_import(request: HttpRequest, pk: int) -> Import:
    """A kept import of the project; a preview is for those who may keep it."""
    found = get_object_or_404(_with_files(request), pk=pk)
    if not found.confirmed_at and not may(request, Role.ENGINEER):
        raise Http404
    return found


def _with_files(request: HttpRequest) -> QuerySet[Import]:
    names = Prefetch("files", ImportedFile.objects.defer("packed"))
    return Import.objects.in_project(request.project).prefetch_related(names)


@require(Role.VIEWER)
def index(request: HttpRequest) -> HttpResponse:
    kept = list(_with_files(request).confirmed().annotate(count=Count("results")))
    found = _filtered(request, kept)
    if downloads.asked(request):
        rows = tables.external(_at_once(found, kept))
        return downloads.table(request, "result.list", "external-results", rows, tables.EXTERNAL)
    page = paged(request, found)
    page.object_list = list(_at_once(page.object_list, kept))
    context = {"page": page, "kept": kept, "spreads": words.SPREADS}
    return render(request, "evals/imports/index.html", context)


def _filtered(request: HttpRequest, kept: list[Import]) -> QuerySet[ExternalResult]:
    found = ExternalResult.objects.filter(source__in=kept).order_by("-source", "pk")
    for word in request.GET.get("q", "").replace("\0", "").split()[:10]:
        found = found.filter(model__icontains=word)
    chosen = request.GET.get("import", "")
    if chosen in {str(each.pk) for each in kept}:
        found = found.filter(source=int(chosen))
    return found


def _at_once(found: Any, kept: list[Import]) -> Any:
    """``found`` with the imports that are known already."""
    known = {each.pk: each for each in kept}
    for result in found.iterator(1000) if isinstance(found, QuerySet) else found:
        result.source = known[result.source_id]
        yield result


@require(Role.ENGINEER)
def create(request: HttpRequest) -> HttpResponse:
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        files = [imports.File(file.name, file.read()) for file in form.cleaned_data["file"]]
        try:
            found = imports.receive(request.project, files, by=request.user)
        except imports.ImportRefused as error:
            form.add_error("file", str(error))
        else:
            if found.confirmed_at:
                messages.info(request, _("This file has been imported already."))
            return redirect(found)
    context = {"form": form, "command": COMMAND}
    status = 422 if form.is_bound else 200
    return render(request, "evals/imports/new.html", context, status=status)


@require(Role.VIEWER)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """What a file was understood as; while it is a preview, the form that keeps it."""
    found = get_import(request, pk)
    return _page(request, found, SourceForm(found.kind))


def _page(request: HttpRequest, found: Import, form: SourceForm, status: int = 200) -> HttpResponse:
    roles = _roles(request, found)
    context: dict[str, Any] = {"found": found, "form": form, "roles": boards.ROLES}
    context["columns"] = found.columns.select_related("benchmark__suite")
    try:
        context["preview"] = imports.preview(found, roles)
        context["faults"] = [
            (each.line, words.fault(each)) for each in context["preview"].first_faults
        ]
    except imports.ImportRefused as error:
        context["refused"] = str(error)
    return render(request, "evals/imports/detail.html", context, status=status)


def _roles(request: HttpRequest, found: Import) -> dict[str, str] | None:
    """What the form says of the columns, by their place; None where it says nothing."""
    names, chosen = request.POST.getlist("column"), request.POST.getlist("role")
    return dict(zip(names, chosen, strict=False)) or None


@require_POST
@require(Role.ENGINEER)
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep it, or look at it again with other columns ("preview" in the form)."""
    found = get_import(request, pk)
    if "preview" in request.POST:  # what is written in the form stays, and is not yet judged
        return _page(request, found, SourceForm(found.kind, initial=request.POST.dict()))
    form = SourceForm(found.kind, request.POST)
    if not form.is_valid():
        return _page(request, found, form, status=422)
    try:
        roles = _roles(request, found)
        found = imports.confirm(found, by=request.user, roles=roles, **form.cleaned_data)
    except imports.KeptAlready as error:
        messages.error(request, str(error))
        return redirect(error.known)
    except imports.ImportRefused as error:
        for name in error.fields:
            form.add_error(name if name in form.fields else None, str(error))
        return _page(request, found, form, status=422)
    messages.success(request, _("The results have been imported."))
    return redirect(found)


@require(Role.VIEWER)
def file(request: HttpRequest, pk: int) -> HttpResponse:
    """The file as it came."""
    found = get_import(request, pk)
    names = [kept.name for kept in found.files.all()]
    name = names[0] if len(names) == 1 else f"import-{found.pk}.zip"
    return downloads.Download(
        imports.archive(found), as_attachment=True, filename=name,
        content_type="application/octet-stream",
    )  # fmt: skip


@require(Role.VIEWER)
def samples(request: HttpRequest, pk: int) -> HttpResponse:
    """Records of a samples file, read from the file as it came."""
    found = get_import(request, pk)
    task, given = request.GET.get("task", ""), request.GET.get("page", "1")
    if not task:
        return redirect("evals:import", pk=pk)  # which lists them by task
    number = int(given) if given.isdecimal() and len(given) < 7 and int(given) else 1
    rows = imports.samples(found, task, (number - 1) * PER_PAGE, PER_PAGE + 1)
    context = {
        "found": found,
        "task": task,
        "rows": [
            {"fault": words.fault(row), "line": row.line} if isinstance(row, Fault)
            else cleaned(vars(row))
            for row in rows[:PER_PAGE]
        ],
        "before": number - 1,
        "after": number + 1 if len(rows) > PER_PAGE else 0,
    }  # fmt: skip
    return render(request, "evals/imports/samples.html", context)


@require_POST
@require(Role.ENGINEER)
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    imports.remove(get_import(request, pk), by=request.user)
    messages.success(request, _("The imported results have been deleted."))
    return redirect("evals:external")
