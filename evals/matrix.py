"""What each server of a project was found able to do, side by side, as the checks have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from evals.llm import PROBE_VERSION, PROBES
from evals.models import Candidate, Endpoint, Probe
from portal.accounts.models import Project

COLUMNS = [name for name in PROBES if name not in ("reachable", "software")]
RECORD = {
    "model": str, "endpoint": str, "software": str, "server": str, "checked_at": datetime,
    "probes_version": int, **dict.fromkeys(COLUMNS, bool),
}  # fmt: skip


class Row(NamedTuple):
    """One server with the newest finished check of it as it is now, if there is one.

    ``cells`` holds a verdict for each of ``COLUMNS``, None where it was not asked. ``old``: the
    questions have changed since.
    """

    candidate: Candidate
    endpoint: Endpoint
    probe: Probe | None
    cells: list[dict[str, Any] | None]
    old: bool


def rows(project: Project) -> list[Row]:
    """A row a server, by name of the model; three queries however many there are."""
    return [_row(found) for found in Candidate.objects.in_project(project).for_list()]


def _row(candidate: Candidate) -> Row:
    endpoint = candidate.endpoint
    probe = endpoint.verified
    found = {verdict["name"]: verdict for verdict in probe.verdicts} if probe else {}
    old = probe is not None and probe.probes_version != PROBE_VERSION
    return Row(candidate, endpoint, probe, [found.get(name) for name in COLUMNS], old)


def records(found: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """The same for files: true, false, or None where a probe says nothing."""
    for row in found:
        yield {
            "model": row.candidate.name,
            "endpoint": row.endpoint.base_url,
            "software": row.endpoint.software,
            "server": row.probe.server if row.probe else None,
            "checked_at": row.probe.finished_at if row.probe else None,
            "probes_version": row.probe.probes_version if row.probe else None,
            **{
                name: cell["ok"] if cell else None
                for name, cell in zip(COLUMNS, row.cells, strict=True)
            },
        }
