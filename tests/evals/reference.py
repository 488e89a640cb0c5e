"""The same benchmark measured by the portal and by lm-eval's own command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from evals import candidates, runs
from evals.models import Part, Probe, Run, Suite
from portal.accounts.models import Project
from tests.real import Served
from workers import jobs
from workers.models import JobState


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


def reference(
    folder: Path, tasks: list[str], served: Served, *, chat: bool = False
) -> dict[str, Any]:
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
