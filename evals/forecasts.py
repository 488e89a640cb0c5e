"""What starting a run would do for each candidate: its estimate, and what stands against it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from django.db.models import F, Sum
from django.db.models.functions import Length, Substr

from evals import runs
from evals.estimates import Earlier, Estimate, Pace, Plan, estimate
from evals.models import Benchmark, Candidate, Part, Run, Suite
from evals.models.suites import Scoring
from workers.models import UNFINISHED, JobState

LONGEST_ANSWER = 256  # tokens, lm-eval's default
CHOICES = 4  # where a question's choices cannot be told
BEGINNING = 4_000  # characters of a question set from which the length of a question is told
Means = dict[int, Earlier]


class Forecast(NamedTuple):
    """``refused`` says why the run would not start; ``run`` is the one that exists already.

    ``estimate`` is of what is still to be asked, None when nothing is.
    """

    candidate: Candidate
    estimate: Estimate | None
    refused: str = ""
    run: Run | None = None


def forecast(
    suite: Suite,
    candidates: Sequence[Candidate],
    *,
    scoring: str = "",
    languages: Collection[str] = (),
    again: bool = False,
) -> list[Forecast]:
    """One forecast for each of ``candidates``; the number of queries does not depend on them."""
    benchmarks, options = runs.choose(planned(suite), scoring, languages)
    plans = {benchmark.pk: plan(benchmark) for benchmark in benchmarks}
    everybody = _used(benchmarks)
    own = _used_by(benchmarks, candidates)
    paces = _paces(suite, candidates)
    existing = _existing(suite, candidates, options)
    found = []
    for candidate in candidates:
        run = None if again else existing.get(candidate.pk)
        probe = candidate.endpoint.verified
        share = _left(run)
        used = everybody | own.get(candidate.pk, {})
        taken = estimate(
            [mine._replace(earlier=used.get(pk)) for pk, mine in plans.items()],
            pace=paces.get(candidate.pk),
            price=candidate.endpoint.price,
            batched=bool(probe and probe.can("batch_prompts")),
            share=share,
        )
        refused = _refused(candidate, benchmarks)
        found.append(Forecast(candidate, taken if share else None, refused, run))
    return found


def outline(benchmarks: Sequence[Benchmark]) -> Estimate:
    """What ``benchmarks`` (of ``planned``) take of any model; time and cost need a model."""
    used = _used(benchmarks)
    return estimate([plan(benchmark, used.get(benchmark.pk)) for benchmark in benchmarks])


def planned(suite: Suite) -> list[Benchmark]:
    """The benchmarks of a suite, with the beginning of their questions and examples."""
    rows = suite.benchmarks.select_related("suite").annotate(
        asked=F("questions__count"),
        length=Length("questions__lines"),
        beginning=Substr("questions__lines", 1, BEGINNING),
        example_beginning=Substr("examples__lines", 1, BEGINNING),
    )
    return list(rows)


def plan(benchmark: Benchmark, earlier: Earlier | None = None) -> Plan:
    """``benchmark`` (of ``planned``) as the estimate takes it."""
    options = benchmark.scoring == Scoring.OPTIONS
    rows = _rows(benchmark.beginning)
    question = _characters(rows, options) or (benchmark.length or 0) / (benchmark.asked or 1)
    example = _characters(_rows(benchmark.example_beginning or ""), options) or question
    shots = int(benchmark.options.get("num_fewshot", 0))
    letter = benchmark.scoring == Scoring.LETTER
    longest = (benchmark.task.get("generation_kwargs") or {}).get("max_gen_toks", LONGEST_ANSWER)
    return Plan(
        questions=benchmark.asked,
        prompts=_choices(benchmark, rows) if options else 1,
        characters=round(benchmark.asked * (question + shots * example)),
        language=benchmark.language,
        longest_answer=0 if options else 1 if letter else int(longest),
        earlier=earlier,
    )


def _rows(beginning: str) -> list[dict[str, Any]]:
    """The whole rows at the beginning of a question set."""
    rows = []
    for line in beginning.split("\n"):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break  # the end of the beginning
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _characters(rows: Sequence[dict[str, Any]], options: bool) -> float:
    """Mean characters of the texts in a row; of a list of choices one stands in a prompt."""
    total = 0.0
    for value in (value for row in rows for value in row.values()):
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, list) and value:
            lengths = [len(text) for text in value if isinstance(text, str)]
            total += sum(lengths) / (len(value) if options else 1)
    return total / len(rows) if rows else 0.0


def _choices(benchmark: Benchmark, rows: Sequence[dict[str, Any]]) -> int:
    """How many choices a question has, by the first one."""
    choices = benchmark.task.get("doc_to_choice")
    if isinstance(choices, list):
        return len(choices)
    name = str(choices or "choices").strip("{} ")
    found = rows[0].get(name) if rows else None
    return len(found) if isinstance(found, list) and found else CHOICES


def _counted(benchmarks: Sequence[Benchmark]) -> Any:
    """Parts of ``benchmarks`` whose samples told their tokens."""
    return Part.objects.filter(
        benchmark__in=benchmarks, counted__gt=0, counted=F("done")
    ).order_by()


SUMS = {
    "samples": Sum("counted"),
    "prompt": Sum("prompt_tokens"),
    "answer": Sum("completion_tokens"),
}


def _used(benchmarks: Sequence[Benchmark]) -> Means:
    """What samples of each benchmark used, whoever was asked."""
    rows = _counted(benchmarks).values("benchmark").annotate(**SUMS)
    return {row["benchmark"]: _earlier(row) for row in rows}


def _used_by(benchmarks: Sequence[Benchmark], candidates: Sequence[Candidate]) -> dict[int, Means]:
    """The same for each candidate as it is served now: its tokeniser is the one that counts."""
    rows = (
        _counted(benchmarks)
        .filter(
            run__candidate__in=candidates,
            run__endpoint_revision=F("run__candidate__endpoint__revision"),
        )
        .values("run__candidate", "benchmark")
        .annotate(**SUMS)
    )
    found: dict[int, Means] = {}
    for row in rows:
        found.setdefault(row["run__candidate"], {})[row["benchmark"]] = _earlier(row)
    return found


def _earlier(row: dict[str, int]) -> Earlier:
    return Earlier(row["samples"], row["prompt"], row["answer"])


def _paces(suite: Suite, candidates: Sequence[Candidate]) -> dict[int, Pace]:
    """The pace of each candidate's newest finished run, one of the same suite if there is one."""
    rows = (
        Run.objects.filter(
            candidate__in=candidates,
            endpoint_revision=F("candidate__endpoint__revision"),
            state=JobState.DONE,
            worked_seconds__gt=0,
        )
        .annotate(samples=Sum("parts__done"))
        .order_by("pk")
    )
    found: dict[int, tuple[bool, Pace]] = {}
    for run in rows.only("candidate_id", "suite_id", "worked_seconds"):
        same = run.suite_id == suite.pk
        if run.samples and (same or not found.get(run.candidate_id, (False,))[0]):
            found[run.candidate_id] = same, Pace(run.samples, run.worked_seconds)
    return {pk: pace for pk, (_same, pace) in found.items()}


def _existing(
    suite: Suite, candidates: Sequence[Candidate], options: dict[str, Any]
) -> dict[int, Run]:
    """The run that a start would return instead of a new one."""
    rows = Run.objects.filter(
        candidate__in=candidates,
        suite=suite,
        endpoint_revision=F("candidate__endpoint__revision"),
        options_hash=runs.hash_of(options),
    )
    newest = {}
    for run in rows.for_list().order_by("repeat"):
        run.count_up()
        newest[run.candidate_id] = run
    return newest


def _left(run: Run | None) -> float:
    """Which share of the samples a start would still ask."""
    if run is None or not run.total:
        return 1.0
    if run.state in UNFINISHED:
        return max(0.0, 1 - run.done / run.total)
    return 0.0


def _refused(candidate: Candidate, benchmarks: Sequence[Benchmark]) -> str:
    try:
        runs.require(candidate, benchmarks)
    except runs.CannotStart as error:
        return str(error)
    return ""
