"""Results as files of other tools."""

from __future__ import annotations

from io import TextIOWrapper
from tempfile import TemporaryFile
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile

from evals.formats import lm_eval
from evals.models import Part, Run, Sample


def lm_eval_files(run: Run) -> IO[bytes]:
    """A zip of ``run`` as lm-eval's result files, ready to be read; failed samples are kept.

    On disk rather than in memory: a large suite has hundreds of megabytes of samples.
    """
    name, date = run.candidate.name, run.finished_at or run.created_at
    place, stamp = lm_eval.folder(name), lm_eval.stamp(date)
    made = TemporaryFile()  # noqa: SIM115 - the reader closes it
    tasks = []
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        for part in run.parts.select_related("benchmark").prefetch_related("scores"):
            task = _task(part, run.suite.version)
            path = f"{place}/samples_{task.name}_{stamp}.jsonl"
            with TextIOWrapper(archive.open(path, "w", force_zip64=True), "utf-8") as file:
                for sample in part.samples.iterator(chunk_size=500):
                    file.write(task.line(_question(sample)))
            tasks.append(task)
        text = lm_eval.results(name, date, tasks, software=run.software, suite=str(run.suite))
        archive.writestr(f"{place}/results_{stamp}.json", text)
    made.seek(0)
    return made


def _task(part: Part, version: int) -> lm_eval.Task:
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
