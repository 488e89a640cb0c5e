"""Imports go one way, and the contracts that say so really bite."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conventions.tree import PACKAGES, ROOT, python

LAYERS_OF_APPS = "feedback > evals > workers > portal"
LAYERS_INSIDE = "Inside an app: entry points > verbs > tables and plug-ins > pure"
PURE = "Measuring and translating need no Django"
PLUG_INS = "Plug-ins do not know each other"

# Forbidden imports: the contract that must refuse it, the module, what it imports.
PLANTED = [
    (LAYERS_OF_APPS, "portal.registry", "evals.suites"),
    (LAYERS_OF_APPS, "workers.shutdown", "evals.runs"),
    (LAYERS_INSIDE, "evals.candidates", "evals.leaderboard"),
    (LAYERS_INSIDE, "evals.models.runs", "evals.runs"),
    (PURE, "evals.stats.ranks", "django"),
    (PURE, "evals.llm.pool", "celery"),
    (PLUG_INS, "evals.engines.planted", "evals.engines.lm_eval"),
]


def contracts() -> set[str]:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    return {contract["name"] for contract in tools["importlinter"]["contracts"]}


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"
    return python("-c", command, cwd=root, COLUMNS="300")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of the packages with all the imports planted."""
    copy = tmp_path_factory.mktemp("planted")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "data", "static", "locale")
        shutil.copytree(ROOT / package, copy / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", copy)
    for _, module, imported in PLANTED:
        path = copy / f"{module.replace('.', '/')}.py"
        with path.open("a") as file:
            file.write(f"\nimport {imported}\n")
    found = lint(copy)
    assert found.returncode == 1, found.stdout + found.stderr
    return found.stdout


def complaint(report: str, contract: str) -> str:
    """The part of the report that explains why ``contract`` is broken."""
    _, _, broken = report.partition("Broken contracts")
    section = re.search(rf"^{re.escape(contract)}\n-+\n(.*?)(?=^-+$|\Z)", broken, re.S | re.M)
    return section[1] if section else ""


def test_the_tree_keeps_its_contracts() -> None:
    found = lint(ROOT)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(("contract", "module", "imported"), PLANTED)
def test_a_forbidden_import_breaks_its_contract(
    report: str, contract: str, module: str, imported: str
) -> None:
    assert f"{contract} BROKEN" in report
    assert f"{module} -> {imported}" in complaint(report, contract)


def test_every_contract_has_a_forbidden_import_to_try() -> None:
    assert {contract for contract, _, _ in PLANTED} == contracts()
