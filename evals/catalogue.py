"""The European task set as pages and API list it: what there is, and what a project has of it.

No data is loaded: all but what is installed is known from the code.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from evals import hub
from evals.euro.entries import TITLES
from evals.euro.references import Reference
from evals.euro.tasks import PRESETS, WORDINGS, Task
from evals.euro.write import everything
from evals.models import Benchmark
from evals.words import language_name
from portal.accounts.models import Project

PRESET = next(iter(PRESETS))
AXES = ("language", "family")


class Choice(NamedTuple):
    """What is looked for; "" means all. ``by`` is what the tasks are grouped by."""

    language: str = ""
    family: str = ""
    wording: str = ""
    by: str = AXES[0]

    def holds(self, task: Task | Reference) -> bool:
        asked = (self.language, self.family, self.wording)
        said = (task.language, task.family.name, task.wording)
        return all(want in ("", have) for want, have in zip(asked, said, strict=True))


class Variant(NamedTuple):
    """One task; ``benchmark`` is the newest of its name in the project."""

    task: Task | Reference
    benchmark: Benchmark | None


class Offer(NamedTuple):
    """The tasks of one family in one language; ``shots`` is the number of examples."""

    language: str
    family: str
    variants: list[Variant]
    shots: int
    origin: str

    @property
    def first(self) -> Task | Reference:
        return self.variants[0].task

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(variant.task.metric for variant in self.variants))

    @property
    def licence(self) -> str:
        """As the data set's card said when a benchmark of it was made; "" while none is."""
        said = (each.benchmark.source.get("licence") for each in self.variants if each.benchmark)
        return next((str(licence) for licence in said if licence), "")


class Group(NamedTuple):
    """The offers of one language or family, with the number of their tasks."""

    key: str
    offers: list[Offer]
    tasks: int
    installed: int


class Catalogue(NamedTuple):
    groups: list[Group]
    tasks: int
    installed: int
    total: int


@cache
def tasks() -> tuple[Task | Reference, ...]:
    """All of the set, by language and family."""
    order = {name: number for number, name in enumerate(TITLES)}
    wording = WORDINGS.index
    return tuple(
        sorted(
            everything(),
            key=lambda t: (t.language, order[t.family.name], wording(t.wording)),
        )
    )


def languages() -> list[str]:
    return sorted({task.language for task in tasks()})


def families() -> list[str]:
    return list(TITLES)


def of(project: Project, choice: Choice) -> Catalogue:
    """The tasks that ``choice`` holds, grouped; one query."""
    here = newest(project)
    wanted = [task for task in tasks() if choice.holds(task)]
    cells: dict[tuple[str, str], list[Variant]] = {}
    for task in wanted:
        key = (task.language, task.family.name)
        cells.setdefault(key, []).append(Variant(task, here.get(task.name)))
    groups: dict[str, list[Offer]] = {}
    for (language, family), variants in cells.items():
        origin = _origin(variants)
        shots = PRESETS[PRESET].get(family, 0)
        offer = Offer(language, family, variants, shots, origin)
        groups.setdefault(family if choice.by == "family" else language, []).append(offer)
    known = families() if choice.by == "family" else sorted(groups, key=language_name)
    found = [_group(key, groups[key]) for key in known if key in groups]
    installed = sum(group.installed for group in found)
    return Catalogue(found, len(wanted), installed, len(tasks()))


def newest(project: Project) -> dict[str, Benchmark]:
    """The newest benchmark of ``project`` for each task that it has, by the task's name."""
    rows = (
        Benchmark.objects.filter(suite__project=project, name__startswith="euro_")
        .select_related("suite")
        .defer("task", "suite__description")
        .order_by("pk")
    )
    return {row.name: row for row in rows}


def _group(key: str, offers: list[Offer]) -> Group:
    variants = [variant for offer in offers for variant in offer.variants]
    return Group(key, offers, len(variants), sum(bool(each.benchmark) for each in variants))


def _origin(variants: Iterable[Variant]) -> str:
    """Where rows that the project lacks would come from: ``folder``, ``hub`` or ``pack``.

    ``project`` where it lacks none, ``lm_eval`` for what the portal cannot ask.
    """
    missing = [variant.task for variant in variants if not variant.benchmark]
    if not missing:
        return "project"
    first = missing[0]
    if not getattr(first, "in_portal", True):
        return "lm_eval"
    if settings.HUB_MIRROR and (Path(settings.HUB_MIRROR) / first.repo).is_dir():
        return "folder"
    return "hub" if hub.switched_on() else "pack"
