"""Start runs, carry out their parts, stop and resume them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from evals import answers, budgets, candidates, outcomes, scores, set_scores, suites
from evals.compact import Places
from evals.costs import Budget
from evals.engines import ENGINES, TaskInvalid
from evals.llm import EndpointSpec
from evals.llm.presence import absence
from evals.models import Benchmark, Candidate, Part, Probe, Run, Sample, Suite
from evals.models.suites import Scoring
from evals.slots import Slots
from evals.threads import in_thread
from evals.waiting import AWAY, GONE, ServerGone, patiently, tell
from evals.words import titled, word
from portal.accounts import audit
from portal.accounts.models import User
from workers import jobs
from workers.models import UNFINISHED, JobState
from workers.progress import JobError, JobStopped, Progress, alongside, beside

T = TypeVar("T")
MOVED = gettext_noop("The endpoint has changed since this run was started. Start a new run.")


class CannotStart(Exception):
    """The run was refused; the text says why and what to do, ``evidence`` shows it.

    ``offers`` are the ways of asking that the server can do instead.
    """

    def __init__(
        self,
        message: str,
        evidence: list[dict[str, Any]] | None = None,
        offers: Collection[str] = (),
    ) -> None:
        super().__init__(message)
        self.evidence = evidence or []
        self.offers = list(offers)


class BudgetRefused(CannotStart):
    """The run cannot have this budget; ``field`` says which of the two."""

    def __init__(self, fault: budgets.Fault) -> None:
        super().__init__(fault.sentence)
        self.field = fault.field


class UnknownLanguages(CannotStart):
    """The suite has no benchmark in one of the languages; the text names those there are."""


def start(
    candidate: Candidate,
    suite: Suite,
    *,
    scoring: str = "",
    languages: Collection[str] = (),
    again: bool = False,
    budget: Budget | None = None,
    by: User | None = None,
) -> Run:
    """A queued run of ``suite`` on ``candidate``, or the one that exists for this identity.

    ``scoring`` limits the run to benchmarks asked in that way, ``languages`` to those in one
    of them. A failed, cancelled or stopped run of the same identity is resumed; a finished
    one is returned as it is unless ``again`` asks for a repetition. ``budget`` None keeps that
    of a run that is resumed. Raises CannotStart with the evidence of the last check when the
    endpoint cannot do what a benchmark needs, and BudgetRefused.
    """
    every = list(suite.benchmarks.with_questions())
    benchmarks, options = choose(every, scoring, languages)
    if not benchmarks:
        raise CannotStart(_("This suite has no benchmark of that kind."))
    probe = require(candidate, benchmarks, every)
    identity = {
        "candidate": candidate,
        "suite": suite,
        "endpoint_revision": candidate.endpoint.revision,
        "options_hash": hash_of(options),
    }
    with transaction.atomic():
        # Two people who start the same at once: the second waits here and gets the first's run.
        Candidate.objects.select_for_update().get(pk=candidate.pk)
        latest = Run.objects.filter(**identity).order_by("-repeat").first()
        if latest and not (again and latest.is_finished):
            if latest.state in UNFINISHED:
                resume(latest, budget=budget, by=by)
            return latest
        price, budget = candidate.endpoint.prices.first(), budget or Budget()
        if fault := budgets.fault(budget, price):
            raise BudgetRefused(fault)
        suites.freeze(suite)
        engines = {ENGINES[benchmark.engine] for benchmark in benchmarks}
        run = Run.objects.create(
            **identity,
            repeat=latest.repeat + 1 if latest else 0,
            options=options,
            server=probe.server,
            price=price,
            budget_tokens=budget.tokens,
            budget_money=budget.money,
            software={k: v for engine in engines for k, v in engine.software().items()},
            created_by=by,
        )
        for benchmark in benchmarks:
            part = Part.objects.create(
                run=run,
                benchmark=benchmark,
                total=set_scores.samples_of(benchmark),
                created_by=by,
            )
            jobs.enqueue(part)
        run.settle()
        told = {"scoring": "", **options, **_told(budget)}
        audit.record(candidate.project, "run.start", run, by=by, **told)
    return run


def choose(
    every: Iterable[Benchmark], scoring: str = "", languages: Collection[str] = ()
) -> tuple[list[Benchmark], dict[str, Any]]:
    """Those of a suite's benchmarks that a run asks, and the options that say so; "", () is all.

    Languages that leave nothing out are no option: it is the same run as without them.
    Raises UnknownLanguages for one that the suite does not have.
    """
    every = list(every)
    check_languages(languages, {benchmark.language for benchmark in every})
    asked = [benchmark for benchmark in every if scoring in ("", benchmark.scoring)]
    chosen = [each for each in asked if not languages or each.language in languages]
    options: dict[str, Any] = {"scoring": scoring} if scoring else {}
    if len(chosen) < len(asked):
        options["languages"] = sorted({benchmark.language for benchmark in chosen})
    return chosen, options


def check_languages(wanted: Iterable[str], there: Collection[str]) -> None:
    """Raise UnknownLanguages unless all of ``wanted`` are ``there``."""
    if unknown := sorted(set(wanted) - set(there)):
        raise UnknownLanguages(
            _("This suite has no questions in: %(unknown)s. It has: %(there)s.")
            % {"unknown": ", ".join(unknown), "there": ", ".join(sorted(there))}
        )


def hash_of(options: dict[str, Any]) -> str:
    """What tells runs with different options apart."""
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]


def require(
    candidate: Candidate, benchmarks: Iterable[Benchmark], instead: Iterable[Benchmark] = ()
) -> Probe:
    """The check that shows ``candidate`` can be asked; CannotStart otherwise.

    Ways of asking that the benchmarks of ``instead`` have and the server can do are offered.
    """
    probe = candidate.endpoint.verified
    if probe is None:
        raise CannotStart(
            _("The endpoint of %(name)s has not been checked yet. Check it first.")
            % {"name": candidate.name}
        )
    if any(v["name"] == "reachable" and v["ok"] is False for v in probe.verdicts):
        raise CannotStart(
            _("At the last check the server of %(name)s could not be reached. Check it again.")
            % {"name": candidate.name},
            evidence=probe.failed_verdicts(),
        )
    needs = {need: benchmark for benchmark in benchmarks for need in _needs(benchmark)}
    missing = [need for need in needs if not probe.can(need)]
    if missing:
        able = {each.scoring for each in instead if all(map(probe.can, _needs(each)))}
        raise CannotStart(
            _("%(title)s needs what this server cannot do: %(missing)s.")
            % {
                "title": titled(needs[missing[0]].title),
                "missing": ", ".join(word(need) for need in missing),
            },
            evidence=_evidence(probe, missing),
            offers=[scoring for scoring in Scoring.values if scoring in able],
        )
    return probe


# What shows that a capability is missing.
SHOWN_BY = {"loglikelihood": ("echo_logprobs", "native_logprobs", "tokenize")}


def _evidence(probe: Probe, missing: Iterable[str]) -> list[dict[str, Any]]:
    """The verdicts behind what is missing."""
    names = {name for need in missing for name in SHOWN_BY.get(need, (need,))}
    return [verdict for verdict in probe.failed_verdicts() if verdict["name"] in names]


def _needs(benchmark: Benchmark) -> frozenset[str]:
    return ENGINES[benchmark.engine].needs(_light_spec(benchmark))


@transaction.atomic
def cancel(run: Run, *, by: User | None = None) -> None:
    """Stop every part of ``run``; what is finished is kept."""
    if jobs.cancel(run):
        audit.record(run.candidate.project, "run.cancel", run, by=by)


@transaction.atomic
def resume(run: Run, *, budget: Budget | None = None, by: User | None = None) -> None:
    """Queue what has no answer yet: unfinished parts and parts with failed samples.

    Answered samples are not asked again; what they used counts in ``budget`` (None: that which
    the run has). Raises CannotStart when the endpoint has changed since, or cannot do what the
    run needs, and BudgetRefused when nothing of the budget is left.
    """
    budget = run.budget if budget is None else budget
    if fault := budgets.used_up(run, budget):
        raise BudgetRefused(fault)
    if run.endpoint_revision != run.candidate.endpoint.revision:
        raise CannotStart(_(MOVED))
    parts = list(run.parts.select_related("benchmark"))
    require(run.candidate, [part.benchmark for part in parts])
    for part in parts:
        if part.state != JobState.DONE or part.errors:
            jobs.resume(part, also_done=True)
    # Rate and time left are those of this attempt.
    done = sum(part.done for part in parts)
    run.stop_clock()
    Run.objects.filter(pk=run.pk).update(
        cancel_requested=False,
        done_before=done,
        budget_tokens=budget.tokens,
        budget_money=budget.money,
        stopped_by="",
    )
    run.settle()
    audit.record(run.candidate.project, "run.resume", run, by=by, **_told(budget))


def _told(budget: Budget) -> dict[str, Any]:
    """A budget as the audit log tells it."""
    given = {"budget_tokens": budget.tokens, "budget_money": budget.money}
    return {name: value for name, value in given.items() if value is not None}


def execute(part: Part, progress: Progress) -> None:
    """Ask what has no answer yet, store each answer at once, then compute the scores."""
    part.run.settle()
    watch = budgets.Watch(part)
    watch.look()
    if watch.reason and part.samples.count() < (part.total or 0):
        _stop(part, watch, progress)
    endpoint = part.run.candidate.endpoint
    if part.run.endpoint_revision != endpoint.revision:
        raise JobError(MOVED)
    if probe := candidates.renewed(endpoint, progress):
        _still_able(part, probe)
    part.benchmark = Benchmark.objects.with_questions().get(pk=part.benchmark_id)
    engine = ENGINES[part.benchmark.engine]
    benchmark = suites.spec(part.benchmark)
    finished = _places(part.samples.answered())
    failed = _places(part.samples.exclude(error=""))
    outcomes.tally(part)
    total = set_scores.samples_of(part.benchmark)
    progress.begin(total=total, done=len(finished), errors=len(failed))
    served = candidates.spec(endpoint)
    slots = Slots(part, progress, servers=1 + len(served.others))
    served = replace(served, gate=slots.gate)
    tell(progress, "")
    _look_first(part, served)
    try:
        batches = patiently(
            lambda skip: engine.run(served, benchmark, skip, watch.stops),
            served, progress, finished, total,
        )  # fmt: skip
        _drive(batches, part, progress, failed, watch, slots)
    except TaskInvalid as error:
        raise JobError(str(error)) from error
    finally:
        tell(progress, "")
        slots.release()
    if watch.cut_off:
        _stop(part, watch, progress)
    _score(part, progress)


def _score(part: Part, progress: Progress) -> None:
    """Replace the scores of ``part``, if the lease is still ours.

    Computing takes longer than a lease for 200,000 samples, so nothing is locked meanwhile.
    """
    answered = answers.read(part, progress.beat)
    texts = suites.texts_of(part.benchmark, answered.asked)
    made = _meanwhile(lambda: scores.compute(part, answered, texts), progress)
    with transaction.atomic():
        progress.fence()
        scores.store(part, made)


@async_to_sync
async def _meanwhile(call: Callable[[], T], progress: Progress) -> T:
    """``call()`` in a thread, with lease and cancel flag looked after."""
    return await alongside(in_thread(call), progress)


def _places(samples: QuerySet[Sample]) -> Places:
    return Places(
        samples.order_by().values_list("doc_id", flat=True).iterator(answers.ROWS_AT_ONCE)
    )


def _stop(part: Part, watch: budgets.Watch, progress: Progress) -> NoReturn:
    """End this part and those of the run that no worker has begun, unscored: JobStopped."""
    message = budgets.told(part.run, watch.reason)
    with transaction.atomic():
        # The run first, as whoever cancels it does: they would wait for each other otherwise.
        Run.objects.filter(pk=part.run_id).update(stopped_by=watch.reason)
        progress.fence()
        waiting = Part.objects.filter(run=part.run_id, state=JobState.QUEUED)
        for other in waiting:
            jobs.settle(other, JobState.STOPPED, message=message, where=waiting.all())
    raise JobStopped(message)


def _still_able(part: Part, probe: Probe) -> None:
    """JobError with the evidence, where the check before this run finds that it cannot be."""
    if probe.state != JobState.DONE:
        raise JobError(probe.message)
    try:
        require(part.run.candidate, [part.benchmark])
    except CannotStart as error:
        shown = [f"{verdict['summary']}\n{verdict['evidence']}" for verdict in error.evidence]
        raise JobError("\n".join([str(error), *shown])) from error
    Run.objects.filter(pk=part.run_id).update(server=probe.server)


def _look_first(part: Part, served: EndpointSpec) -> None:
    """Raise ServerGone when the server is away and another part has waited for it in vain."""
    waited = part.run.parts.filter(Q(message__startswith=GONE) | Q(message__startswith=AWAY))
    if waited.filter(state=JobState.FAILED).exists() and (reason := look(served)):
        raise ServerGone(f"{AWAY}\n{reason}")


look = async_to_sync(absence)


@async_to_sync
async def _drive(
    batches: Any,
    part: Part,
    progress: Progress,
    failed: Places,
    watch: budgets.Watch,
    slots: Slots,
) -> None:
    """Store batches as they come, and look after each what is left of the budget."""

    async def consume() -> None:
        async with aclosing(batches) as source:
            async for batch in source:
                await sync_to_async(outcomes.store)(part, batch, progress, failed)
                await sync_to_async(watch.look)()

    await slots.renew()
    await alongside(beside(consume(), slots.renew, lambda: slots.pause), progress)


def _light_spec(benchmark: Benchmark) -> Any:
    """What ``Engine.needs`` looks at, without parsing the questions."""
    from evals.engines import BenchmarkSpec

    return BenchmarkSpec(
        name=benchmark.name,
        scoring=benchmark.scoring,
        metric=benchmark.metric,
        rows=[],
        task=benchmark.task,
        options=benchmark.options,
    )
