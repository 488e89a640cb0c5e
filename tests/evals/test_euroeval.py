"""The optional engine that starts the real EuroEval: what it is told, kept, cancelled, resumed.

A small program stands for EuroEval, because the real one needs 6 GB, the hub and minutes; it
takes the same arguments and writes a record of the same shape.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse

from evals import euroeval
from evals.models import Candidate, EuroEvalRun
from evals.models.imports import ExternalResult
from portal.accounts.models import Project
from tests.evals.making import make_candidate
from workers import jobs
from workers.models import JobState

pytestmark = pytest.mark.django_db
PROGRAM = """#!{python}
import json, os, pathlib, sys, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
name = sys.argv[sys.argv.index("--dataset") + 1]
pathlib.Path({seen!r}, name + ".json").write_text(
    json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), os.getpid()]))
print("\\x1b[31mBenchmarking\\x1b[0m", name, os.environ["OPENAI_API_KEY"], flush=True)
if name == "slow":
    time.sleep(60)
if name == "broken":
    sys.exit("the hub is out of reach")
record = {{"dataset": name, "task": "sentiment-classification", "languages": ["de"],
    "model": sys.argv[sys.argv.index("--model") + 1], "few_shot": True, "validation_split": False,
    "results": {{"raw": [{{"mcc": 0.5}}] * 10, "total": {{"test_mcc": 50.0, "test_mcc_se": 1.25}}}},
    "num_model_parameters": -1, "euroeval_version": "16.11.0"}}
pathlib.Path("euroeval_benchmark_results.jsonl").write_text("\\n" + json.dumps(record))
"""


@pytest.fixture
def seen(tmp_path: Path, settings: LazySettings) -> Path:
    """Where the program notes what it was given."""
    program = tmp_path / "euroeval"
    program.write_text(PROGRAM.format(python=sys.executable, seen=str(tmp_path)))
    program.chmod(0o755)
    settings.EUROEVAL = str(program)
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir()
    return tmp_path


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return make_candidate(project, "Alder 7B")


def perform(run: EuroEvalRun) -> EuroEvalRun:
    progress = jobs.claim(EuroEvalRun, run.pk)
    assert progress
    jobs.perform(progress, euroeval.execute)
    return EuroEvalRun.objects.get(pk=run.pk)


def test_it_measures_each_data_set_and_keeps_the_totals_as_they_are(
    candidate: Candidate, seen: Path
) -> None:
    run = perform(euroeval.start(candidate, ["sb10k", "scala-de"]))
    assert (run.state, run.done, run.errors, run.message) == (JobState.DONE, 2, 0, "")
    results = ExternalResult.objects.filter(source__in=run.imports.all()).order_by("pk")
    assert [(r.benchmark, r.metric, r.value, r.spread) for r in results] == [
        ("sb10k", "mcc", 50.0, 1.25),
        ("scala-de", "mcc", 50.0, 1.25),
    ]
    assert "Benchmarking sb10k" in run.log and "\x1b" not in run.log
    assert not list((seen / "data" / "euroeval").glob(f"{run.pk}-*")), "its folders are left behind"


def test_the_key_reaches_it_by_the_environment_alone_and_nothing_else_of_ours_does(
    candidate: Candidate, seen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTAL_SECRET_KEY", "of-the-portal")
    from evals import candidates

    endpoint = candidate.endpoint
    candidates.change_endpoint(
        endpoint, base_url=endpoint.base_url, served_model=endpoint.served_model,
        concurrency=4, api_key="sk-canary-0123456789",
    )  # fmt: skip
    run = perform(euroeval.start(candidate, ["sb10k"], test_split=False))
    arguments, environment, folder, _pid = json.loads((seen / "sb10k.json").read_text())
    assert environment["OPENAI_API_KEY"] == "sk-canary-0123456789"
    assert not any("canary" in argument for argument in arguments)
    assert not any(name.startswith(("PORTAL_", "DJANGO_")) for name in environment)
    assert "--evaluate-val-split" in arguments and "--evaluate-test-split" not in arguments
    assert arguments[arguments.index("--api-base") + 1] == endpoint.base_url
    assert Path(folder).parent == seen / "data" / "euroeval"
    assert "canary" not in run.log and "Benchmarking sb10k …" in run.log


def test_a_data_set_without_result_fails_the_job_and_the_rest_is_kept(
    candidate: Candidate, seen: Path
) -> None:
    run = perform(euroeval.start(candidate, ["broken", "sb10k"]))
    assert (run.state, run.done, run.errors) == (JobState.FAILED, 1, 1)
    assert "broken" in run.message and "the hub is out of reach" in run.log
    assert run.measured == ["sb10k"] and run.imports.count() == 1


def test_a_resumed_job_measures_only_what_is_missing(candidate: Candidate, seen: Path) -> None:
    run = perform(euroeval.start(candidate, ["sb10k", "broken"]))
    (seen / "sb10k.json").unlink()
    assert jobs.resume(run)
    run = perform(run)
    assert not (seen / "sb10k.json").exists() and run.measured == ["sb10k"]
    assert (run.state, run.done, run.errors) == (JobState.FAILED, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_cancel_ends_the_process_within_seconds(candidate: Candidate, seen: Path) -> None:
    run = euroeval.start(candidate, ["slow"])

    def cancel_when_it_runs() -> None:
        from django.db import connection

        end = time.monotonic() + 60
        while not (seen / "slow.json").exists() and time.monotonic() < end:
            time.sleep(0.05)
        jobs.cancel(run)
        connection.close()

    canceller = threading.Thread(target=cancel_when_it_runs)
    canceller.start()
    before = time.monotonic()
    run = perform(run)
    canceller.join()
    assert run.state == JobState.CANCELLED
    assert time.monotonic() - before < 30
    *_, pid = json.loads((seen / "slow.json").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_endpoint_that_changed_since_is_not_measured(candidate: Candidate, seen: Path) -> None:
    run = euroeval.start(candidate, ["sb10k"])
    type(candidate.endpoint).objects.update(revision=2)
    run = perform(run)
    assert run.state == JobState.FAILED and "changed" in run.message
    assert not (seen / "sb10k.json").exists()


def test_an_address_that_the_portal_may_not_reach_is_not_handed_on(
    candidate: Candidate, seen: Path, settings: LazySettings
) -> None:
    settings.OUTBOUND_ALLOW = ["10.0.0.0/8"]
    run = perform(euroeval.start(candidate, ["sb10k"]))
    assert run.state == JobState.FAILED and "PORTAL_OUTBOUND_ALLOW" in run.message
    assert not (seen / "sb10k.json").exists()


@pytest.mark.parametrize("text", ["--debug", "sb10k --force", "../x", "Ünder", "a" * 81, "", ", ,"])
def test_only_names_of_data_sets_become_arguments(text: str) -> None:
    with pytest.raises(euroeval.EuroEvalRefused):
        euroeval.names(text)


def test_names_may_stand_apart_by_commas_blanks_and_lines() -> None:
    assert euroeval.names("sb10k, scala-de\ngermeval sb10k") == ["sb10k", "scala-de", "germeval"]


def test_where_it_is_not_set_up_nothing_starts_and_the_page_says_so(
    candidate: Candidate, as_erik: Client, settings: LazySettings
) -> None:
    settings.EUROEVAL = ""
    with pytest.raises(euroeval.EuroEvalRefused, match="PORTAL_EUROEVAL"):
        euroeval.start(candidate, ["sb10k"])
    page = as_erik.get(f"/models/{candidate.pk}/euroeval/").content.decode()
    assert "PORTAL_EUROEVAL" in page and "<textarea" not in page
    assert "/euroeval/" not in as_erik.get(candidate.get_absolute_url()).content.decode()


def test_an_engineer_starts_it_from_the_models_page_and_reads_the_results(
    candidate: Candidate, as_erik: Client, seen: Path
) -> None:
    assert f"/models/{candidate.pk}/euroeval/" in (
        as_erik.get(candidate.get_absolute_url()).content.decode()
    )
    address = f"/models/{candidate.pk}/euroeval/"
    refused = as_erik.post(address, {"datasets": "--force"})
    assert refused.status_code == 422 and "--force" in refused.content.decode()
    started = as_erik.post(address, {"datasets": "sb10k", "test_split": "on"})
    run = EuroEvalRun.objects.get()
    assert started.headers["Location"] == run.get_absolute_url()
    perform(run)
    page = as_erik.get(run.get_absolute_url()).content.decode()
    assert "sb10k" in page and "50.00" in page and "1.25" in page


@pytest.mark.parametrize(
    ("state", "offered"),
    [(JobState.DONE, False), (JobState.FAILED, True), (JobState.CANCELLED, True)],
)
def test_only_what_did_not_come_to_its_end_can_be_resumed(
    candidate: Candidate, as_erik: Client, state: str, offered: bool
) -> None:
    run = EuroEvalRun.objects.create(
        candidate=candidate, endpoint_revision=1, datasets=["sb10k"], state=state
    )
    page = as_erik.get(run.get_absolute_url()).text
    assert (f'action="{reverse("evals:euroeval_resume", args=[run.pk])}"' in page) == offered
