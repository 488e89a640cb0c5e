"""Prompts and scores are those of lm-eval itself, run through its own evaluator."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from evals import suites
from portal.accounts.models import Project
from tests.evals.engines.specs import outcomes, spec_of
from tests.evals.engines.test_lm_eval_answers import loglikelihood
from tests.evals.making import answer, answer_rows, choice, choice_rows, letter, make_suite
from tests.evals.stub_server import StubServer, best, reply


def lm_eval_itself(folder: Path, name: str, shots: int, chat: bool) -> dict[str, Any]:
    """``lm_eval.simple_evaluate`` on the task files in ``folder``, answered as the stub answers."""
    import lm_eval
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Stub(LM):
        tokenizer_name = "stub"

        def apply_chat_template(
            self, chat_history: list[dict], add_generation_prompt: bool = True
        ) -> str:
            return json.dumps(chat_history, ensure_ascii=False)

        def loglikelihood(self, requests: list) -> list[tuple[float, bool]]:
            found = []
            for context, continuation in (request.args for request in requests):
                bare = context.rstrip()
                value = loglikelihood(bare, context[len(bare) :] + continuation)
                found.append((value, continuation == best(bare)[0]))
            return found

        def loglikelihood_rolling(self, requests: list) -> list[float]:
            raise NotImplementedError

        def generate_until(self, requests: list) -> list[str]:
            prompts = [request.args[0] for request in requests]
            return [reply(json.loads(text)[-1]["content"] if chat else text) for text in prompts]

    return lm_eval.simple_evaluate(
        model=Stub(),
        tasks=[name],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        num_fewshot=shots,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
        bootstrap_iters=0,
        log_samples=True,
    )


MULTILINE = choice(
    "multiline",
    choice_rows(14),
    options={"num_fewshot": 3},
    task=choice()["task"]
    | {
        "description": "Colours, in short.\n\n",
        "doc_to_text": "Q: {{question}}\n{% for c in choices %}- {{c}}\n{% endfor %}A:",
        "fewshot_delimiter": "\n###\n",
        "metric_list": [
            {"metric": name, "aggregation": "mean", "higher_is_better": True}
            for name in ("acc", "acc_norm", "acc_bytes", "exact_match")
        ],
    },
)
CASES = {
    "choice": choice(rows=choice_rows(20)),
    "choice, 2 examples": choice(rows=choice_rows(20), options={"num_fewshot": 2}),
    "choice, 5 examples": choice(rows=choice_rows(9), options={"num_fewshot": 5}),
    "choice with description and own delimiter": MULTILINE,
    "letter": letter(count=60),
    "letter, 3 examples": letter(count=20, options={"num_fewshot": 3}),
    "chat": answer(rows=answer_rows(20)),
    "chat, 2 examples": answer(
        rows=answer_rows(12),
        options={"num_fewshot": 2, "chat": True},
        task=answer()["task"] | {"description": "Answer in one word."},
    ),
}


@pytest.mark.parametrize("entry", CASES.values(), ids=CASES.keys())
def test_it_has_the_prompts_and_scores_of_lm_eval(
    stub: StubServer,
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: dict[str, Any],
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    options = entry["options"]
    suite = make_suite(project, entry)
    assert suites.write_task_files(suite, tmp_path / "tasks") == [entry["name"]]
    theirs = lm_eval_itself(
        tmp_path / "tasks", entry["name"], options["num_fewshot"], options.get("chat", False)
    )
    ours = asyncio.run(outcomes(stub, spec_of(entry)))

    samples = theirs["samples"][entry["name"]]
    assert [sample["doc_id"] for sample in samples] == sorted(ours)
    metrics = [metric["metric"] for metric in entry["task"]["metric_list"]]
    for sample in samples:
        outcome = ours[sample["doc_id"]]
        arguments = list(sample["arguments"])
        assert {args[0] for args in arguments} == {outcome.prompt}
        for name in metrics:
            assert outcome.metrics[name] == sample[name]
    for name in metrics:
        mean = sum(outcome.metrics[name] for outcome in ours.values()) / len(ours)
        assert mean == pytest.approx(theirs["results"][entry["name"]][f"{name},none"], abs=1e-12)
