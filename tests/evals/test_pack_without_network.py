"""A suite leaves one portal and is measured on another that has no network at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.evals.making import answer, choice, write_suite
from tests.evals.stub_server import StubServer
from tests.evals.without_network import MODEL, ROOT

pytestmark = pytest.mark.services
LOAD = (
    "from pathlib import Path; from evals import suites; "
    "from portal.accounts.people import default_project; "
    "print(suites.load(default_project(), Path({folder!r})))"
)


def namespace() -> list[str]:
    """The command that runs another in a network namespace of its own; skips without."""
    program = shutil.which("unshare")
    if not program:
        pytest.skip("unshare (util-linux) is not installed")
    tried = subprocess.run([program, "-rn", "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"Namespaces are not permitted here: {tried.stderr.strip()}")
    return [program, "-rn"]


def run(data: Path, *command: str) -> str:
    """What ``command`` prints as the installation whose data is in ``data``."""
    env = os.environ | {"PORTAL_DATA_DIR": str(data), "PORTAL_BOOTSTRAP": "off"}
    env.pop("DATABASE_URL", None)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert not done.returncode, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def scores(result: dict[str, Any]) -> list[tuple[Any, ...]]:
    fields = ("benchmark", "value", "low", "high", "answered", "asked", "valid")
    return [tuple(score[name] for name in fields) for score in result["scores"]]


def test_the_same_scores_come_out_where_the_network_is_cut(
    tmp_path: Path, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = namespace()
    here, there = tmp_path / "a", tmp_path / "b"
    pack, folder = tmp_path / "small.pack.zip", tmp_path / "suite"
    folder.mkdir()
    write_suite(folder, [choice(), answer()], licence="CC0-1.0")
    manage = (sys.executable, "manage.py")
    run(here, *manage, "migrate", "--verbosity", "0")
    run(here, *manage, "shell", "-c", LOAD.format(folder=str(folder)))
    measure = ("evaluate", "--suite", "small", "--endpoint", stub.base_url, "--model", MODEL)
    result = json.loads(run(here, *manage, *measure, "--json").splitlines()[-1])
    exported = run(here, *manage, "pack", "export", "small", str(pack))
    key = run(here, *manage, "pack", "keys").split("Public key:")[1].split()[0]

    driver = (sys.executable, "-m", "tests.evals.without_network", str(pack), key, "small")
    found = json.loads(run(there, *alone, *driver).splitlines()[-1])
    assert found["routes"] == [] and found["world"] == "ENETUNREACH"
    checksum = exported.split("Checksum:")[1].split()[0]
    assert checksum in found["imported"]
    assert scores(found["result"]) == scores(result) and len(scores(result)) == 2
    assert found["result"]["overall"] == result["overall"]
    with capsys.disabled():
        overall = result["overall"]["value"]
        print(
            f"\nPack of {pack.stat().st_size} bytes, checksum {checksum[:12]}… on both sides; "
            f"overall {overall:.4f} with and {found['result']['overall']['value']:.4f} without "
            f"network ({found['world']})"
        )
