"""Suites that leave and enter as signed files, and whose files are taken."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from tempfile import TemporaryFile

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from evals import licences, packs, suites, words
from evals.forms import PackForm, TrustForm
from evals.models import Suite, TrustedKey, WaitingPack
from portal.accounts.models import Role
from portal.accounts.permissions import fetch, may, require
from portal.secrets import SecretUnreadable


def download(request: HttpRequest, pk: int) -> HttpResponse:
    """The suite as a data pack."""
    suite = fetch(request, Suite.objects, Role.ENGINEER, pk=pk)
    made = TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        packs.export(suite, made, by=request.user)
    except SecretUnreadable:
        messages.error(request, _("The key that signs packs cannot be read. Ask the operators."))
        return redirect(suite)
    made.seek(0)
    return FileResponse(made, as_attachment=True, filename=packs.file_name(suite))


@require(Role.ENGINEER)
def index(request: HttpRequest) -> HttpResponse:
    """Upload a pack, or go on with one that waits."""
    form = PackForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        file.seek(0)
        return redirect(packs.keep(request.project, file.name, file.read(), by=request.user))
    waiting = WaitingPack.objects.filter(project=request.project)
    context = {"form": form, "waiting": waiting.select_related("by").defer("content")}
    status = 422 if request.method == "POST" else 200
    return render(request, "evals/packs/index.html", context, status=status)


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """What a pack holds before it is imported, and then its import."""
    waiting = fetch(request, WaitingPack.objects, Role.ENGINEER, pk=pk)
    accepted = request.POST.get("fingerprint", "") if may(request, Role.ADMIN) else ""
    try:
        pack = packs.read(BytesIO(waiting.content))
        if request.method == "POST":
            suite = packs.install(request.project, pack, by=request.user, accepted=accepted)
            waiting.delete()
            return redirect(suite)
    except packs.UnknownSigner:
        messages.error(request, _("The signer is not known here: see below."))
    except (packs.PackInvalid, suites.SuiteInvalid) as error:
        messages.error(request, words.told(error))
        return redirect("evals:packs")
    signer, beside = packs.signer(request.project, pack), packs.differences(request.project, pack)
    taken = beside and not beside.same and beside.suite.version == pack.entry["version"]
    context = {
        "waiting": waiting,
        "pack": pack,
        "made_at": _moment(pack.made.at),
        "signer": signer,
        "benchmarks": list(packs.benchmarks(pack)),
        "beside": beside,
        "taken": taken,
        "importable": not taken and (signer.known or may(request, Role.ADMIN)),
        "concerns": list(licences.concerns(pack.entry)),
    }
    return render(request, "evals/packs/detail.html", context)


def _moment(text: str) -> datetime | None:
    """The time that a pack's maker wrote down; None where it is none, for it is anyone's text."""
    try:
        found = datetime.fromisoformat(text)
        return timezone.localtime(found) if timezone.is_aware(found) else found
    except (ValueError, OverflowError):
        return None


@require_POST
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    fetch(request, WaitingPack.objects.defer("content"), Role.ENGINEER, pk=pk).delete()
    return redirect("evals:packs")


@require(Role.ENGINEER)
def keys(request: HttpRequest) -> HttpResponse:
    return _keys(request, TrustForm())


@require_POST
@require(Role.ADMIN)
def trust(request: HttpRequest) -> HttpResponse:
    form = TrustForm(request.POST)
    if not form.is_valid():
        return _keys(request, form)
    packs.trust(request.project, *form.cleaned_data.values(), by=request.user)
    return redirect("evals:pack_keys")


@require_POST
def distrust(request: HttpRequest, pk: int) -> HttpResponse:
    key = fetch(request, TrustedKey.objects.select_related("project"), Role.ADMIN, pk=pk)
    packs.distrust(key, by=request.user)
    return redirect("evals:pack_keys")


def _keys(request: HttpRequest, form: TrustForm) -> HttpResponse:
    trusted = TrustedKey.objects.filter(project=request.project).select_related("added_by")
    context = {"own": packs.own_key(), "trusted": trusted, "form": form}
    return render(request, "evals/packs/keys.html", context, status=422 if form.is_bound else 200)
