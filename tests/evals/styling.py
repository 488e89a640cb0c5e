"""Finished runs of EuroEval-style suites, scored by the engine's own code and asked of nobody."""

from __future__ import annotations

import json
import random
from collections.abc import Collection

from django.utils import timezone

from evals import runs, scores, suites
from evals.engines.euro_style import prepare
from evals.models import Candidate, Part, Run, Sample, Suite
from evals.styles import scoring
from portal.accounts.models import Project
from workers.models import JobState


def two_languages(project: Project) -> Suite:
    """The German and English benchmarks of the chat suite: enough for ranks, and soon asked."""
    suite = suites.install(project, "euro-style-chat")
    suite.benchmarks.exclude(language__in=("de", "en")).delete()
    return suite


def style_run(
    candidate: Candidate,
    suite: Suite,
    share: float,
    *,
    unread: float = 0.0,
    without: Collection[str] = (),
    failed: Collection[str] = (),
) -> Run:
    """A run in which about ``share`` of the answers are right and ``unread`` say nothing.

    The benchmarks in ``without`` are not part of it; of those in ``failed`` no request is answered.
    """
    run = runs.start(candidate, suite, again=True)
    for part in run.parts.select_related("benchmark__questions", "benchmark__examples"):
        if part.benchmark.name in without:
            part.delete()
        else:
            answer(part, share, unread, part.benchmark.name in failed)
    run.settle()
    run.refresh_from_db()
    return run


def answer(part: Part, share: float, unread: float, failed: bool) -> None:
    benchmark = part.benchmark
    made = prepare(suites.spec(benchmark))
    rng = random.Random(f"{part.run.candidate} {benchmark.name}")
    nothing = json.dumps({label: [] for label in made.template.labels.values()})
    samples = []
    for doc_id, asked in enumerate(made.asked):
        item = made.items[asked.row]
        said = item.right
        if rng.random() > share:
            said = rng.choice(item.words or [nothing])
        if rng.random() < unread:
            said = ""
        found = scoring.score(made.task, benchmark.language, made.template, item, said)
        sample = Sample(part=part, doc_id=doc_id, prompt=f"Question {doc_id}", target=item.right)
        if failed:
            sample.error, sample.error_kind = "out of order", "server error"
        else:
            sample.answer, sample.value = found.answer, found.value
            sample.metrics, sample.counts = found.metrics, list(found.counts)
            sample.correct = found.value == 1
        samples.append(sample)
    Sample.objects.bulk_create(samples)
    part.total = len(samples)
    part.done, part.errors = (0, len(samples)) if failed else (len(samples), 0)
    part.state, part.finished_at = JobState.DONE, timezone.now()
    part.save()
    scores.score(part)
