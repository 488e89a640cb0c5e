"""The portal and lm-eval's own command, on the same real server, give the same numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evals import candidates, runs, suites
from evals.models import Benchmark, Part, Probe, Run, Sample, Suite
from portal.accounts.models import Project
from tests.real import Served
from workers import jobs
from workers.models import JobState

pytestmark = [pytest.mark.vllm, pytest.mark.django_db(transaction=True)]
SHOTS = 2


def perform(job: Part | Probe, body: Any) -> None:
    """What a worker does with ``job``, in this process."""
    progress = jobs.claim(type(job), job.pk)
    assert progress is not None
    jobs.perform(progress, body)


def measured(project: Project, served: Served, suite: Suite, scoring: str = "") -> Run:
    candidate = candidates.register(
        project, name=served.name, base_url=served.base_url, served_model=served.name
    )
    perform(candidate.endpoint.latest_probe, candidates.run_check)
    run = runs.start(candidate, suite, scoring=scoring)
    for part in run.parts.all():
        perform(part, runs.execute)
    run.refresh_from_db()
    assert run.state == JobState.DONE
    return run


@pytest.fixture
def suite(project: Project) -> Suite:
    """English and German of the demo suite, German with examples in the prompt."""
    found = suites.install(project, "demo")
    found.benchmarks.exclude(language__in=["en", "de"]).delete()
    for benchmark in found.benchmarks.filter(language="de"):
        Benchmark.objects.filter(pk=benchmark.pk).update(
            options={**benchmark.options, "num_fewshot": SHOTS}
        )
    return found


def reference(folder: Path, tasks: list[str], served: Served, *, chat: bool) -> dict[str, Any]:
    """Results and samples of ``lm_eval`` run as a command."""
    kind = "local-chat-completions" if chat else "local-completions"
    route = "chat/completions" if chat else "completions"
    model = f"model={served.name},base_url={served.base_url}/{route},num_concurrent=8,max_retries=3"
    tokens = "" if chat else ",tokenizer_backend=remote,max_length=2048"
    out = folder / f"out-{kind}"
    command = [
        *(sys.executable, "-m", "lm_eval", "run", "--model", kind, "--model_args", model + tokens),
        *("--tasks", *tasks, "--include_path", str(folder), "--batch_size", "1"),
        *("--output_path", str(out), "--log_samples"),
        *(["--apply_chat_template"] if chat else []),
    ]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    (results,) = out.rglob("results_*.json")
    found = {"results": json.loads(results.read_text())["results"], "samples": {}}
    for task in tasks:
        (path,) = out.rglob(f"samples_{task}_*.jsonl")
        found["samples"][task] = [json.loads(line) for line in path.read_text().splitlines()]
    return found


def test_choice_and_answer_scores_are_identical_to_lm_evals_own_command(
    project: Project, suite: Suite, vllm: dict[str, Served], tmp_path: Path
) -> None:
    served = vllm["tiny-good"]
    suites.write_task_files(suite, tmp_path)
    run = measured(project, served, suite)
    largest, compared = 0.0, 0
    for scoring, chat in (("options", False), ("generate", True)):
        parts = list(run.parts.filter(benchmark__scoring=scoring).select_related("benchmark"))
        theirs = reference(tmp_path, [part.benchmark.name for part in parts], served, chat=chat)
        for part in parts:
            name = part.benchmark.name
            for score in part.scores.exclude(metric__in=runs.DISTANCES):
                value = theirs["results"][name][f"{score.metric},none"]
                assert score.value == pytest.approx(value, abs=1e-12), (name, score.metric)
                compared += 1
            ours = {sample.doc_id: sample for sample in part.samples.all()}
            for sample in theirs["samples"][name]:
                if scoring == "options":
                    logs = [float(answer[0]) for answer in sample["filtered_resps"]]
                    mine = ours[sample["doc_id"]].loglikelihoods
                    differences = [abs(a - b) for a, b in zip(logs, mine, strict=True)]
                    largest = max(largest, *differences)
                else:
                    assert ours[sample["doc_id"]].raw == sample["resps"][0][0]
    print(f"{compared} scores identical, largest difference of log-likelihoods {largest:.2e}")
    assert compared == 12
    assert largest < 1e-4


def test_the_well_trained_model_is_really_better(project: Project, vllm: dict[str, Served]) -> None:
    suite = suites.install(project, "demo")
    good = measured(project, vllm["tiny-good"], suite, "options")
    bad = measured(project, vllm["tiny-bad"], suite, "options")
    for part in good.parts.all():
        better = part.scores.get(metric="acc")
        worse = bad.parts.get(benchmark=part.benchmark).scores.get(metric="acc")
        assert better.low > worse.high, part.benchmark.name
    assert Sample.objects.exclude(error="").count() == 0
