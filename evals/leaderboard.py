"""Which candidate is best on a suite, and which differences are real."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from django.db.models import F

from evals import set_scores, suites
from evals.models import Benchmark, Candidate, Part, Score, Standing, Suite
from evals.models.suites import Scoring
from evals.scores import interval
from evals.stats import clusters as clustered
from evals.stats.bootstrap import REPLICATES, macro_mean
from evals.stats.intervals import Interval
from evals.stats.paired import pair_differences, stack
from evals.stats.pairs import Clusters
from evals.stats.ranks import CORRECTIONS, DEFAULT, Verdicts, verdicts

METHOD = 5  # raise when a statistic changes: cached fits of the old one are dropped
ALPHA = 0.05  # a corrected p up to this is called real
LONGEST_KEY = 120  # characters of Standing.view
# One fit at a time in a process: two people who open a board at once do not compute it twice,
# and the memory of a fit is needed once.
_fitting = Lock()


class View(NamedTuple):
    """Which benchmarks a board shows: "" means all. Part of the URL and of the cache's key."""

    language: str = ""
    scoring: str = ""
    tag: str = ""

    @property
    def key(self) -> str:
        key = "|".join(self) if self.tag else f"{self.language}|{self.scoring}"
        if len(key) > LONGEST_KEY:
            return hashlib.sha256(key.encode()).hexdigest()
        return key

    def shows(self, benchmark: Benchmark) -> bool:
        return (
            self.language in ("", benchmark.language)
            and self.scoring in ("", benchmark.scoring)
            and (not self.tag or self.tag in benchmark.tags)
        )


class Models(NamedTuple):
    """Which models a board shows. It hides rows and changes no number: ranks stay among all.

    ``smallest`` and ``largest`` in billions of parameters; who does not tell a size is hidden
    by either.
    """

    text: str = ""
    smallest: float | None = None
    largest: float | None = None
    licence: str = ""
    quantisation: str = ""

    def holds(self, candidate: Candidate) -> bool:
        size = candidate.parameters
        if self.smallest is not None and (size is None or size < self.smallest):
            return False
        if self.largest is not None and (size is None or size > self.largest):
            return False
        return (
            self._said(candidate.name, candidate.base_model, *candidate.facts)
            and self.licence in ("", candidate.licence)
            and self.quantisation in ("", candidate.quantisation)
        )

    def names(self, model: str) -> bool:
        """Whether it shows ``model``, of which nothing but the name is known."""
        return self._said(model) and self[1:] == Models()[1:]

    def _said(self, *texts: str) -> bool:
        said = " ".join(texts).lower()
        return all(word in said for word in self.text.lower().split())


class Cell(NamedTuple):
    """The primary metric of one candidate on one benchmark; ``mark`` changes with the result."""

    mark: int
    part: int
    run: int
    metric: str
    value: float | None
    low: float | None
    high: float | None
    method: str
    asked: int
    answered: int
    valid: bool
    unread: float = 0.0
    """Share of answers in which nothing could be read, where an answer has to be."""


Cells = dict[int, dict[int, Cell]]  # by candidate, then by benchmark


class Gap(NamedTuple):
    """Paired difference to the first row, same samples: ``value`` = this − first.

    ``real``: it could hardly be chance, ``p`` corrected for the number of comparisons (None
    where there is no test). The interval is that of this difference alone.
    """

    value: float
    low: float
    high: float
    real: bool
    p: float | None = None


class Place(NamedTuple):
    """Mean with interval over some benchmarks, and the places it may truly hold."""

    overall: tuple[float, float, float]
    rank: tuple[int, int]
    gap: Gap | None

    @property
    def leads(self) -> bool:
        """Nobody is significantly better."""
        return self.rank[0] == 1


@dataclass(frozen=True)
class Row:
    """One candidate. ``place`` is None unless every column is valid.

    ``languages`` holds its place among the benchmarks of each language alone.
    """

    candidate: Candidate
    cells: dict[int, Cell | None]
    place: Place | None = None
    languages: dict[str, Place] = field(default_factory=dict)

    @property
    def overall(self) -> tuple[float, float, float] | None:
        return self.place and self.place.overall

    @property
    def rank(self) -> tuple[int, int] | None:
        return self.place and self.place.rank

    @property
    def gap(self) -> Gap | None:
        return self.place and self.place.gap


@dataclass(frozen=True)
class Board:
    suite: Suite
    view: View
    benchmarks: list[Benchmark]
    rows: list[Row] = field(default_factory=list)
    computed_at: datetime | None = None
    correction: str = DEFAULT

    @property
    def ranked(self) -> list[Row]:
        return [row for row in self.rows if row.overall]

    @property
    def pairs(self) -> int:
        """How many pairs of models its ranks are corrected for."""
        return len(self.ranked) * (len(self.ranked) - 1) // 2

    @property
    def clustered(self) -> list[Benchmark]:
        """The benchmarks whose questions are counted by the text they belong to."""
        return [benchmark for benchmark in self.benchmarks if benchmark.cluster]

    @cached_property
    def languages(self) -> list[str]:
        return sorted({benchmark.language for benchmark in self.benchmarks})


def board(
    suite: Suite, view: View, *, by_language: bool = False, correction: str = DEFAULT
) -> Board:
    """The board of ``suite`` under ``view``, best first, candidates without overall last.

    Overall = unweighted mean of the shown benchmarks' primary metrics; percentile bootstrap
    over samples within each benchmark (B = 1000, seeded); texts are drawn whole where the
    benchmark names them. Ranks are ranges from paired tests on the same samples, corrected for
    the number of pairs by ``correction`` (evals.stats.ranks). A candidate that misses a column, or
    has one below 95 % coverage, has no overall: missing is not zero. ``by_language`` adds the
    same for the benchmarks of each language.
    """
    benchmarks = shown(suite, view)
    cells = cells_of(benchmarks)
    columns = [benchmark.pk for benchmark in benchmarks]
    found = Board(suite, view, benchmarks, correction=correction)
    narrower = [view._replace(language=language) for language in found.languages]
    wanted = [view, *(narrower if by_language else ())]
    places, computed_at = _places(suite, wanted, cells, correction)
    rows = [
        Row(
            candidate=candidate,
            cells={pk: cells[candidate.pk].get(pk) for pk in columns},
            place=places[view].get(candidate.pk),
            languages={
                narrow.language: places[narrow][candidate.pk]
                for narrow in places
                if narrow != view and candidate.pk in places[narrow]
            },
        )
        for candidate in Candidate.objects.filter(pk__in=cells)
    ]
    rows.sort(key=lambda row: (-row.overall[0] if row.overall else 1.0, row.candidate.name))
    return Board(suite, view, benchmarks, rows, computed_at, correction)


def shown(suite: Suite, view: View) -> list[Benchmark]:
    """The columns of ``view``, languages together."""
    found = [benchmark for benchmark in suite.benchmarks.all() if view.shows(benchmark)]
    return sorted(found, key=column_order)


def column_order(benchmark: Benchmark) -> tuple[str, int]:
    """Languages together. The interval of an overall mean depends on the order, too."""
    return benchmark.language, benchmark.position


def refresh(suite: Suite) -> None:
    """Compute the boards that people open, where results have changed; for a worker."""
    benchmarks = list(suite.benchmarks.all())
    views = [View()]
    views += [View(language=language) for language in sorted({b.language for b in benchmarks})]
    used = {benchmark.scoring for benchmark in benchmarks}
    views += [View(scoring=scoring) for scoring in Scoring.values if scoring in used]
    views += [View(tag=tag) for tag in sorted({tag for b in benchmarks for tag in b.tags})]
    _places(suite, views, cells_of(benchmarks))


COLUMNS = {
    "suite": str, "suite_version": int, "model": str, "rank_best": int, "rank_worst": int,
    "correction": str, "benchmark": str, "language": str, "scoring": str, "metric": str,
    "value": float, "low": float, "high": float, "method": str, "answered": int, "asked": int,
    "valid": bool, "run": int, "imported_from": str,
}  # fmt: skip


def records(found: Board) -> list[dict[str, Any]]:
    """``found`` as flat records, one per candidate and benchmark plus one "overall" each.

    Values are shares (0 to 1), never localised; missing values are None.
    """
    out: list[dict[str, Any]] = []
    for row in found.rows:
        base = {
            "suite": found.suite.slug,
            "suite_version": found.suite.version,
            "model": row.candidate.name,
            "rank_best": row.rank[0] if row.rank else None,
            "rank_worst": row.rank[1] if row.rank else None,
            "correction": found.correction,
            "imported_from": None,
        }
        value, low, high = row.overall or (None, None, None)
        out.append(
            {
                **base,
                "benchmark": "overall",
                "language": found.view.language or None,
                "scoring": found.view.scoring or None,
                "metric": "mean",
                "value": value,
                "low": low,
                "high": high,
                "method": "percentile bootstrap" if row.overall else None,
                "answered": sum(cell.answered for cell in row.cells.values() if cell),
                "asked": sum(cell.asked for cell in row.cells.values() if cell),
                "valid": row.overall is not None,
                "run": None,
            }
        )
        for benchmark in found.benchmarks:
            cell = row.cells[benchmark.pk]
            out.append(
                {
                    **base,
                    "benchmark": benchmark.name,
                    "language": benchmark.language,
                    "scoring": benchmark.scoring,
                    "metric": benchmark.metric,
                    "value": cell.value if cell else None,
                    "low": cell.low if cell else None,
                    "high": cell.high if cell else None,
                    "method": cell.method if cell else None,
                    "answered": cell.answered if cell else None,
                    "asked": cell.asked if cell else None,
                    "valid": cell.valid if cell else None,
                    "run": cell.run if cell else None,
                }
            )
    return out


def cells_of(benchmarks: Sequence[Benchmark]) -> Cells:
    """The newest result per candidate and benchmark, of the endpoint as it is now.

    A part that is being resumed keeps its scores: answered samples only ever grow in number.
    """
    rows = (
        Score.objects.filter(
            part__benchmark__in=benchmarks,
            metric=F("part__benchmark__metric"),
            part__run__endpoint_revision=F("part__run__candidate__endpoint__revision"),
        )
        .order_by("part")
        .values_list(
            "part__run__candidate",
            "part__benchmark",
            *("pk", "part", "part__run", "metric", "value", "low", "high", "method"),
            *("asked", "answered", "valid"),
        )
    )
    found: Cells = {}
    for candidate, benchmark, *cell in rows:
        found.setdefault(candidate, {})[benchmark] = Cell(*cell)
    styled = {each.pk for each in benchmarks if each.engine == set_scores.ENGINE}
    if styled:
        own = [cell.part for mine in found.values() for pk, cell in mine.items() if pk in styled]
        unread = set_scores.unread(own)
        for mine in found.values():
            for pk, cell in mine.items():
                if cell.part in unread:
                    mine[pk] = cell._replace(unread=unread[cell.part])
    return found


def _places(
    suite: Suite, views: Sequence[View], cells: Cells, correction: str = DEFAULT
) -> tuple[dict[View, dict[int, Place]], datetime | None]:
    """The places under each of ``views`` by candidate, and when the first was computed."""
    kept = {
        standing.view: standing
        for standing in Standing.objects.filter(suite=suite, view__in=[v.key for v in views])
    }
    standings = [_standing(suite, view, cells, kept.get(view.key)) for view in views]
    places = {
        view: {int(pk): place_of(found, correction) for pk, found in standing.board.items()}
        for view, standing in zip(views, standings, strict=True)
    }
    return places, standings[0].computed_at


def place_of(found: dict[str, Any], correction: str) -> Place:
    """A place out of what `fit` keeps of a candidate."""
    gap = None
    if found["gap"]:
        p = found["p"][correction]
        gap = Gap(*found["gap"], p is not None and p <= ALPHA, p)
    return Place(tuple(found["overall"]), tuple(found["rank"][correction]), gap)


def _standing(suite: Suite, view: View, cells: Cells, kept: Standing | None) -> Standing:
    """The fit of ``view``: ``kept`` while the results are the same, else a new one."""
    benchmarks = shown(suite, view)
    columns = [benchmark.pk for benchmark in benchmarks]
    # A score's row is written anew whenever its part is scored, so its key stands for the result.
    marks = sorted(mine[pk].mark for mine in cells.values() for pk in columns if pk in mine)
    fingerprint = hashlib.sha256(f"{METHOD}|{marks}".encode()).hexdigest()
    if kept and kept.fingerprint == fingerprint:
        return kept
    with _fitting:
        again = Standing.objects.filter(suite=suite, view=view.key).first()
        if again and again.fingerprint == fingerprint:
            return again
        computed = compute(benchmarks, cells)
        made, _new = Standing.objects.update_or_create(
            suite=suite, view=view.key, defaults={"fingerprint": fingerprint, "board": computed}
        )
    return made


def compute(
    benchmarks: Sequence[Benchmark],
    cells: Mapping[int, Mapping[int, Cell]],
    weights: Sequence[float] | None = None,
) -> dict[str, dict[str, Any]]:
    """`fit` by candidate id, of those with a valid result in each column.

    ``weights`` of the benchmarks, all above 0; without them all weigh the same.
    """
    columns = [benchmark.pk for benchmark in benchmarks]
    complete = [
        candidate
        for candidate, mine in cells.items()
        if columns and all(pk in mine and mine[pk].valid for pk in columns)
    ]
    if not complete:
        return {}
    scores = _values(complete, columns, cells)
    if weights and len(set(weights)) > 1:
        # The plain mean of scores times w·k/Σw is their weighted mean, whatever is done with it.
        each = [weight * len(weights) / sum(weights) for weight in weights]
        scores = [[w * column for w, column in zip(each, mine, strict=True)] for mine in scores]
    sizes = map(len, scores[0])
    texts = [suites.texts_of(*pair) for pair in zip(benchmarks, sizes, strict=True)]
    found = fit(scores, texts)
    if len(columns) == 1:  # the interval of its cell: of a metric of the whole set it is exact
        for candidate, mine in zip(complete, found, strict=True):
            cell = cells[candidate][columns[0]]
            mine["overall"] = [cell.value, cell.low, cell.high]
    return dict(zip(map(str, complete), found, strict=True))


def fit(scores: Sequence[list[np.ndarray]], texts: Clusters) -> list[dict[str, Any]]:
    """Overall, rank, gap and p of each candidate: JSON, the ranks under every correction."""
    overall = [overall_of(mine, texts) for mine in scores]
    first = max(range(len(scores)), key=lambda number: overall[number].value)
    pairs = verdicts(scores, texts)
    ranges = {name: pairs.ranges(len(scores), name) for name in CORRECTIONS}
    gaps, p_values = _gaps(scores, texts, first), _p_values(pairs, len(scores), first)
    return [
        {
            "overall": [overall[number].value, overall[number].low, overall[number].high],
            "rank": {name: list(ranges[name][number]) for name in CORRECTIONS},
            "gap": gaps.get(number),
            "p": p_values[number],
        }
        for number in range(len(scores))
    ]


def _values(
    complete: Sequence[int], columns: Iterable[int], cells: Mapping[int, Mapping[int, Cell]]
) -> list[list[np.ndarray]]:
    """The values by doc_id of each candidate on each column, NaN = not answered."""
    scores: list[list[np.ndarray]] = [[] for _ in complete]
    for column in columns:
        wanted = [cells[candidate][column].part for candidate in complete]
        found = contributions(wanted)
        for mine, part in zip(scores, wanted, strict=True):
            mine.append(found[part])
    return scores


def contributions(parts: Iterable[int]) -> dict[int, np.ndarray]:
    """Numbers by doc_id whose mean is the score, of each of ``parts``; NaN = not answered."""
    stored = Part.objects.filter(pk__in=parts).order_by()
    return {
        pk: np.array(own or values or [], dtype=float)  # None becomes NaN
        for pk, values, own in stored.values_list("pk", "values", "contributions")
    }


def overall_of(columns: Sequence[np.ndarray], texts: Clusters | None = None) -> Interval:
    """The mean over benchmarks; one benchmark alone has the same interval as its cell."""
    names = texts or [None] * len(columns)
    there = [np.flatnonzero(~np.isnan(column)) for column in columns]
    answered = [column[at] for column, at in zip(columns, there, strict=True)]
    kept = [
        [mine[place] for place in at] if mine else None
        for mine, at in zip(names, there, strict=True)
    ]
    if len(answered) == 1:
        return interval(answered[0].tolist(), kept[0])
    return clustered.macro_mean(answered, kept) if any(kept) else macro_mean(answered)


def _gaps(
    scores: Sequence[list[np.ndarray]], texts: Clusters, first: int
) -> dict[int, list[float]]:
    """Each one's paired difference to ``first``; as evals.stats.paired, all at once."""
    others = np.array([number for number in range(len(scores)) if number != first], dtype=int)
    if not others.size:
        return {}
    found = pair_differences(
        stack(scores), others, np.full_like(others, first), REPLICATES, seed=0, level=0.95,
        clusters=texts,
    )  # fmt: skip
    ends = zip(others.tolist(), found.delta, found.low, found.high, strict=True)
    return {
        number: [float(delta), float(low), float(high)]
        for number, delta, low, high in ends
        if not np.isnan(delta)
    }


def _p_values(pairs: Verdicts, candidates: int, first: int) -> list[dict[str, float | None]]:
    """Each one's corrected p against ``first``, by correction; None for ``first`` itself."""
    out: list[dict[str, float | None]] = [dict.fromkeys(CORRECTIONS) for _ in range(candidates)]
    for name, correct in CORRECTIONS.items():
        every = zip(pairs.left.tolist(), pairs.right.tolist(), correct(pairs.tests.p), strict=True)
        for left, right, p in every:
            if first in (left, right) and not np.isnan(p):
                out[left if right == first else right][name] = float(p)
    return out
