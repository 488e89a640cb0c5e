"""The portal and lm-eval's own command, on the same real server, give the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals import suites
from evals.answers import DISTANCES
from evals.models import Benchmark, Sample, Suite
from portal.accounts.models import Project
from tests.evals.reference import measured, reference
from tests.real import Served

pytestmark = [pytest.mark.vllm, pytest.mark.django_db(transaction=True)]
SHOTS = 2


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
            for score in part.scores.exclude(metric__in=DISTANCES):
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
