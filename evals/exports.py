"""Results as files of other tools."""

from __future__ import annotations

from io import TextIOWrapper
from tempfile import TemporaryFile
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile

from django.db.models import F

from evals.formats import lm_eval
from evals.formats import model_card as model_card_format
from evals.models import Candidate, Part, Run, Sample, Score
from evals.models.suites import Scoring
from evals.suites import version_of


def lm_eval_files(run: Run) -> IO[bytes]:
    """A zip of ``run`` as lm-eval's result files, ready to be read; failed samples are kept.

    On disk rather than in memory: a large suite has hundreds of megabytes of samples.
    """
    name, date = run.candidate.name, run.finished_at or run.created_at
    place, stamp = lm_eval.folder(name), lm_eval.stamp(date)
    made = TemporaryFile()  # noqa: SIM115 - the reader closes it
    tasks, scoring = [], {}
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        for part in run.parts.select_related("benchmark__suite").prefetch_related("scores"):
            task = _task(part, version_of(part.benchmark))
            scoring[task.name] = part.benchmark.scoring
            path = f"{place}/samples_{task.name}_{stamp}.jsonl"
            with TextIOWrapper(archive.open(path, "w", force_zip64=True), "utf-8") as file:
                for sample in part.samples.iterator(chunk_size=500):
                    file.write(task.line(_question(sample)))
            tasks.append(task)
        more = {"software": run.software, "suite": str(run.suite), "scoring": scoring}
        text = lm_eval.results(name, date, tasks, **more)
        archive.writestr(f"{place}/results_{stamp}.json", text)
    made.seek(0)
    return made


def model_card(candidate: Candidate) -> str:
    """The valid results of ``candidate`` as its endpoint is now, as the head of a model card."""
    scores = (
        Score.objects.filter(
            part__run__candidate=candidate,
            part__run__endpoint_revision=candidate.endpoint.revision,
            metric=F("part__benchmark__metric"),
            valid=True,
            value__isnull=False,
        )
        .select_related("part__run__suite", "part__benchmark__questions")
        .defer("part__values", "part__benchmark__questions__lines", "part__benchmark__task")
        .order_by("part")
    )
    newest = {score.part.benchmark_id: score for score in scores}
    return model_card_format.head(candidate.name, [_line(score) for score in newest.values()])


def _line(score: Score) -> model_card_format.Line:
    run, benchmark = score.part.run, score.part.benchmark
    source = benchmark.source
    return model_card_format.Line(
        task="multiple-choice" if benchmark.scoring != Scoring.GENERATE else "text-generation",
        dataset_type=source.get("repo") or f"{run.suite.slug}/{benchmark.name}",
        dataset_name=benchmark.title,
        metric=score.metric,
        value=score.value,
        revision=source.get("revision", ""),
        dataset={
            "suite": run.suite.slug,
            "version": run.suite.version,
            "language": benchmark.language,
            "num_few_shot": int(benchmark.options.get("num_fewshot", 0)),
            "sha256": benchmark.questions.sha256,
        },
        more={
            "low": score.low,
            "high": score.high,
            "interval": score.method,
            "answered": score.answered,
            "asked": score.asked,
            "scoring": benchmark.scoring,
            "date": (run.finished_at or run.created_at).date().isoformat(),
        },
    )


def _task(part: Part, version: Any) -> lm_eval.Task:
    benchmark = part.benchmark
    fields = ("value", "low", "high", "method", "asked", "answered", "valid")
    metrics = [
        lm_eval.Metric(score.metric, *(getattr(score, field) for field in fields))
        for score in part.scores.all()
    ]
    shots = int(benchmark.options.get("num_fewshot", 0))
    return lm_eval.Task(benchmark.name, benchmark.title, version, shots, benchmark.task, metrics)


def _question(sample: Sample) -> lm_eval.Question:
    return lm_eval.Question(
        doc_id=sample.doc_id,
        prompt=sample.prompt,
        target=sample.target,
        reply=sample.raw or sample.answer,
        answer=sample.answer,
        choices=sample.choices,
        loglikelihoods=sample.loglikelihoods,
        metrics=sample.metrics,
        error=sample.error,
    )
