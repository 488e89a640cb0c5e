"""A run as files of lm-eval, read with lm-eval's own code."""

from __future__ import annotations

import io
import json
from typing import Any
from zipfile import ZipFile

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from evals.formats import lm_eval
from evals.models import Run
from portal.accounts.models import AuditEntry, Project
from tests.evals.making import make_candidate, make_run, make_suite

pytestmark = pytest.mark.django_db
COLOURS = [1.0, 0.0, 1.0, 1.0, None]


@pytest.fixture
def run(project: Project) -> Run:
    candidate = make_candidate(project, "../team/model: 7B")
    return make_run(candidate, make_suite(project), {"colours": COLOURS, "words": [1.0, 0.0]})


def archive(client: Client, run: Run) -> dict[str, str]:
    response = client.get(reverse("evals:run_files", args=[run.pk]))
    assert f"run-{run.pk}-lm-eval.zip" in response["Content-Disposition"]
    with ZipFile(io.BytesIO(b"".join(response.streaming_content))) as found:
        return {name: found.read(name).decode() for name in found.namelist()}


def results(files: dict[str, str]) -> dict[str, Any]:
    return next(json.loads(text) for name, text in files.items() if "/results_" in name)


def samples(files: dict[str, str], task: str) -> list[dict[str, Any]]:
    text = next(text for name, text in files.items() if f"/samples_{task}_" in name)
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_lm_eval_finds_its_files_by_their_names(as_erik: Client, run: Run) -> None:
    from lm_eval import utils

    names = list(archive(as_erik, run))
    assert len(utils.get_results_filenames(names)) == 1
    found = [name.split("/")[1] for name in utils.get_sample_results_filenames(names)]
    assert sorted(map(utils.get_file_task_name, found)) == ["colours", "words"]
    assert {name.split("/")[0] for name in names} == {"__team__model__ 7B"}


def test_lm_eval_prints_its_table_with_the_standard_error_that_it_would_compute(
    as_erik: Client, run: Run
) -> None:
    from lm_eval.api.metrics import mean_stderr
    from lm_eval.utils import make_table

    found = results(archive(as_erik, run))
    metric = run.parts.get(benchmark__name="colours").benchmark.metric
    row = found["results"]["colours"]
    assert row[f"{metric},none"] == 0.75
    assert row[f"{metric}_stderr,none"] == pytest.approx(mean_stderr([1.0, 0.0, 1.0, 1.0]))
    assert "0.75" in make_table(found)


def test_failed_samples_are_kept_without_a_score(as_erik: Client, run: Run) -> None:
    files = archive(as_erik, run)
    lines = samples(files, "colours")
    metric = run.parts.get(benchmark__name="colours").benchmark.metric
    assert [line.get(metric) for line in lines] == COLOURS
    assert lines[4]["error"] == "out of order"
    assert results(files)["n-samples"]["colours"] == {"original": 5, "effective": 4}


def test_the_target_of_a_choice_is_its_number_as_in_lm_eval() -> None:
    question = lm_eval.Question(0, "Q", " b", "", " a", [" a", " b"], [-0.1, -0.5], {"acc": 0.0})
    found = lm_eval.sample(question, {})
    assert found["target"] == "1"
    assert found["arguments"]["gen_args_1"] == {"arg_0": "Q", "arg_1": " b"}
    assert found["resps"] == [[["-0.1", "None"]], [["-0.5", "None"]]]
    assert found["filtered_resps"] == [["-0.1", "None"], ["-0.5", "None"]]


def test_the_interval_stands_beside_with_its_method(as_erik: Client, run: Run) -> None:
    score = run.parts.get(benchmark__name="words").scores.first()
    kept = results(archive(as_erik, run))["intervals"]["words"][score.metric]
    assert (kept["low"], kept["high"], kept["method"]) == (score.low, score.high, score.method)


def test_the_download_is_written_down(as_erik: Client, run: Run) -> None:
    archive(as_erik, run)
    assert AuditEntry.objects.filter(action="run.export", actor_name="erik").count() == 1


@given(st.text())
def test_a_folder_never_leaves_the_archive(name: str) -> None:
    folder = lm_eval.folder(name)
    assert folder and not folder.startswith(".") and "/" not in folder and "\\" not in folder


@given(st.text(), st.text(), st.lists(st.tuples(st.text(), st.floats(-99, 0)), max_size=4))
def test_any_question_is_one_line_that_reads_back(
    prompt: str, reply: str, options: list[tuple[str, float]]
) -> None:
    choices, numbers = [text for text, _ in options], [number for _, number in options]
    question = lm_eval.Question(3, prompt, "t", reply, reply, choices, numbers, {"acc": 1.0})
    task = lm_eval.Task("task", "Task", 1, 0, {}, [])
    line = task.line(question)
    found = json.loads(line)
    assert line.count("\n") == 1
    assert found["doc"] == {"prompt": prompt, "target": "t", "choices": choices}
    told = [float(pair[0]) for pair in found["filtered_resps"]] if choices else numbers
    assert told == numbers
