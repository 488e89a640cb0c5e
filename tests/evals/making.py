"""Plain helpers that make evaluation things: candidates, suites, runs with results."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from django.test import TestCase
from django.utils import timezone

from evals import runs, scores, suites
from evals.llm import CAPABILITIES, PROBE_VERSION
from evals.models import Candidate, Endpoint, Part, Probe, Run, Sample, Suite
from portal.accounts.models import Project
from tests.evals.stub_server import MODEL
from workers import jobs
from workers.models import JobState

NOWHERE = "http://127.0.0.1:9/v1"  # the discard port: nothing answers
EVERYTHING = (
    "chat", "completions", "loglikelihood", "echo_logprobs", "batch_prompts", "tokenize",
    "top_logprobs", "chat_top_logprobs",
)  # fmt: skip


def make_candidate(
    project: Project,
    name: str = "Candidate",
    base_url: str = NOWHERE,
    *,
    can: Sequence[str] | None = EVERYTHING,
    concurrency: int = 4,
    **facts: Any,
) -> Candidate:
    """A candidate whose check found ``can``; None: not checked yet."""
    candidate = Candidate.objects.create(project=project, name=name, **facts)
    endpoint = Endpoint.objects.create(
        candidate=candidate, base_url=base_url, served_model=MODEL, concurrency=concurrency
    )
    if can is not None:
        make_probe(endpoint, can)
    return candidate


def make_probe(endpoint: Endpoint, can: Sequence[str] = EVERYTHING) -> Probe:
    """A finished check of ``endpoint`` as it is now."""
    verdict = {
        "name": "echo_logprobs",
        "ok": "loglikelihood" in can,
        "summary": "The server answers, but without log-probabilities.",
        "evidence": {"request": "POST completions", "response": "no logprobs here"},
        "code": "echo_true" if "loglikelihood" in can else "no_logprobs",
        "values": {"difference": "0.0"} if "loglikelihood" in can else {},
    }
    return Probe.objects.create(
        endpoint=endpoint,
        endpoint_revision=endpoint.revision,
        state=JobState.DONE,
        server="stub stub 1.0",
        probes_version=PROBE_VERSION,
        verdicts=[verdict],
        capabilities={name: name in can for name in CAPABILITIES},
        finished_at=timezone.now(),
    )


def choice_rows(count: int, prefix: str = "") -> list[dict[str, Any]]:
    """Questions with four choices of different lengths, the right one anywhere."""
    rng = random.Random(5)
    words = ["red", "a dark green", "blue like the sea", "white", "the black of night", "grey"]
    rows = []
    for number in range(count):
        choices = rng.sample(words, 4)
        rows.append(
            {
                "question": f"{prefix}No {number}: which colour?",
                "choices": choices,
                "answer": rng.randrange(4),
            }
        )
    return rows


def answer_rows(count: int, prefix: str = "") -> list[dict[str, Any]]:
    """Questions whose right answer is their last word, which the stub gives for half of them."""
    return [
        {"question": f"{prefix}No {number}: repeat tree", "target": "tree"}
        for number in range(count)
    ]


def choice(
    name: str = "colours", rows: list[dict[str, Any]] | None = None, **changes: Any
) -> dict[str, Any]:
    """A multiple-choice entry of a suite file, its rows under "rows"."""
    return {
        "name": name,
        "title": f"Choice {name}",
        "family": "colours",
        "language": "en",
        "engine": "lm_eval",
        "scoring": "options",
        "metric": "acc",
        "rows": choice_rows(8) if rows is None else rows,
        "options": {"num_fewshot": 0},
        "task": {
            "output_type": "multiple_choice",
            "doc_to_text": "Question: {{question}}\nAnswer:",
            "doc_to_choice": "{{choices}}",
            "doc_to_target": "answer",
            "metric_list": [
                {"metric": metric, "aggregation": "mean", "higher_is_better": True}
                for metric in ("acc", "acc_norm")
            ],
        },
    } | changes


def letter(name: str = "letters", count: int = 8, **changes: Any) -> dict[str, Any]:
    """The questions of ``choice``, answered by the letter of an option in the prompt."""
    asked = choice(name, choice_rows(count))
    task = asked["task"] | {
        "doc_to_text": "{{question}}\n{% for c in choices %}{{'ABCD'[loop.index0]}}. {{c}}\n"
        "{% endfor %}Answer:",
        "doc_to_choice": ["A", "B", "C", "D"],
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    return asked | {"scoring": "letter", "task": task} | changes


def answer(
    name: str = "words", rows: list[dict[str, Any]] | None = None, **changes: Any
) -> dict[str, Any]:
    """A generated-answer entry of a suite file, its rows under "rows"."""
    return {
        "name": name,
        "title": f"Answer {name}",
        "family": "words",
        "language": "de",
        "engine": "lm_eval",
        "scoring": "generate",
        "metric": "exact_match",
        "rows": answer_rows(8) if rows is None else rows,
        "options": {"num_fewshot": 0, "chat": True},
        "task": {
            "output_type": "generate_until",
            "doc_to_text": "{{question}}",
            "doc_to_target": "{{target}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": 8, "do_sample": False},
            "metric_list": [
                {
                    "metric": "exact_match",
                    "aggregation": "mean",
                    "higher_is_better": True,
                    "ignore_case": True,
                }
            ],
        },
    } | changes


def write_suite(folder: Path, benchmarks: Sequence[dict[str, Any]], /, **fields: Any) -> Path:
    """A suite's files as a person would write them."""
    entries = []
    for benchmark in benchmarks:
        entry = dict(benchmark)
        rows = entry.pop("rows")
        entry.setdefault("questions", f"{entry['name']}.jsonl")
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / entry["questions"]).write_text(lines, encoding="utf-8")
        entries.append(entry)
    content = {"slug": "small", "name": "Small suite", "version": 1, "benchmarks": entries}
    text = yaml.safe_dump(content | fields, allow_unicode=True, sort_keys=False)
    (folder / "suite.yaml").write_text(text, encoding="utf-8")
    return folder


def make_suite(project: Project, *benchmarks: dict[str, Any], **fields: Any) -> Suite:
    """An installed suite; without ``benchmarks`` one choice and one answer benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        written = write_suite(Path(folder), benchmarks or (choice(), answer()), **fields)
        return suites.load(project, written)


def make_run(candidate: Candidate, suite: Suite, values: dict[str, Sequence[float | None]]) -> Run:
    """A finished run whose samples have ``values`` (None: failed) by benchmark name."""
    run = runs.start(candidate, suite, again=True)
    for part in run.parts.select_related("benchmark"):
        mine = values.get(part.benchmark.name)
        if mine is None:
            part.delete()
            continue
        Sample.objects.bulk_create(
            Sample(
                part=part,
                doc_id=number,
                prompt=f"Question {number}",
                target="yes",
                answer="" if value is None else "yes" if value else "no",
                value=value,
                correct=None if value is None else bool(value),
                metrics={} if value is None else {part.benchmark.metric: value},
                error="out of order" if value is None else "",
                error_kind="server error" if value is None else "",
            )
            for number, value in enumerate(mine)
        )
        failed = sum(value is None for value in mine)
        part.total, part.done, part.errors = len(mine), len(mine) - failed, failed
        part.state, part.finished_at = JobState.DONE, timezone.now()
        part.save()
        scores.score(part)
    run.settle()
    run.refresh_from_db()
    return run


def carry_out(run: Run) -> Run:
    """Do in this process what workers would do with ``run``, then read it again."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        for pk in run.parts.values_list("pk", flat=True):
            if progress := jobs.claim(Part, pk):
                jobs.perform(progress, runs.execute)
    run = Run.objects.get(pk=run.pk)
    run.count_up(run.children())
    return run
