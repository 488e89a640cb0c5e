"""Where two to four candidates differ, by how much, and on which questions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from django.db.models import Count, F, TextChoices
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from evals import suites
from evals.leaderboard import ALPHA, Gap, contributions, overall_of
from evals.models import Benchmark, Candidate, Part, Sample, Score, Standing, Suite
from evals.stats import corpus
from evals.stats.adjust import holm
from evals.stats.paired import Difference, differences_to_first, stack
from evals.stats.pairs import Clusters, pair_tests
from evals.stats.power import more_by_error

LEAST, MOST = 2, 4
METHOD = 4  # raise when a statistic changes: figures kept by the old one are dropped
UNANSWERED = "-"  # by one of the candidates, among the kinds of samples
KEPT = 300  # comparisons whose figures are kept for one suite


class Kind(TextChoices):
    """How the chosen candidates did on one sample; flips come first."""

    AHEAD = "ahead", gettext_lazy("First right, another wrong")
    BEHIND = "behind", gettext_lazy("First wrong, another right")
    WRONG = "wrong", gettext_lazy("All wrong")
    SAME = "same", gettext_lazy("All the same, not wrong")


class Figures(NamedTuple):
    """A paired difference to the first candidate, and what it rests on.

    ``gap.p`` is corrected over the benchmarks (Holm), ``p_value`` McNemar's uncorrected one.
    ``more``: how many more samples would separate the two at this difference, None: no
    realistic number. ``discordant`` counts texts where ``clustered``.
    """

    gap: Gap
    n: int
    discordant: int
    p_value: float | None
    more: int | None = None
    clustered: bool = False


class Measured(NamedTuple):
    """A scored part: what of `evals.models.Part` a comparison needs, and its run."""

    pk: int
    run_id: int
    version: int
    finished_at: datetime | None


class Mark(NamedTuple):
    """The score of a part in its primary metric."""

    value: float | None
    low: float | None
    high: float | None
    valid: bool


@dataclass(frozen=True)
class Cell:
    """One candidate on one benchmark. ``reason`` says why there is nothing to compare."""

    candidate: Candidate
    part: Measured | None = None
    score: Mark | None = None
    reason: str = ""
    figures: Figures | None = None

    @property
    def valid(self) -> bool:
        return bool(self.score and self.score.valid and self.score.value is not None)


@dataclass(frozen=True)
class Line:
    benchmark: Benchmark
    cells: list[Cell]

    @property
    def comparable(self) -> bool:
        """Whether every candidate has a valid result here."""
        return all(cell.valid for cell in self.cells)


@dataclass(frozen=True)
class Overall:
    """The mean over the benchmarks on which all candidates have a valid result."""

    candidate: Candidate
    value: tuple[float, float, float]
    figures: Figures | None


@dataclass(frozen=True)
class Group:
    """The benchmarks of one language or family: ``overall`` as of a comparison of them alone."""

    name: str
    lines: list[Line]
    overall: list[Overall] = field(default_factory=list)

    @property
    def shared(self) -> list[Line]:
        return [line for line in self.lines if line.comparable]


class Flip(NamedTuple):
    """A sample by its place, and how the candidates did on it."""

    line: int
    doc_id: int
    kind: str


@dataclass(frozen=True)
class Comparison:
    """The first candidate is the one that the others are compared to."""

    suite: Suite
    candidates: list[Candidate]
    lines: list[Line]
    overall: list[Overall]
    groups: list[Group] = field(default_factory=list)
    kinds: dict[int, str] = field(default_factory=dict)
    """By benchmark, see `_kinds`."""

    @property
    def shared(self) -> list[Line]:
        return [line for line in self.lines if line.comparable]

    @cached_property
    def grouped_by(self) -> str:
        """What parts the benchmarks: "language", else "family", else nothing."""
        for of in ("language", "family"):
            if len({getattr(line.benchmark, of) for line in self.lines}) > 1:
                return of
        return ""

    @cached_property
    def values(self) -> dict[int, np.ndarray]:
        """Numbers by doc_id whose mean is the score, of every part that is shown.

        NaN = not answered.
        """
        return {pk: mine if own is None else own for pk, (mine, own) in self._stored.items()}

    @cached_property
    def answers(self) -> dict[int, np.ndarray]:
        """What each sample scored by itself; differs where the score is one of the whole set."""
        return {pk: mine for pk, (mine, _own) in self._stored.items()}

    @cached_property
    def _stored(self) -> dict[int, tuple[np.ndarray, np.ndarray | None]]:
        return values_of([cell.part for line in self.lines for cell in line.cells if cell.part])


def suites_of(candidates: Sequence[Candidate]) -> list[Suite]:
    """Suites with results of any of ``candidates`` as served now, most shared first."""
    return list(
        Suite.objects.filter(
            runs__candidate__in=candidates,
            runs__endpoint_revision=F("runs__candidate__endpoint__revision"),
            runs__parts__values__isnull=False,
        )
        .annotate(measured=Count("runs__candidate", distinct=True))
        .order_by("-measured", "slug", "-version")
    )


def compare(suite: Suite, candidates: Sequence[Candidate]) -> Comparison:
    """The results of ``candidates`` on ``suite`` side by side.

    Of each the newest scored part counts, of the endpoint as it is now. Differences are paired
    by sample; they are called real by tests (evals.stats.pairs) corrected by Holm over the
    benchmarks, the groups, or the candidates of the overall mean.
    """
    columns = suite.benchmarks.defer("task", "options", "tags")
    benchmarks = sorted(columns, key=lambda b: (b.language, b.position))
    found, moved = _parts(suite, candidates)
    rows = Score.objects.filter(
        part__in=[part.pk for part in found.values()], metric=F("part__benchmark__metric")
    )
    scores = {
        part: Mark(*mark)
        for part, *mark in rows.values_list("part", "value", "low", "high", "valid")
    }
    lines = []
    for benchmark in benchmarks:
        cells = []
        for candidate in candidates:
            at = candidate.pk, benchmark.pk
            part = found.get(at)
            score = scores.get(part.pk) if part else None
            cells.append(Cell(candidate, part, score, _reason(part, score, at in moved)))
        lines.append(Line(benchmark, cells))
    plain = Comparison(suite, list(candidates), lines, [])
    return _with_figures(plain, _fit(plain))


class Flips(Sequence[Flip]):
    """The samples that all answered, those with different outcomes first.

    Known from the stored values alone: no sample is read, and a `Flip` is only made for those
    that are looked at, so that 25 000 samples cost no more than a page of them.
    """

    def __init__(self, rank: np.ndarray, line: np.ndarray, doc_id: np.ndarray) -> None:
        order = np.argsort(rank, kind="stable")
        self._rank, self._line, self._doc_id = rank[order], line[order], doc_id[order]

    @property
    def counts(self) -> dict[str, int]:
        """How many samples there are of each kind."""
        found = np.bincount(self._rank, minlength=len(Kind.values)).tolist()
        return dict(zip(Kind.values, found, strict=True))

    def of(self, kind: str) -> Flips:
        """Those of one kind; all for ""."""
        if kind not in Kind.values:
            return self
        chosen = self._rank == Kind.values.index(kind)
        return Flips(self._rank[chosen], self._line[chosen], self._doc_id[chosen])

    def index_of(self, line: int, doc_id: int) -> int | None:
        """Where a sample stands in the order."""
        found = np.flatnonzero((self._line == line) & (self._doc_id == doc_id))
        return int(found[0]) if found.size else None

    def __len__(self) -> int:
        return self._rank.size

    def __getitem__(self, wanted: Any) -> Any:
        if isinstance(wanted, slice):
            return [self[at] for at in range(*wanted.indices(len(self)))]
        at = range(len(self))[wanted]
        kind = Kind.values[self._rank[at]]
        return Flip(int(self._line[at]), int(self._doc_id[at]), kind)


def flips(found: Comparison, benchmark: str = "") -> Flips:
    """The flips of ``found``, of one benchmark when it is named."""
    ranks, lines, documents = [], [], []
    for number, line in enumerate(found.lines):
        if benchmark and line.benchmark.name != benchmark:
            continue
        kinds = np.frombuffer(found.kinds.get(line.benchmark.pk, "").encode(), dtype=np.uint8)
        answered = np.flatnonzero(kinds != ord(UNANSWERED))
        ranks.append(kinds[answered].astype(int) - ord("0"))
        documents.append(answered)
        lines.append(np.full(answered.size, number))
    nothing = [np.zeros(0, dtype=int)]
    return Flips(*(np.concatenate(some or nothing) for some in (ranks, lines, documents)))


def _kinds(columns: Sequence[np.ndarray]) -> str:
    """A character a sample: its place in ``Kind``, or that not all answered it.

    Kept with the figures, so that a page of flips reads neither samples nor values.
    """
    if len({len(column) for column in columns}) != 1:
        return ""
    scores = np.column_stack(columns)
    places = _ranks(scores) + ord("0")
    places[np.isnan(scores).any(axis=1)] = ord(UNANSWERED)
    return places.astype(np.uint8).tobytes().decode()


def _ranks(scores: np.ndarray) -> np.ndarray:
    """The place of each sample's kind in ``Kind`` (samples × candidates → samples)."""
    first = scores[:, :1]
    ahead = (scores < first).any(axis=1)
    behind = (scores > first).any(axis=1)
    wrong = (scores == 0).all(axis=1)
    return np.select([ahead, behind, wrong], [0, 1, 2], default=3)


def samples_of(found: Comparison, page: Sequence[Flip]) -> list[list[Sample | None]]:
    """The samples of ``page``, one per candidate in their order; one query for all."""
    wanted = [
        (cell.part.pk, flip.doc_id)
        for flip in page
        for cell in found.lines[flip.line].cells
        if cell.part
    ]
    by_place = {
        (sample.part_id, sample.doc_id): sample
        for sample in Sample.objects.filter(
            part__in={part for part, _doc in wanted}, doc_id__in={doc for _part, doc in wanted}
        ).only(
            "part_id", "doc_id", "prompt", "target", "answer", "value", "correct", "error",
            "error_kind",
        )
    }  # fmt: skip
    return [
        [
            by_place.get((cell.part.pk, flip.doc_id)) if cell.part else None
            for cell in found.lines[flip.line].cells
        ]
        for flip in page
    ]


COLUMNS = {
    "suite": str, "suite_version": int, "compared_to": str, "benchmark": str, "language": str,
    "scoring": str, "metric": str, "model": str, "value": float, "low": float, "high": float,
    "valid": bool, "difference": float, "difference_low": float, "difference_high": float,
    "real": bool, "p_mcnemar": float, "p_holm": float, "more_samples": int,
    "samples_shared": int, "samples_different": int, "run": int,
}  # fmt: skip


def records(found: Comparison) -> list[dict[str, Any]]:
    """``found`` as flat records, one per benchmark and candidate, "overall" first.

    Scores and differences are shares (0 to 1), never localised; what is missing is None.
    """
    first = found.candidates[0].name
    base = {"suite": found.suite.slug, "suite_version": found.suite.version, "compared_to": first}
    nothing = {"benchmark": "overall", "language": None, "scoring": None, "metric": "mean"}
    out = [
        _record(base | nothing, row.candidate, row.value, row.figures, valid=True)
        for row in found.overall
    ]
    for line in found.lines:
        facts = {
            "benchmark": line.benchmark.name,
            "language": line.benchmark.language,
            "scoring": line.benchmark.scoring,
            "metric": line.benchmark.metric,
        }
        for cell in line.cells:
            score = cell.score
            value = (score.value, score.low, score.high) if score else (None, None, None)
            record = _record(base | facts, cell.candidate, value, cell.figures, valid=cell.valid)
            out.append(record | {"run": cell.part.run_id if cell.part else None})
    return out


def _record(
    base: dict[str, Any],
    candidate: Candidate,
    value: tuple[float | None, float | None, float | None],
    figures: Figures | None,
    *,
    valid: bool,
) -> dict[str, Any]:
    gap = figures.gap if figures else None
    return {
        **base,
        "model": candidate.name,
        "value": value[0],
        "low": value[1],
        "high": value[2],
        "valid": valid,
        "difference": gap.value if gap else None,
        "difference_low": gap.low if gap else None,
        "difference_high": gap.high if gap else None,
        "real": gap.real if gap else None,
        "p_mcnemar": figures.p_value if figures else None,
        "p_holm": gap.p if gap else None,
        "more_samples": figures.more if figures else None,
        "samples_shared": figures.n if figures else None,
        "samples_different": figures.discordant if figures else None,
        "run": None,
    }


def values_by_part(parts: Sequence[int]) -> dict[int, np.ndarray]:
    """Numbers by doc_id whose mean is the score, by the keys of parts; NaN = not answered."""
    return contributions(parts)


def values_of(
    parts: Sequence[Measured],
) -> dict[int, tuple[np.ndarray, np.ndarray | None]]:
    """The stored values and contributions of ``parts`` by key, NaN = not answered; one query."""
    stored = Part.objects.filter(pk__in=[part.pk for part in parts]).order_by()
    return {
        pk: (
            np.array(values or [], dtype=float),  # None becomes NaN
            np.array(own, dtype=float) if own else None,
        )
        for pk, values, own in stored.values_list("pk", "values", "contributions")
    }


Place = tuple[int, int]  # candidate and benchmark


def _parts(
    suite: Suite, candidates: Sequence[Candidate]
) -> tuple[dict[Place, Measured], set[Place]]:
    """The newest scored part by place, and the places with results of older endpoints alone."""
    revisions = {candidate.pk: candidate.endpoint.revision for candidate in candidates}
    found: dict[Place, Measured] = {}
    moved: set[Place] = set()
    rows = Part.objects.filter(
        run__suite=suite, run__candidate__in=candidates, values__isnull=False
    ).order_by("pk")
    for candidate, benchmark, revision, *part in rows.values_list(
        "run__candidate", "benchmark", "run__endpoint_revision", *Measured._fields
    ):
        if revision == revisions[candidate]:
            found[candidate, benchmark] = Measured(*part)
        else:
            moved.add((candidate, benchmark))
    return found, moved - found.keys()


def _reason(part: Measured | None, score: Mark | None, moved: bool) -> str:
    if moved:
        return _("measured before the endpoint changed")
    if part is None:
        return _("not run")
    if score is None or not score.valid:
        return _("not valid: fewer than 95 % answered")
    return ""


def _fit(found: Comparison) -> dict[str, Any]:
    """All figures of ``found``, kept in the database while the results are the same."""
    marks = [
        f"{cell.part.pk}:{cell.part.version}:{cell.part.finished_at}:"
        f"{cell.score.value if cell.score else None}"
        for line in found.lines
        for cell in line.cells
        if cell.part
    ]
    fingerprint = hashlib.sha256("|".join([str(METHOD), *marks]).encode()).hexdigest()
    view = "compare|" + ",".join(str(candidate.pk) for candidate in found.candidates)
    kept = Standing.objects.filter(suite=found.suite, view=view).first()
    if kept and kept.fingerprint == fingerprint:
        return kept.board
    computed = _compute(found)
    Standing.objects.update_or_create(
        suite=found.suite, view=view, defaults={"fingerprint": fingerprint, "board": computed}
    )
    others = Standing.objects.filter(suite=found.suite, view__startswith="compare|")
    oldest = list(others.order_by("-computed_at").values_list("pk", flat=True)[KEPT:])
    if oldest:
        Standing.objects.filter(pk__in=oldest).delete()
    return computed


def _compute(found: Comparison) -> dict[str, Any]:
    """Figures of each benchmark, of each group of them and overall, all drawn at once."""
    texts = {
        line.benchmark.pk: suites.texts_of(line.benchmark, len(found.values[part.pk]))
        for line in found.lines
        if (part := next((cell.part for cell in line.cells if cell.part), None))
    }
    groups = _groups(found)
    sets = [[line] for line in found.lines]
    sets += [found.shared, *(group.shared for group in groups)]
    asked = [_board(found, of) for of in sets]
    names = [[texts.get(line.benchmark.pk) for line in of] for of in sets]
    figures = _figures(asked, names)
    here = len(found.lines)
    for line, mine in zip(found.lines, figures[:here], strict=True):
        if not texts.get(line.benchmark.pk):
            _resample(line, mine)
    for family in (figures[:here], figures[here : here + 1], figures[here + 1 :]):
        _correct(family)
    gaps = {str(line.benchmark.pk): figures[number] for number, line in enumerate(found.lines)}
    means = [
        [_mean(mine, clusters) for mine in board] if of else []
        for board, of, clusters in zip(asked[here:], sets[here:], names[here:], strict=True)
    ]
    both = list(zip(means, figures[here:], strict=True))
    kinds = {
        str(line.benchmark.pk): _kinds([found.answers[cell.part.pk] for cell in line.cells])
        for line in found.lines
        if all(cell.part for cell in line.cells)
    }
    return {"gaps": gaps, "overall": both[0], "groups": both[1:], "kinds": kinds}


def _groups(found: Comparison) -> list[Group]:
    """The benchmarks by what parts them, in the order of the table."""
    groups: dict[str, list[Line]] = {}
    for line in found.lines if found.grouped_by else ():
        groups.setdefault(getattr(line.benchmark, found.grouped_by), []).append(line)
    return [Group(name, lines) for name, lines in groups.items()]


Columns = list[np.ndarray | None]  # of one candidate; None where it has no valid result


def _board(found: Comparison, lines: Sequence[Line]) -> list[Columns]:
    """The values of each candidate on ``lines``."""
    return [
        [
            found.values[cell.part.pk] if cell.valid and cell.part else None
            for cell in (line.cells[number] for line in lines)
        ]
        for number in range(len(found.candidates))
    ]


def _mean(columns: Columns, texts: Clusters) -> list[float]:
    """Value, low and high of the mean over benchmarks, as the board computes it."""
    found = overall_of([column for column in columns if column is not None], texts)
    return [found.value, found.low, found.high]


def _figures(
    boards: Sequence[Sequence[Columns]], texts: Sequence[Clusters]
) -> list[list[list[Any] | None]]:
    """What `Figures` holds, flat, of each further candidate of each board.

    None where a result is missing or no sample was answered by both. p is not corrected yet.
    """
    fitting = [[number for number in range(1, len(b)) if _fits(b[number], b[0])] for b in boards]
    asked = [number for number, others in enumerate(fitting) if others]
    chosen = [[boards[n][0], *map(boards[n].__getitem__, fitting[n])] for n in asked]
    found = differences_to_first(chosen, clusters=[texts[n] for n in asked])
    out: list[list[list[Any] | None]] = [[None] * (len(board) - 1) for board in boards]
    for number, board, differences in zip(asked, chosen, found, strict=True):
        others = np.arange(1, len(board))
        tests = pair_tests(stack(board), others, np.zeros_like(others), texts[number])
        every = zip(fitting[number], differences, tests.p, tests.error, strict=True)
        for other, difference, p, error in every:
            if difference:
                clustered = any(texts[number])
                out[number][other - 1] = _flat(difference, float(p), float(error), clustered)
    return out


def _resample(line: Line, figures: list[list[Any] | None]) -> None:
    """Put the bootstrap's interval in place of that of pseudo-values, for a metric of the set."""
    metric = line.benchmark.metric
    if metric not in corpus.METRICS or not line.comparable:
        return
    parts = [cell.part.pk for cell in line.cells if cell.part]
    counts: dict[int, dict[int, list[int]]] = {part: {} for part in parts}
    stored = Sample.objects.filter(part__in=parts).answered().order_by()
    for part, doc_id, own in stored.values_list("part", "doc_id", "counts"):
        counts[part][doc_id] = own
    size = 1 + max(doc_id for mine in counts.values() for doc_id in mine)
    sets = [[counts[part].get(doc_id) for doc_id in range(size)] for part in parts]
    first, *others = corpus.rows(metric, *sets)
    for flat, other in zip(figures, others, strict=True):
        if flat and (found := corpus.difference(metric, other, first)):
            flat[0][:3] = [found.value, found.low, found.high]


def _correct(family: Sequence[list[list[Any] | None]]) -> None:
    """Correct the p-values of ``family`` for their number, and say what is real."""
    gaps = [flat[0] for figures in family for flat in figures if flat]
    for gap, p in zip(gaps, holm([gap[4] for gap in gaps]), strict=True):
        gap[3], gap[4] = bool(p <= ALPHA), float(p)


def _fits(mine: Columns, first: Columns) -> bool:
    """Whether both have results on the same samples of each benchmark."""
    return bool(mine) and all(
        a is not None and b is not None and len(a) == len(b)
        for a, b in zip(mine, first, strict=True)
    )


def _flat(found: Difference, p: float, error: float, clustered: bool) -> list[Any]:
    gap = [found.delta, found.low, found.high, False, p]
    more = more_by_error(found.delta, error, found.n)
    return [gap, found.n, found.discordant, found.p_value, more, clustered]


def _read(stored: list[Any] | None) -> Figures | None:
    return Figures(Gap(*stored[0]), *stored[1:]) if stored else None


def _with_figures(found: Comparison, fit: dict[str, Any]) -> Comparison:
    lines = []
    for line in found.lines:
        gaps = [None, *(_read(stored) for stored in fit["gaps"][str(line.benchmark.pk)])]
        cells = [
            Cell(cell.candidate, cell.part, cell.score, cell.reason, figures)
            for cell, figures in zip(line.cells, gaps, strict=True)
        ]
        lines.append(Line(line.benchmark, cells))
    fitted = Comparison(found.suite, found.candidates, lines, _overall(found, fit["overall"]))
    groups = [
        Group(group.name, group.lines, _overall(found, kept))
        for group, kept in zip(_groups(fitted), fit["groups"], strict=True)
    ]
    kinds = {int(pk): kept for pk, kept in fit["kinds"].items()}
    return replace(fitted, groups=groups, kinds=kinds)


def _overall(found: Comparison, kept: Sequence[Any]) -> list[Overall]:
    means, stored = kept
    figures = [None, *map(_read, stored)]
    return [
        Overall(candidate, tuple(mean), mine)
        for candidate, mean, mine in zip(found.candidates, means, figures, strict=False)
    ]
