"""What the portal's client costs beside lm-eval's own, against a server that answers at once.

    python3 manage.py bench client             # about ten minutes on two cores
    python3 manage.py bench client --quick     # to see that it works

Four clients take turns, each in a process of its own: lm-eval with one request an option (its
usual way), lm-eval with the list of prompts that cost it least here, the portal by options and
the portal by letter. Both sides do the whole of it after their imports: prompts, requests,
metrics; the portal stores every sample as well. They must find the same accuracy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from evals.demo import models

ROOT = Path(__file__).resolve().parents[2]
CONCURRENCY = 64
OPTIONS = 4
LIST = 64  # prompts a request: of 4, 16 and 64 what cost lm-eval least
# What lm-eval's tokenizer needs beyond the portal's own environment; not torch, which would
# double its memory.
BORROWED = ("transformers", "tokenizers", "safetensors", "typer")
Cost = dict[str, float]


class Unavailable(Exception):
    """Nothing can be measured here; the text says why."""


class Size(NamedTuple):
    documents: int = 500
    many: int = 10_000
    repeats: int = 3


QUICK = Size(documents=20, many=40, repeats=1)


class Bench:
    """The clients, on one server; ``folder`` is for what they need and leave behind."""

    def __init__(self, folder: Path, server: str, tokenizer: Path, model: str) -> None:
        self.folder, self.server, self.tokenizer, self.model = folder, server, tokenizer, model
        self.borrowed = borrowed(folder / "borrowed")

    def lm_eval(self, documents: int, batch_size: int = 1, **asked: Any) -> Cost:
        return self._child(
            "client_lm_eval",
            {"PYTHONPATH": str(self.borrowed), "HF_HUB_OFFLINE": "1"},
            *("--tokenizer", str(self.tokenizer), "--batch-size", str(batch_size)),
            *how(documents, **asked),
        )

    def portal(self, documents: int, **asked: Any) -> Cost:
        with tempfile.TemporaryDirectory(dir=self.folder) as data:
            return self._child(
                "client_portal",
                {"PORTAL_DATA_DIR": data, "DATABASE_URL": ""},
                *how(documents, **asked),
            )

    def _child(self, name: str, extra: dict[str, str], *arguments: str) -> Cost:
        command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--url", self.server]
        done = subprocess.run(
            [*command, "--model", self.model, *arguments],
            cwd=ROOT, env=os.environ | extra, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise Unavailable(f"{name} failed:\n{done.stderr[-3000:]}")
        found: Cost = json.loads(done.stdout.splitlines()[-1])
        return found

    def requests(self) -> int:
        """How many the instant server has had."""
        root = self.server.removesuffix("/v1")
        with urllib.request.urlopen(f"{root}/asked") as reply:
            return int(json.load(reply)["requests"])


def how(
    documents: int, scoring: str = "options", concurrency: int = CONCURRENCY, seed: int = 4
) -> list[str]:
    """What either client is told to ask: other questions for each ``seed``."""
    told = {"scoring": scoring, "documents": documents, "concurrency": concurrency, "seed": seed}
    return [word for name, value in told.items() for word in (f"--{name}", str(value))]


def python() -> Path:
    """The Python of the model environment. Raises Unavailable."""
    for home in (models.HOME, models.SMALL_HOME):
        if (found := home / "bin" / "python").exists():
            return found
    raise Unavailable("There is no model environment yet: manage.py demo makes it.")


def borrowed(folder: Path) -> Path:
    """A folder with what lm-eval needs out of the model environment, as links."""
    folder.mkdir(parents=True)
    (site,) = python().parents[1].glob("lib/python*/site-packages")
    for name in BORROWED:
        for path in (site / name, *site.glob(f"{name}-*.dist-info")):
            (folder / path.name).symlink_to(path)
    return folder


def make_tokenizer(folder: Path) -> Path:
    """A small byte-level tokenizer in Hugging Face's files."""
    code = (
        "import sys; from evals.demo import checkpoint; "
        "checkpoint.new_tokenizer().save(sys.argv[1] + '/tokenizer.json')"
    )
    folder.mkdir()
    subprocess.run([str(python()), "-c", code, str(folder)], cwd=ROOT, check=True)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|end|>",
        "eos_token": "<|end|>",
        "pad_token": "<|pad|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@contextmanager
def instant(folder: Path) -> Iterator[Bench]:
    """The clients on a server that answers at once."""
    tokenizer = make_tokenizer(folder / "tokenizer")
    command = [str(python()), "-m", "tests.benchmarks.instant", "--tokenizer"]
    process = subprocess.Popen(
        [*command, str(tokenizer / "tokenizer.json")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        port = process.stdout.readline().strip()
        if not port:
            raise Unavailable("The instant server did not start.")
        yield Bench(folder, f"http://127.0.0.1:{port}/v1", tokenizer, "instant")
    finally:
        process.kill()
        process.wait()


def measure(size: Size, say: Callable[[str], object]) -> dict[str, Any]:
    """All figures by name; costs are medians over the repeats, per option or per document."""
    with tempfile.TemporaryDirectory() as folder, instant(Path(folder)) as bench:
        clients: dict[str, Callable[[], Cost]] = {
            "lm_eval": lambda: bench.lm_eval(size.documents),
            "lm_eval_list": lambda: bench.lm_eval(size.documents, LIST),
            "portal": lambda: bench.portal(size.documents),
            "portal_letter": lambda: bench.portal(size.documents, scoring="letter"),
        }
        costs: dict[str, list[Cost]] = {name: [] for name in clients}
        asked: dict[str, int] = {}
        for turn in range(size.repeats):
            for name, run in clients.items():
                before = bench.requests()
                costs[name].append(run())
                asked[name] = bench.requests() - before
                say(f"{turn + 1}/{size.repeats} {name}: {costs[name][-1]}")
        memory = {}
        for name, run in (
            ("lm_eval", lambda: bench.lm_eval(size.many)),
            ("lm_eval_list", lambda: bench.lm_eval(size.many, LIST)),
            ("portal", lambda: bench.portal(size.many)),
        ):
            memory[name] = run()["peak_mb"]
            say(f"{size.many * OPTIONS} options, {name}: {memory[name]:.0f} MiB at most")
    if len({cost["acc"] for name in ("lm_eval", "portal") for cost in costs[name]}) != 1:
        raise Unavailable("The clients do not find the same accuracy: no figure is worth anything.")
    return figures(size, costs, asked, memory)


def figures(
    size: Size, costs: dict[str, list[Cost]], asked: dict[str, int], memory: dict[str, float]
) -> dict[str, Any]:
    cpu = {name: median(cost["cpu_s"] for cost in each) for name, each in costs.items()}
    client = median(cost["client_cpu_s"] for cost in costs["lm_eval"])
    options = size.documents * OPTIONS
    found: dict[str, Any] = {
        "cpu_per_request_ratio": cpu["portal"] / cpu["lm_eval"],
        "cpu_per_request_ratio_to_lists": cpu["portal"] / cpu["lm_eval_list"],
        "cpu_per_request_ratio_to_requests_alone": cpu["portal"] / client,
        "letter_requests_ratio": asked["portal_letter"] / asked["lm_eval"],
        "letter_cpu_per_document_ratio": cpu["portal_letter"] / cpu["lm_eval"],
        "peak_memory_ratio": memory["portal"] / memory["lm_eval"],
        "peak_memory_ratio_to_lists": memory["portal"] / memory["lm_eval_list"],
    }
    found |= {f"{name}_cpu_ms_per_option": 1000 * cpu[name] / options for name in cpu}
    found["lm_eval_requests_alone_cpu_ms_per_option"] = 1000 * client / options
    found["portal_letter_cpu_ms_per_document"] = 1000 * cpu["portal_letter"] / size.documents
    del found["portal_letter_cpu_ms_per_option"]
    found |= {f"{name}_requests": count for name, count in asked.items()}
    found |= {f"{name}_peak_mb": value for name, value in memory.items()}
    rounded = {name: round(value, 3) for name, value in found.items()}
    return rounded | {"documents": size.documents, "concurrency": CONCURRENCY}
