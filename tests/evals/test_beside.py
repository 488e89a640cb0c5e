"""Imported results of lm-eval stand in the column of the benchmark that they measure, or apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from evals import exports, imports, leaderboard, runs, suites, tasks
from evals.leaderboard import View
from evals.models import Import, ImportedColumn, Suite
from evals.words import DIFFERENCES
from portal.accounts.models import Project
from tests.evals.making import answer, carry_out, choice, letter, make_candidate, make_suite
from tests.evals.stub_server import StubServer

pytestmark = pytest.mark.django_db
Files = dict[str, str]


@pytest.fixture(scope="module")
def server() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@pytest.fixture
def suite(project: Project) -> Suite:
    """Choices and answers, each shown after an example."""
    shots = {"num_fewshot": 1}
    return make_suite(project, choice(options=shots), answer(options=shots))


@pytest.fixture
def files(suite: Suite, tmp_path: Path) -> Files:
    return written_by_lm_eval(suite, tmp_path)


def written_by_lm_eval(suite: Suite, folder: Path) -> Files:
    """What lm-eval itself writes when it measures ``suite``, by name; its model guesses."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    names = suites.write_task_files(suite, folder / "tasks")
    manager = TaskManager(include_path=str(folder / "tasks"), include_defaults=False)
    found = simple_evaluate(model="dummy", tasks=names, log_samples=True, task_manager=manager)
    samples = found.pop("samples")
    tracker = EvaluationTracker(output_path=str(folder / "out"))
    tracker.general_config_tracker.model_name = "their/model"
    tracker.general_config_tracker.model_name_sanitized = "their__model"
    tracker.save_results_aggregated(results=found, samples=samples)
    for task, rows in samples.items():
        tracker.save_results_samples(task_name=task, samples=rows)
    return {path.name: path.read_text() for path in (folder / "out").rglob("*.json*")}


def measured(suite: Suite, server: StubServer) -> None:
    candidate = make_candidate(suite.project, "Alder", server.base_url)
    assert carry_out(runs.start(candidate, suite)).state == "done"


def brought_in(project: Project, files: Files) -> Import:
    given = [imports.File(name, text.encode()) for name, text in files.items()]
    return imports.confirm(imports.receive(project, given))


def results(files: Files) -> tuple[str, dict[str, Any]]:
    name = next(name for name in files if name.startswith("results_"))
    return name, json.loads(files[name])


def differences(found: Import) -> dict[str, str]:
    return {each.benchmark.name: each.difference for each in found.columns.all()}


def test_what_measures_the_same_stands_in_the_column_marked_and_without_a_rank(
    as_erik: Client, suite: Suite, server: StubServer, files: Files
) -> None:
    measured(suite, server)
    before = leaderboard.board(suite, View())
    found = brought_in(suite.project, files)
    assert differences(found) == {"colours": "", "words": ""}

    theirs = results(files)[1]["results"]
    address = reverse("evals:board", args=[suite.slug])
    query = {"columns": "benchmarks"}
    records = json.loads(as_erik.get(address, query | {"format": "json"}).getvalue())
    imported = {each["benchmark"]: each for each in records if each["imported_from"]}
    for task, metric in (("colours", "acc,none"), ("words", "exact_match,none")):
        mine = imported[task]
        assert mine["value"] == pytest.approx(theirs[task][metric])
        assert mine["low"] <= mine["value"] <= mine["high"]
        assert (mine["model"], mine["answered"], mine["rank_best"]) == ("their/model", 8, None)
    page = as_erik.get(address, query)
    (line,) = page.context["imported"]
    assert [href for _cell, _heat, href in line["cells"]] == [
        f"{reverse('evals:import_samples', args=[found.pk])}?task={task}" for task in imported
    ]
    assert "imported</span>" in page.text and "their/model" in page.text
    told = as_erik.get("/api/v1/leaderboard", {"suite": suite.slug}).json()["imported"]
    assert [(each["model"], each["imported"]) for each in told] == [("their/model", found.pk)]
    assert {score["benchmark"]: score["value"] for score in told[0]["scores"]} == {
        task: mine["value"] for task, mine in imported.items()
    }
    after = leaderboard.board(suite, View())
    assert [(row.place, row.cells) for row in after.rows] == [
        (row.place, row.cells) for row in before.rows
    ]
    assert "in the same column as own results" in as_erik.get(found.get_absolute_url()).text


def test_it_comes_to_the_board_with_the_first_run_that_has_every_answer(
    suite: Suite, server: StubServer, files: Files
) -> None:
    found = brought_in(suite.project, files)
    tasks.refresh_boards(suite.pk)
    assert not found.columns.exists()
    measured(suite, server)
    tasks.refresh_boards(suite.pk)
    tasks.refresh_boards(suite.pk)
    assert differences(found) == {"colours": "", "words": ""}


def in_results(place: str, value: Any) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        name, content = results(files)
        *path, last = place.split("/")
        inner = content
        for key in path:
            inner = inner[key]
        inner[last] = value
        files[name] = json.dumps(content)

    return change


def in_samples(
    task: str, change: Callable[[list[dict[str, Any]]], None]
) -> Callable[[Files], None]:
    def changed(files: Files) -> None:
        name = next(name for name in files if name.startswith(f"samples_{task}"))
        rows = [json.loads(line) for line in files[name].splitlines()]
        change(rows)
        files[name] = "".join(json.dumps(row) + "\n" for row in rows)

    return changed


def ask_otherwise(rows: list[dict[str, Any]]) -> None:
    for each in rows[3]["arguments"].values():
        each["arg_0"] += " "


def offer_otherwise(rows: list[dict[str, Any]]) -> None:
    right = int(rows[3]["target"])
    rows[3]["arguments"][f"gen_args_{(right + 1) % 4}"]["arg_1"] = " purple"


ANOTHER = [
    ("version", "colours", in_results("versions/colours", 2)),
    ("shots", "colours", in_results("n-shot/colours", 0)),
    ("scoring", "colours", in_results("configs/colours/output_type", "loglikelihood")),
    ("metric", "words", in_results("configs/words/metric_list", [{"metric": "exact_match"}])),
    ("metric", "words", in_results("configs/words", {"output_type": "generate_until"})),
    ("generation", "words", in_results("configs/words/generation_kwargs/max_gen_toks", 9)),
    ("questions", "colours", in_samples("colours", lambda rows: rows.pop())),
    ("questions", "colours", in_samples("colours", lambda rows: rows.append(rows[0]))),
    ("prompt", "colours", in_samples("colours", ask_otherwise)),
    ("target", "words", in_samples("words", lambda rows: rows[3].update(target="bush"))),
    ("options", "colours", in_samples("colours", offer_otherwise)),
    ("total", "colours", in_results("results/colours/acc,none", 0.4321)),
]


@pytest.mark.parametrize(("code", "task", "change"), ANOTHER)
def test_whatever_differs_keeps_it_apart_and_is_told(
    as_erik: Client, suite: Suite, server: StubServer, files: Files, code: str, task: str,
    change: Callable[[Files], None],
) -> None:  # fmt: skip
    measured(suite, server)
    change(files)
    found = brought_in(suite.project, files)
    other = "words" if task == "colours" else "colours"
    assert differences(found) == {task: code, other: ""}
    column = ImportedColumn.objects.get(benchmark__name=task)
    assert column.doc_id == (3 if code in ("prompt", "target", "options") else column.doc_id)
    page = as_erik.get(reverse("evals:board", args=[suite.slug]), {"columns": "benchmarks"})
    (line,) = page.context["imported"]
    shown = [benchmark.name for benchmark in page.context["board"].benchmarks]
    cells = dict(zip(shown, line["cells"], strict=True))
    assert cells[task][0] is None and cells[other][0] is not None
    assert str(DIFFERENCES[code]) in as_erik.get(found.get_absolute_url()).text


def test_what_was_asked_by_letter_is_not_what_lm_eval_asks(
    project: Project, server: StubServer, tmp_path: Path
) -> None:
    suite = make_suite(project, letter())
    measured(suite, server)
    found = brought_in(project, written_by_lm_eval(suite, tmp_path))
    assert differences(found) == {"letters": "scoring"}


def test_a_run_that_went_out_as_files_comes_back_into_its_columns(
    project: Project, server: StubServer, tmp_path: Path
) -> None:
    suite = make_suite(project, choice(), letter(), answer())
    measured(suite, server)
    run = suite.runs.get()
    found = imports.confirm(
        imports.receive(project, [imports.File("run.zip", exports.lm_eval_files(run).read())])
    )
    assert differences(found) == {"colours": "", "letters": "", "words": ""}
    for column in found.columns.all():
        score = run.parts.get(benchmark=column.benchmark).scores.get(metric=column.benchmark.metric)
        assert (column.value, column.low, column.high) == (score.value, score.low, score.high)
