"""TruthfulQA's mc2: the mass of the true choices, not whether the best one is true."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals import suites
from evals.engines import ENGINES, TaskInvalid
from evals.engines.lm_eval import prepare
from evals.euro.rows import true_mass
from portal.accounts.models import Project
from tests.evals.engines.specs import outcomes, spec_of
from tests.evals.engines.test_lm_eval_same_as_lm_eval import lm_eval_itself
from tests.evals.making import choice, choice_rows, make_suite
from tests.evals.stub_server import StubServer

MC2 = [{"metric": "mc2", "aggregation": "mean", "higher_is_better": True}]


def mc2(rows: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    rows = rows or [row | {"labels": [1, 0, 1, 0], "answer": 0} for row in choice_rows(6)]
    return choice(rows=rows, metric="mc2", task=choice()["task"] | {"metric_list": MC2})


def test_lm_eval_itself_has_the_same_from_the_exported_task(
    stub: StubServer, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    suites.write_task_files(make_suite(project, mc2()), tmp_path / "tasks")
    theirs = lm_eval_itself(tmp_path / "tasks", "colours", 0, chat=False)
    ours = asyncio.run(outcomes(stub, spec_of(mc2())))
    mean = sum(outcome.value for outcome in ours.values()) / len(ours)
    assert theirs["results"]["colours"]["mc2,none"] == pytest.approx(mean, abs=1e-12)


async def test_it_scores_the_probability_of_all_true_choices(stub: StubServer) -> None:
    found = await outcomes(stub, spec_of(mc2()))
    for outcome in found.values():
        shares = np.exp(outcome.loglikelihoods) / np.exp(outcome.loglikelihoods).sum()
        assert outcome.value == pytest.approx(shares[0] + shares[2], abs=1e-12)
        assert outcome.p_gold == outcome.value and outcome.margin is None
        assert 0 < outcome.value < 1


@pytest.mark.parametrize("labels", [None, [1, 0], [0, 0, 0, 0], [2, 0, 0, 0], "1000"])
def test_it_names_labels_that_do_not_fit_the_choices(labels: Any) -> None:
    (row,) = choice_rows(1)
    with pytest.raises(TaskInvalid, match=r"row 0: labels"):
        prepare(spec_of(mc2([row | {"labels": labels, "answer": 0}])))


def test_it_refuses_mc2_beside_metrics_of_one_right_choice() -> None:
    both = [*choice()["task"]["metric_list"], *MC2]
    with pytest.raises(TaskInvalid, match="stands alone"):
        ENGINES["lm_eval"].validate(spec_of(mc2(), metric_list=both))


@given(st.lists(st.tuples(st.floats(-5000, 0), st.booleans()), min_size=1, max_size=12))
def test_the_mass_is_a_share_and_survives_long_answers(pairs: list[tuple[float, bool]]) -> None:
    logs, labels = [list(column) for column in zip(*pairs, strict=True)]
    mass = true_mass(logs, labels)
    rest = true_mass(logs, [not label for label in labels])
    assert 0 <= mass <= 1 and mass + rest == pytest.approx(1)
