"""Training in the real model environment, for a few steps."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.real import PYTHON

ROOT = Path(__file__).resolve().parent.parent.parent.parent
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(not PYTHON.exists(), reason="no model environment"),
]


def train(out: Path, steps: int) -> str:
    command = [str(PYTHON), "-m", "evals.demo.train", "--out", str(out), "--steps", str(steps)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_it_makes_two_models_once_and_again_when_the_recipe_changes(tmp_path: Path) -> None:
    said = train(tmp_path, 20)
    assert "step 10/20" in said and "step 20/20" in said and said.endswith("made\n")
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["tiny-bad", "tiny-good"]
    weights = {path: path.stat() for path in tmp_path.glob("*/model.safetensors")}
    assert len(weights) == 2
    assert {oct(stat.st_mode & 0o777) for stat in weights.values()} == {"0o644"}
    config = json.loads((tmp_path / "tiny-good" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]

    assert train(tmp_path, 20) == "up to date\n"
    assert {path: path.stat() for path in weights} == weights

    (tmp_path / ".making-left-over").mkdir()  # by a training that was killed
    assert train(tmp_path, 21).endswith("made\n")
    assert not (tmp_path / ".making-left-over").exists()


def test_it_needs_nothing_of_the_portal() -> None:
    code = "import sys, evals.demo.train; print({'django', 'portal', 'torch'} & {*sys.modules})"
    done = subprocess.run([str(PYTHON), "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
