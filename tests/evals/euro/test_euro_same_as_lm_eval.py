"""A suite of the European set and lm-eval's own evaluator on its task files: the same numbers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evals import hub as hubs
from evals.engines import ENGINES, BenchmarkSpec
from evals.euro.load import Loaded, load
from evals.euro.references import Reference
from evals.euro.tasks import CORE, PRESETS, Task
from evals.euro.write import everything, groups, write
from tests.evals.engines.specs import outcomes
from tests.evals.engines.test_lm_eval_same_as_lm_eval import lm_eval_itself
from tests.evals.euro.hub import ROWS
from tests.evals.stub_server import StubServer

PRESET = "open-llm-v1"
TASKS = {
    task.name: task
    for task in everything()
    if (task.language == "de" and getattr(task, "in_portal", True))
    or task.name
    in (
        "euro_arc_en_upstream",
        "euro_truthfulqa_mc2_en_upstream",
        "euro_gsm8k_en_upstream",
        "euro_xcopa_it_upstream",
        "euro_xstorycloze_es_upstream",
    )
}


def loaded(task: Task | Reference, hub: Path, folder: Path) -> Loaded:
    place = hubs.find(task.repo, hub)
    return load(task, PRESET, folder, place.path, place.arguments)


def spec_of(task: Task | Reference, found: Loaded) -> BenchmarkSpec:
    return BenchmarkSpec(
        name=task.name,
        scoring=task.scoring,
        metric=task.metric,
        rows=found.rows,
        examples=found.examples,
        task=found.task,
        options={"num_fewshot": found.shots, "repeated_choices": True},
    )


@pytest.mark.parametrize("name", TASKS)
def test_it_has_the_prompts_and_scores_of_lm_eval(
    stub: StubServer, hub: Path, tmp_path: Path, name: str
) -> None:
    task = TASKS[name]
    spec = spec_of(task, loaded(task, hub, tmp_path / "one"))
    ENGINES["lm_eval"].validate(spec)
    ours = asyncio.run(outcomes(stub, spec))
    write(tmp_path / "tasks", PRESET, mirror=hub)
    shots = PRESETS[PRESET].get(task.family.name, 0)
    theirs = lm_eval_itself(tmp_path / "tasks", name, shots, chat=False)

    samples = {}
    for sample in theirs["samples"][name]:
        samples.setdefault(sample["doc_id"], {})[sample["filter"]] = sample
    assert sorted(samples) == sorted(ours) and len(ours) == ROWS
    for doc_id, by_filter in samples.items():
        outcome = ours[doc_id]
        assert not outcome.error, outcome.error
        for kind, sample in by_filter.items():
            if task.scoring == "generate":
                assert {args[0] for args in sample["arguments"]} == {outcome.prompt}
            else:
                asked = [f"{outcome.prompt} {choice}" for choice in outcome.choices]
                assert [f"{args[0]}{args[1]}" for args in sample["arguments"]] == asked
            for metric in (entry["metric"] for entry in spec.task["metric_list"]):
                key = metric if kind == "none" else f"{metric},{kind}"
                assert outcome.metrics[key] == pytest.approx(sample[metric], abs=1e-12)
    kind = "none" if "none" in by_filter else "flexible-extract"
    mean = sum(outcome.value for outcome in ours.values()) / len(ours)
    results = theirs["results"][name]
    assert mean == pytest.approx(results[f"{task.metric},{kind}"], abs=1e-12)
    if isinstance(task, Task):
        assert mean == pytest.approx(results["score,none"], abs=1e-12)


def test_a_group_of_lm_eval_is_the_plain_mean_of_each_familys_own_metric(
    hub: Path, tmp_path: Path
) -> None:
    write(tmp_path / "tasks", "zero-shot", mirror=hub)
    found = lm_eval_itself(tmp_path / "tasks", "euro_de", 0, chat=False)
    tasks = {task.name: task for task in everything()}
    members = [tasks[name] for name in groups()["euro_de"]]
    assert [task.family.name for task in members] == list(CORE)
    values = [found["results"][task.name][f"{task.metric},none"] for task in members]
    assert found["groups"]["euro_de"]["score,none"] == pytest.approx(sum(values) / 5, abs=1e-12)
