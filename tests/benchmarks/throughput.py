"""Samples per second of the portal beside lm-eval at its best setting, on a real server.

    python -m tests.benchmarks.throughput                    # vLLM on the CPU, the demo's model
    python -m tests.benchmarks.throughput --url http://gpu01:8000/v1 --model NAME --tokenizer FOLDER

First lm-eval's fastest list length is looked for; then both take turns, in the other order each
time, on questions that neither has asked before. Wall time is from after the imports to the
metrics, with the portal storing every sample. The last line is one JSON object: for options and
for letters the ratio of each pair, their median, and how much of the prompts vLLM took out of its
prefix cache during the portal's runs (None where the server does not tell).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from evals.demo import models
from evals.demo.servers import ModelServer, running
from tests.benchmarks.client import Bench, Cost, Unavailable, python

LISTS = (1, 4, 16)
COUNTER = re.compile(r"^vllm:prefix_cache_(queries|hits)_total\S* (\S+)$", re.MULTILINE)


@contextmanager
def served(given: argparse.Namespace, folder: Path) -> Iterator[Bench]:
    """The clients on the server that was named, or on one started here."""
    if given.url:
        yield Bench(folder, given.url, Path(given.tokenizer), given.model)
        return
    model = models.FOLDER / "tiny-good"
    if not model.exists():
        raise Unavailable("There is no demo model yet: manage.py demo makes it.")
    server = ModelServer(python=python(), model=model, name="tiny-good", log=folder / "server.log")
    with running([server]):
        yield Bench(folder, server.base_url, model, server.served_name)


def cached(bench: Bench) -> dict[str, float]:
    """vLLM's counters of prompt tokens looked up in its prefix cache and found there."""
    try:
        with urllib.request.urlopen(f"{bench.server.removesuffix('/v1')}/metrics") as reply:
            return {name: float(value) for name, value in COUNTER.findall(reply.read().decode())}
    except OSError:
        return {}


def measure(bench: Bench, documents: int, concurrency: int, repeats: int) -> dict[str, Any]:
    asked = {"documents": documents, "concurrency": concurrency}
    tries = {size: bench.lm_eval(batch_size=size, seed=100, **asked) for size in LISTS}
    best = min(tries, key=lambda size: tries[size]["wall_s"])
    found: dict[str, Any] = {"lm_eval_list": best, **asked}
    for scoring in ("options", "letter"):
        pairs, rates, looked, hit = [], [], 0.0, 0.0
        for turn in range(repeats):
            told = asked | {"scoring": scoring, "seed": turn}
            both: dict[str, Cost] = {}
            for name in ("portal", "lm_eval")[:: 1 if turn % 2 else -1]:
                before = cached(bench)
                if name == "portal":
                    both[name] = bench.portal(**told)
                    after = cached(bench)
                    looked += after.get("queries", 0.0) - before.get("queries", 0.0)
                    hit += after.get("hits", 0.0) - before.get("hits", 0.0)
                else:
                    both[name] = bench.lm_eval(batch_size=best, **told)
            pairs.append(both["lm_eval"]["wall_s"] / both["portal"]["wall_s"])
            rates.append([documents / both[name]["wall_s"] for name in ("portal", "lm_eval")])
            print(f"{scoring} {turn + 1}/{repeats}: {both}", file=sys.stderr)
        found[f"{scoring}_ratio"] = round(median(pairs), 3)
        found[f"{scoring}_ratios"] = [round(pair, 3) for pair in pairs]
        found[f"{scoring}_samples_per_second"] = [[round(rate, 1) for rate in r] for r in rates]
        found[f"{scoring}_prefix_cache_share"] = round(hit / looked, 3) if looked else None
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", help="base URL of a server that runs, ending in /v1")
    parser.add_argument("--model", help="as it serves it")
    parser.add_argument("--tokenizer", help="folder with the model's tokenizer, for lm-eval")
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    if given.url and not (given.model and given.tokenizer):
        parser.error("--url needs --model and --tokenizer")
    with tempfile.TemporaryDirectory() as folder, served(given, Path(folder)) as bench:
        print(json.dumps(measure(bench, given.documents, given.concurrency, given.repeats)))


if __name__ == "__main__":
    main()
