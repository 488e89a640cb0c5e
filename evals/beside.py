"""Imported results of lm-eval beside own ones: in the same column where they measure the same.

The same is: the task by name, its version, the examples, the way of asking, the metric with its
filters and the settings of generation, and of every question the prompt, the right answer and
the options. What an own run asked is taken from one that had an answer to each question.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.db.models import Prefetch

from evals import scores, suites
from evals.formats import lm_eval_reader
from evals.formats.given import Fault, Unusable, bounded, loads
from evals.leaderboard import Board, Cell
from evals.models import Benchmark, Import, ImportedColumn, ImportedFile, Part, Suite
from evals.models.imports import Kind
from evals.storable import clean
from evals.suites import version_of
from workers.models import JobState

ENGINE = "lm_eval"  # only its scores are means over samples that lm-eval computes as well
FIGURES = ("value", "low", "high", "method", "answered", "asked", "valid")
SAME_TOTAL = 1e-6  # a total and the mean of its samples differ by rounding alone


class Different(Exception):
    """What is not the same (words.DIFFERENCES), and at which question."""

    def __init__(self, code: str, doc_id: int | None = None) -> None:
        super().__init__(code)
        self.code, self.doc_id = code, doc_id


class Asked(NamedTuple):
    """One question, shortened: a task may have a hundred thousand."""

    prompt: bytes
    target: bytes
    options: bytes


class Imported(NamedTuple):
    """What others measured of a model in the same way: it has no rank and changes none.

    ``cells`` by benchmark.
    """

    source: Import
    model: str
    cells: dict[int, Cell]


def shown(board: Board) -> list[Imported]:
    """The imported results that stand in the columns of ``board``, by model."""
    metrics = {benchmark.pk: benchmark.metric for benchmark in board.benchmarks}
    named = Prefetch("source__files", ImportedFile.objects.defer("packed"))
    columns = ImportedColumn.objects.filter(benchmark__in=metrics, difference="")
    found: dict[int, Imported] = {}
    for each in columns.select_related("source").prefetch_related(named):
        mine = found.setdefault(each.source_id, Imported(each.source, each.model, {}))
        mine.cells[each.benchmark_id] = Cell(
            each.pk, 0, 0, metrics[each.benchmark_id], each.value, each.low, each.high,
            each.method, each.asked, each.answered, each.valid,
        )  # fmt: skip
    return sorted(found.values(), key=lambda each: (each.model, each.source.pk))


def records(board: Board, rows: Iterable[Imported]) -> list[dict[str, Any]]:
    """``rows`` as `leaderboard.records` gives own results, without ranks and a run."""
    return [
        {
            "suite": board.suite.slug,
            "suite_version": board.suite.version,
            "model": row.model,
            "rank_best": None,
            "rank_worst": None,
            "correction": board.correction,
            "imported_from": str(row.source),
            "benchmark": benchmark.name,
            "language": benchmark.language,
            "scoring": benchmark.scoring,
            "metric": benchmark.metric,
            **{name: getattr(cell, name) for name in FIGURES},
            "run": None,
        }
        for row in rows
        for benchmark in board.benchmarks
        if (cell := row.cells.get(benchmark.pk))
    ]


def settle(suite: Suite) -> None:
    """Judge the imports of the project that were not judged yet against ``suite``."""
    for found in Import.objects.in_project(suite.project).confirmed().filter(kind=Kind.LM_EVAL):
        judge(found, suite.benchmarks.all())


def judge(found: Import, benchmarks: Iterable[Benchmark]) -> None:
    """Compare ``found`` with those of ``benchmarks`` that it has samples of.

    A benchmark that no run has answered in full yet is left for later.
    """
    names = found.files.values_list("pk", "name")
    files = {task: pk for pk, name in names if (task := lm_eval_reader.task_of(name))}
    known = set(found.columns.values_list("benchmark", flat=True))
    open_ones = [
        each
        for each in benchmarks
        if each.engine == ENGINE and each.name in files and each.pk not in known
    ]
    results: dict[str, Any] = {}
    for benchmark in open_ones:
        if (part := _complete(benchmark)) is None:
            continue
        results = results or results_of(found)
        column = ImportedColumn(
            source=found, benchmark=benchmark, model=lm_eval_reader.model_of(results)
        )
        try:
            _fill(column, part, results, ImportedFile.objects.get(pk=files[benchmark.name]))
        except Different as error:
            column.difference, column.doc_id = error.code, error.doc_id
        # Whoever judges at the same time finds the same.
        ImportedColumn.objects.bulk_create([column], ignore_conflicts=True)


def results_of(found: Import) -> dict[str, Any]:
    """The content of the results file of lm-eval."""
    for file in found.files.all():
        if not lm_eval_reader.task_of(file.name):
            with file.open() as opened:
                return results(opened.read()) or {}
    return {}


def results(content: bytes) -> dict[str, Any] | None:
    """The content of lm-eval's results file; None when it is none."""
    try:
        found = loads(content)
    except Unusable:
        return None
    return found if lm_eval_reader.is_results(found) else None


def _complete(benchmark: Benchmark) -> Part | None:
    """A part that had an answer to every question: its samples say what was asked."""
    done = Part.objects.filter(benchmark=benchmark, state=JobState.DONE, errors=0, done__gt=0)
    return done.order_by("-pk").first()


def _fill(column: ImportedColumn, part: Part, results: dict[str, Any], file: ImportedFile) -> None:
    """Set the score of ``column``; Different where another thing was measured."""
    benchmark = column.benchmark
    _same_task(benchmark, lm_eval_reader.setup(results, benchmark.name))
    name, _comma, kind = benchmark.metric.partition(",")
    with file.open() as opened:
        read = lm_eval_reader.samples(bounded(opened))
        asked, values, kind = _taken(read, name, kind)
    ours = _ours(part)
    if len(ours) != len(asked) or ours.keys() != asked.keys():
        raise Different("questions")
    for doc_id, mine in ours.items():
        for code, one, other in zip(Asked._fields, mine, asked[doc_id], strict=True):
            if one != other:
                raise Different(code, doc_id)
    numbers = suites.texts_of(benchmark, len(ours))
    told = [(doc_id, value) for doc_id, value in sorted(values.items()) if value is not None]
    if not told:
        raise Different("metric")
    score = scores.interval(
        [value for _doc, value in told], numbers and [numbers[doc_id] for doc_id, _value in told]
    )
    total = lm_eval_reader.total(results, benchmark.name, name, kind)
    if total is None or not math.isclose(total, score.value, abs_tol=SAME_TOTAL):
        raise Different("total")
    column.value, column.low, column.high, column.method = (
        score.value, score.low, score.high, score.method,
    )  # fmt: skip
    column.asked, column.answered = len(ours), len(told)
    column.valid = len(told) >= scores.COVERAGE * len(ours)


def _same_task(benchmark: Benchmark, theirs: lm_eval_reader.Setup) -> None:
    task = benchmark.task
    if theirs.version != str(version_of(benchmark)):
        raise Different("version")
    if theirs.shots != int(benchmark.options.get("num_fewshot", 0)):
        raise Different("shots")
    if theirs.scoring != benchmark.scoring:
        raise Different("scoring")
    if theirs.metrics != task.get("metric_list") or (theirs.filters or None) != task.get(
        "filter_list"
    ):
        raise Different("metric")
    wanted = task.get("generation_kwargs", {})
    if any(theirs.generation.get(key) != value for key, value in wanted.items()):
        raise Different("generation")


def _taken(
    read: Iterator[lm_eval_reader.Sample | Fault], metric: str, kind: str
) -> tuple[dict[int, Asked], dict[int, float | None], str]:
    """What a file asked, ``metric`` by doc_id, and the filter: ``kind``, or the first there is."""
    asked: dict[int, Asked] = {}
    values: dict[int, float | None] = {}
    for sample in read:
        if isinstance(sample, Fault):
            raise Different("questions")
        kind = kind or sample.filter
        if sample.filter != kind:
            continue
        if sample.doc_id in asked:
            raise Different("questions", sample.doc_id)
        asked[sample.doc_id] = _asked(
            sample.prompt, lm_eval_reader.first_of(sample.target), sample.choices
        )
        values[sample.doc_id] = None if sample.error else sample.metrics.get(metric)
    return asked, values, kind


def _ours(part: Part) -> dict[int, Asked]:
    rows = part.samples.order_by("doc_id").values_list("doc_id", "prompt", "target", "choices")
    return {
        doc_id: _asked(prompt, target, choices)
        for doc_id, prompt, target, choices in rows.iterator(chunk_size=500)
    }


def _asked(prompt: str, target: str, choices: list[str]) -> Asked:
    return Asked(
        _short(lm_eval_reader.messages_of(prompt)),
        _short(target.strip()),
        # lm-eval's options begin with the blank that joins them to the prompt.
        _short(json.dumps([choice.strip() for choice in choices])),
    )


def _short(text: str) -> bytes:
    return hashlib.sha256(clean(text).encode()).digest()
