"""The real model servers of the tests: vLLM on CPU with the demo's checkpoints.

Started once a session. ``PORTAL_TEST_SERVERS`` (two base URLs, good and bad, separated by a
comma) uses servers that run already.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from evals.demo.servers import ModelServer, running

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".envs" / "vllm" / "bin" / "python"
MODELS = ROOT / "var" / "models"
NAMES = ("tiny-good", "tiny-bad")


class Served(NamedTuple):
    name: str
    base_url: str


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    """``tiny-good`` and ``tiny-bad`` behind real vLLM servers, by name."""
    if urls := os.environ.get("PORTAL_TEST_SERVERS"):
        pairs = zip(NAMES, urls.split(","), strict=True)
        yield {name: Served(name, url) for name, url in pairs}
        return
    if not PYTHON.exists() or not all((MODELS / name).exists() for name in NAMES):
        pytest.skip("no model environment or no demo models: run manage.py test without arguments")
    logs = tmp_path_factory.mktemp("servers")
    servers = [
        ModelServer(python=PYTHON, model=MODELS / name, name=name, log=logs / f"{name}.log")
        for name in NAMES
    ]
    with running(servers):
        yield {server.name: Served(server.name, server.base_url) for server in servers}
