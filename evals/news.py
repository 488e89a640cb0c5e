"""What a person wants to know first: what waits for them, and what happened meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from evals.leaderboard import View
from evals.models import Candidate, Part, Probe, Run, Standing, Suite
from evals.spending import with_spending
from evals.stats.ranks import DEFAULT
from portal.accounts.models import Project
from workers.models import JobState

STILL_NEWS = timedelta(days=30)  # what failed before that is not going to be mended
SHOWN = 5


class Waiting(NamedTuple):
    """Something that does not go on by itself, and where to help it."""

    title: str
    reason: str
    url: str


class Leaders(NamedTuple):
    """Who may be best on a suite: the models that none is really better than.

    ``best`` holds model and overall score (0 to 1), best first; ``measured`` counts all on the
    board.
    """

    suite: Suite
    best: list[tuple[Candidate, float]]
    measured: int
    computed_at: datetime


class News(NamedTuple):
    """What waits for a person, runs at work now, and what is new since the last visit."""

    leaders: list[Leaders]
    waiting: list[Waiting]
    running: list[Run]
    finished: list[Run]
    registered: list[Candidate]


def news(project: Project, since: datetime) -> News:
    """The news of ``project``, at most ``SHOWN`` of each kind, in a fixed number of queries."""
    runs = Run.objects.in_project(project).for_list()
    running = list(runs.active().order_by("-pk")[:SHOWN])
    finished = list(runs.finished().filter(finished_at__gt=since).order_by("-finished_at")[:SHOWN])
    for run in running:
        run.count_up()
    registered = Candidate.objects.in_project(project).filter(created_at__gt=since)
    return News(
        _leaders(project),
        [*_stopped_runs(project), *_endpoints(project)][:SHOWN],
        running,
        with_spending(finished),
        list(registered.order_by("-pk")[:SHOWN]),
    )


def _leaders(project: Project) -> list[Leaders]:
    """From the fits that exist: the home page computes none."""
    kept = list(
        Standing.objects.filter(suite__project=project, view=View().key)
        .select_related("suite")
        .order_by("-computed_at")[:SHOWN]
    )
    names = Candidate.objects.in_project(project).in_bulk()
    found = []
    for standing in kept:
        places = {int(pk): place for pk, place in standing.board.items() if int(pk) in names}
        best = [
            (names[pk], place["overall"][0])
            for pk, place in places.items()
            if isinstance(place["rank"], dict)  # a fit of before ranks were corrected is not shown
            and place["rank"][DEFAULT][0] == 1
        ]
        if best:
            best.sort(key=lambda pair: -pair[1])
            found.append(Leaders(standing.suite, best[:SHOWN], len(places), standing.computed_at))
    return found


def _stopped_runs(project: Project) -> list[Waiting]:
    """Runs that failed, stopped or lack answers, and that no later run has made up for."""
    later = Run.objects.filter(
        candidate=OuterRef("candidate"), suite=OuterRef("suite"), pk__gt=OuterRef("pk")
    )
    incomplete = Part.objects.filter(run=OuterRef("pk"), errors__gt=0)
    runs = (
        Run.objects.in_project(project)
        .for_list()
        .filter(
            Q(state__in=(JobState.FAILED, JobState.STOPPED))
            | Q(Exists(incomplete), state=JobState.DONE),
            ~Exists(later),
            finished_at__gt=timezone.now() - STILL_NEWS,
        )
        .order_by("-finished_at")[:SHOWN]
    )
    found = []
    for run in runs:
        run.count_up()
        if run.state == JobState.FAILED:
            reason = gettext("The run failed. What it has measured is kept; resume it.")
        elif run.state == JobState.STOPPED:
            reason = run.explanation
        else:
            reason = ngettext(
                "%(count)s sample has no answer. Resume the run to ask again.",
                "%(count)s samples have no answer. Resume the run to ask again.",
                run.errors,
            ) % {"count": run.errors}
        found.append(Waiting(run.title, reason, run.get_absolute_url()))
    return found


def _endpoints(project: Project) -> list[Waiting]:
    """Models whose server was not checked as it is now, or could not be asked at its check."""
    checked = Probe.objects.filter(
        endpoint=OuterRef("endpoint"),
        endpoint_revision=OuterRef("endpoint__revision"),
        state=JobState.DONE,
    )
    usable = checked.filter(Q(capabilities__chat=True) | Q(capabilities__completions=True))
    candidates = (
        Candidate.objects.in_project(project)
        .annotate(is_checked=Exists(checked))
        .filter(~Exists(usable), endpoint__isnull=False)
        .order_by("name")
    )
    unchecked = gettext("Its server has not been checked as it is now.")
    unusable = gettext("At its check the server could not be asked.")
    return [
        Waiting(
            candidate.name,
            unusable if candidate.is_checked else unchecked,
            candidate.get_absolute_url(),
        )
        for candidate in candidates[:SHOWN]
    ]
