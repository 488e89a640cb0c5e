"""Suites out of the European task set, their rows loaded from where the hub's data is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from evals import hub, suites
from evals.euro.entries import entry_of
from evals.euro.load import load
from evals.euro.references import Reference
from evals.euro.tasks import PRESETS, WORDINGS, Task
from evals.euro.write import everything, groups
from evals.models import Suite
from evals.sentences import Told, gettext_noop
from portal.accounts.models import Project, User

ORIGIN = gettext_noop("The European task set")
DESCRIPTION = "Tasks of the European set as in docs/euro-tasks.md, preset {preset}."


class Unknown(ValueError):
    """There is no such language, family or wording in the set; the text names those there are."""


def select(
    languages: Sequence[str], families: Sequence[str] = (), wording: str = ""
) -> list[Task | Reference]:
    """The tasks of ``languages``, in their order.

    Without ``families`` those five that the mean of a language counts; without ``wording`` the
    fork's prompts and the true mc2. A family without that wording has the one it has.
    """
    tasks = [task for task in everything() if getattr(task, "in_portal", True)]
    known = {
        "language": {task.language for task in tasks},
        "family": {task.family.name for task in tasks},
        "wording": set(WORDINGS),
    }
    asked = {"language": languages, "family": families, "wording": [wording] if wording else []}
    for field, values in asked.items():
        if missing := [value for value in values if value not in known[field]]:
            there = ", ".join(sorted(known[field]))
            raise Unknown(f"There is no {field} {missing[0]!r} in the set. There are: {there}")
    if not families:
        named = {task.name: task for task in tasks}
        suffix = f"_{wording}" if wording else ""
        members = groups()
        return [
            named[name] for code in languages for name in members.get(f"euro_{code}{suffix}", [])
        ]
    return [
        task
        for code in languages
        for family in families
        for task in _worded(
            [task for task in tasks if (task.language, task.family.name) == (code, family)], wording
        )
    ]


def _worded(tasks: list[Task | Reference], wording: str) -> list[Task | Reference]:
    fitting = [task for task in tasks if task.wording == (wording or "fork")]
    if not wording:  # the fork's mc2 only where it is asked for
        fitting = [task for task in fitting if not getattr(task, "argmax", False)]
    return fitting or [task for task in tasks if task.wording == "upstream"] or tasks


def install(
    project: Project,
    slug: str,
    tasks: Sequence[Task | Reference],
    *,
    version: int = 1,
    preset: str = "open-llm-v1",
    mirror: Path | None = None,
    report: Callable[[str], None] = lambda text: None,
    by: User | None = None,
) -> Suite:
    """The suite ``slug`` of ``tasks`` in ``project``; loading takes minutes for large data sets.

    ``report`` is told about each task. Every data set is looked up before the first is loaded.
    Raises hub.OutOfReach, SuiteInvalid.
    """
    if not tasks:
        raise suites.SuiteInvalid(
            gettext_noop("{origin}: no task fits languages, families and wording."),
            origin=Told(ORIGIN),
        )
    places = {repo: hub.find(repo, mirror) for repo in dict.fromkeys(task.repo for task in tasks)}
    texts: dict[str, str] = {}
    benchmarks = []
    with tempfile.TemporaryDirectory(prefix="euro-") as folder:
        for number, task in enumerate(tasks, start=1):
            place = places[task.repo]
            try:
                found = load(task, preset, Path(folder), place.path, place.arguments)
            except Exception as error:  # datasets, lm-eval and the hub each have their own
                raise hub.OutOfReach(
                    f"{task.name}: the data set {task.repo} cannot be loaded from {place.path} "
                    f"({type(error).__name__}: {error})."
                ) from error
            entry, files = entry_of(task, found, preset, place)
            benchmarks.append(entry)
            texts |= files
            left = f", {found.left_out} with an empty choice left out" if found.left_out else ""
            report(f"{number} of {len(tasks)}: {task.name}, {len(found.rows)} questions{left}")
    licences = sorted({place.licence for place in places.values() if place.licence})
    entry = {
        "slug": slug,
        "version": version,
        "name": f"Euro: {', '.join(dict.fromkeys(task.language for task in tasks))}",
        "description": DESCRIPTION.format(preset=preset),
        "licence": ", ".join(licences) if len(licences) < 4 else "several, see the benchmarks",
        "tags": ["multilingual"],
        "benchmarks": benchmarks,
    }
    return suites.add(project, entry, texts, ORIGIN, by=by)


def default_slug(languages: Sequence[str], wording: str, preset: str) -> str:
    """Such as ``euro-de-fr-native``."""
    rest = [wording] if wording else []
    return "-".join(
        ["euro", *languages, *rest, *([preset] if preset != next(iter(PRESETS)) else [])]
    )
