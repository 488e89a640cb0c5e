"""One run of lm-eval's own evaluation and client, in a process of its own; prints its cost as JSON.

``cpu_s`` and ``wall_s`` are of the whole evaluation after the imports, as for the portal:
prompts, tokenising, requests, metrics. ``client_cpu_s`` is of tokenising and requests alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks.cost import apart, metered, peak_mb
from tests.benchmarks.questions import entry

TASK = "bench"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--scoring", choices=("options", "letter"), default="options")
    given = parser.parse_args()
    from lm_eval import simple_evaluate
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    client_cost: dict[str, float] = {}

    class Metered(LocalCompletionsAPI):
        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
            with metered() as spent:
                found = super().loglikelihood(requests, disable_tqdm=True)
            client_cost.update({f"client_{name}": value for name, value in spent.items()})
            return found

    with tempfile.TemporaryDirectory() as folder:
        asked = (given.scoring, given.documents, given.seed)
        apart(lambda: write_task(Path(folder), *asked))
        manager = TaskManager(include_path=folder, include_defaults=False)
        lm = Metered(
            base_url=f"{given.url}/completions",
            model=given.model,
            tokenizer_backend="huggingface",
            tokenizer=given.tokenizer,
            num_concurrent=given.concurrency,
            batch_size=given.batch_size,
            max_length=2048,
        )
        with metered() as spent:
            found = simple_evaluate(
                model=lm, tasks=[TASK], task_manager=manager, bootstrap_iters=0, log_samples=True
            )
    assert found is not None
    accuracy = found["results"][TASK]["acc,none"]
    print(json.dumps({**spent, **client_cost, "peak_mb": peak_mb(), "acc": accuracy}))


def write_task(folder: Path, scoring: str, documents: int, seed: int) -> None:
    """The benchmark as lm-eval's own command would be given it."""
    asked = entry(scoring, documents, seed)
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in asked["rows"]))
    task = {
        "task": TASK,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test",
        "num_fewshot": 0,
        **asked["task"],
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(task))


if __name__ == "__main__":
    main()
