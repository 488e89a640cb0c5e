"""Boards that people put together: compute, keep, share and take back."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from evals import leaderboard
from evals.leaderboard import Cell, Row
from evals.models import Benchmark, Candidate, SavedBoard
from portal.accounts import audit
from portal.accounts.keys import digest
from portal.accounts.models import Project, User

HEAVIEST = 1000.0
COLUMNS = {
    "board": str, "model": str, "rank_best": int, "rank_worst": int, "correction": str,
    "suite": str, "suite_version": int, "benchmark": str, "language": str, "scoring": str,
    "metric": str, "weight": float, "value": float, "low": float, "high": float, "valid": bool,
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A saved board with its results, best first; those without overall last."""

    saved: SavedBoard
    benchmarks: list[Benchmark]
    rows: list[Row]

    @property
    def ranked(self) -> list[Row]:
        return [row for row in self.rows if row.overall]

    @property
    def pairs(self) -> int:
        return len(self.ranked) * (len(self.ranked) - 1) // 2

    def weight(self, benchmark: Benchmark) -> float:
        return weight_of(self.saved, benchmark)


def weight_of(saved: SavedBoard, benchmark: Benchmark) -> float:
    return float(saved.weights.get(str(benchmark.pk), 1.0))


def candidates_for(saved: SavedBoard) -> list[Benchmark]:
    """The benchmarks that languages and use cases leave, whatever they weigh."""
    rows = Benchmark.objects.filter(suite__in=saved.suites.all()).select_related("suite")
    found = [
        benchmark
        for benchmark in rows.defer("task", "options")
        if (not saved.languages or benchmark.language in saved.languages)
        and (not saved.tags or set(saved.tags) & set(benchmark.tags))
    ]
    return sorted(found, key=lambda b: (b.suite.slug, b.suite.version, b.language, b.position))


def compute(saved: SavedBoard) -> Found:
    """The results of ``saved``: as `leaderboard.board`, its mean weighted."""
    benchmarks = [each for each in candidates_for(saved) if weight_of(saved, each) > 0]
    cells = leaderboard.cells_of(benchmarks)
    places = {
        int(pk): leaderboard.place_of(found, saved.correction)
        for pk, found in _fit(saved, benchmarks, cells).items()
    }
    rows = [
        Row(
            candidate,
            {benchmark.pk: cells[candidate.pk].get(benchmark.pk) for benchmark in benchmarks},
            places.get(candidate.pk),
        )
        for candidate in Candidate.objects.filter(pk__in=cells)
    ]
    rows.sort(key=lambda row: (-row.overall[0] if row.overall else 1.0, row.candidate.name))
    return Found(saved, benchmarks, rows)


def _fit(
    saved: SavedBoard, benchmarks: list[Benchmark], cells: Mapping[int, Mapping[int, Cell]]
) -> dict[str, Any]:
    """Places by candidate id: those kept while results and weights are the same."""
    columns = [benchmark.pk for benchmark in benchmarks]
    marks = sorted(mine[pk].mark for mine in cells.values() for pk in columns if pk in mine)
    weights = [weight_of(saved, benchmark) for benchmark in benchmarks]
    key = json.dumps([leaderboard.METHOD, columns, weights, marks])
    fingerprint = hashlib.sha256(key.encode()).hexdigest()
    if saved.fingerprint == fingerprint:
        return saved.fit
    computed = leaderboard.compute(benchmarks, cells, weights)
    saved.fit, saved.fingerprint = computed, fingerprint
    SavedBoard.objects.filter(pk=saved.pk).update(fit=computed, fingerprint=fingerprint)
    return computed


def records(found: Found) -> list[dict[str, Any]]:
    """``found`` as flat records, "overall" of each model first; shares (0 to 1)."""
    out = []
    for row in found.rows:
        best, worst = row.rank or (None, None)
        value, low, high = row.overall or (None, None, None)
        base = {
            "board": found.saved.slug, "model": row.candidate.name, "rank_best": best,
            "rank_worst": worst, "correction": found.saved.correction,
        }  # fmt: skip
        out.append(base | {
            "benchmark": "overall", "metric": "weighted mean", "value": value, "low": low,
            "high": high, "valid": row.overall is not None,
        })  # fmt: skip
        for benchmark in found.benchmarks:
            if cell := row.cells[benchmark.pk]:
                out.append(base | {
                    "suite": benchmark.suite.slug, "suite_version": benchmark.suite.version,
                    "benchmark": benchmark.name, "language": benchmark.language,
                    "scoring": benchmark.scoring, "metric": cell.metric,
                    "weight": found.weight(benchmark), "value": cell.value, "low": cell.low,
                    "high": cell.high, "valid": cell.valid,
                })  # fmt: skip
    return [{name: record.get(name) for name in COLUMNS} for record in out]


@transaction.atomic
def keep(saved: SavedBoard, chosen: list[Any], *, by: User | None) -> SavedBoard:
    """Store a new or changed board over the suites ``chosen``."""
    new = saved.pk is None
    if new:
        saved.created_by = by
    saved.save()
    saved.suites.set(chosen)
    action = "board.create" if new else "board.change"
    audit.record(saved.project, action, saved, by=by, suites=[str(suite) for suite in chosen])
    return saved


@transaction.atomic
def weigh(saved: SavedBoard, weights: Mapping[int, float], *, by: User | None) -> None:
    """Set the weight of benchmarks by id; 1 need not be kept."""
    saved.weights = {str(pk): weight for pk, weight in weights.items() if weight != 1}
    saved.save(update_fields=["weights"])
    audit.record(saved.project, "board.weigh", saved, by=by, weighted=len(saved.weights))


@transaction.atomic
def delete(saved: SavedBoard, *, by: User | None) -> None:
    audit.record(saved.project, "board.delete", saved, by=by)
    saved.delete()


@transaction.atomic
def set_default(saved: SavedBoard, on: bool, *, by: User | None) -> None:
    """Make it what *Leaderboard* opens in the project, or no longer."""
    Project.objects.select_for_update().get(pk=saved.project_id)
    SavedBoard.objects.filter(project=saved.project, is_default=True).update(is_default=False)
    SavedBoard.objects.filter(pk=saved.pk).update(is_default=on)
    audit.record(saved.project, "board.default", saved, by=by, on=on)


@transaction.atomic
def share(saved: SavedBoard, *, by: User | None) -> str:
    """The secret of a public link, kept nowhere; an earlier link ends."""
    secret = secrets.token_urlsafe(32)
    SavedBoard.objects.filter(pk=saved.pk).update(share_digest=digest(secret))
    audit.record(saved.project, "board.share", saved, by=by)
    return secret


@transaction.atomic
def unshare(saved: SavedBoard, *, by: User | None) -> None:
    """End the public link at once."""
    SavedBoard.objects.filter(pk=saved.pk).update(share_digest="")
    audit.record(saved.project, "board.unshare", saved, by=by)


def shared(secret: str) -> SavedBoard | None:
    """The board whose public link holds ``secret``."""
    if not secret:
        return None
    return SavedBoard.objects.filter(share_digest=digest(secret)).first()


def default_of(project: Project) -> SavedBoard | None:
    return SavedBoard.objects.filter(project=project, is_default=True).first()
