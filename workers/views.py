"""What the machine is doing, and the button that stops it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from portal.accounts import audit
from portal.accounts.models import Project, Role
from portal.accounts.permissions import fetch, require
from portal.ui import downloads
from portal.ui.htmx import page_or_part, unchanged, wants_part
from workers import jobs
from workers.models import Job, job_models

RECENT = 20
COLUMNS = {
    "job": str, "title": str, "state": str, "done": int, "failed": int, "total": int,
    "queued_at": datetime, "started_at": datetime, "finished_at": datetime, "message": str,
}  # fmt: skip


@require_GET
@require(Role.VIEWER)
def activity(request: HttpRequest) -> HttpResponse:
    """Active and recent jobs of the project; 204 while nothing has changed."""
    active, recent = listing(request.project)
    if downloads.asked(request):
        rows = map(_record, [*active, *recent])
        return downloads.table(request, "activity.export", "activity", rows, COLUMNS)
    version = fingerprint([*active, *recent])
    if wants_part(request) and request.GET.get("v") == version:
        return unchanged()
    context = {"active": active, "recent": recent, "version": version}
    return page_or_part(request, "workers/activity.html", context, part="jobs")


@require_GET
@require(Role.VIEWER)
def progress(request: HttpRequest, label: str, pk: int) -> HttpResponse:
    """The progress of one job; 204 while nothing has changed."""
    job = get_job(request, label, pk)
    if request.GET.get("v") == str(job.version):
        return unchanged()
    return render(request, "workers/_progress.html", {"job": job})


@require_POST
def cancel(request: HttpRequest, label: str, pk: int) -> HttpResponse:
    """Stop a job; asking twice is harmless."""
    job = get_job(request, label, pk, Role.ENGINEER)
    if jobs.cancel(job):
        audit.record(request.project, "job.cancel", job, by=request.user)
    if wants_part(request):
        listed = "listed" in request.POST  # the page around it has the title and polls
        context = {"job": get_job(request, label, pk), "title": listed, "still": listed}
        return render(request, "workers/_progress.html", context)
    return redirect(job)


def get_job(request: HttpRequest, label: str, pk: int, role: str = Role.VIEWER) -> Job:
    """The job of the current project; 404 for unknown tables and other projects' jobs."""
    model = next((model for model in job_models() if model._meta.label_lower == label), None)
    if model is None:
        raise Http404
    job = fetch(request, model.objects.for_list(), role, project=model.project_path, pk=pk)
    job.count_up()
    return job


def listing(project: Project) -> tuple[list[Job], list[Job]]:
    """The active jobs, longest waiting first, and the ``RECENT`` that ended last."""
    active: list[Job] = []
    ended: list[Job] = []
    for model in job_models():
        if model.in_activity:
            rows = model.objects.of(project).for_list()
            active += rows.active()
            ended += rows.finished().order_by("-finished_at")[:RECENT]
    for job in [*active, *ended]:
        job.count_up()
    return sorted(active, key=_queued), sorted(ended, key=_finished, reverse=True)[:RECENT]


def _record(job: Job) -> dict[str, object]:
    times = ("queued_at", "started_at", "finished_at")
    return {
        "job": f"{job.label}/{job.pk}",
        "title": job.title,
        "state": job.state,
        "done": job.done,
        "failed": job.errors,
        "total": job.total,
        **{name: getattr(job, name) for name in times},
        "message": job.message or None,
    }


def fingerprint(shown: Iterable[Job]) -> str:
    """Changes exactly when one of the jobs shown does, or the choice of them."""
    state = ";".join(f"{job.label}:{job.pk}:{job.version}" for job in shown)
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def _queued(job: Job) -> datetime:
    return job.queued_at


def _finished(job: Job) -> datetime:
    return job.finished_at or job.created_at
