"""The files of the project, as the tests of its rules see them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("portal", "workers", "evals", "feedback")
WIRING = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "PYTHONPATH"}


def python_files(*, tests: bool = False) -> list[Path]:
    """The modules of the packages and ``manage.py``; with ``tests`` also those of the tests."""
    folders = [*PACKAGES, "tests"] if tests else PACKAGES
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [*found, *(path for path in [ROOT / "manage.py"] if path.exists())]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def template_files() -> list[Path]:
    return sorted((ROOT / "templates").rglob("*.html"))


def tracked_files() -> list[Path]:
    """What git tracks and what is still there; skips where this is not a git checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip(f"not a git checkout: {listed.stderr.strip()}")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def readable(paths: list[Path]) -> Iterator[tuple[str, int, str]]:
    """Name, number and text of each line of the text files among ``paths``."""
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(text.splitlines(), start=1):
            yield name, number, line


def python(
    *arguments: str, cwd: Path = ROOT, data: Path | None = None, timeout: float = 120, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run this Python in a fresh process that knows nothing of the tests' settings."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in WIRING and not name.startswith(("PORTAL_", "PYTEST_"))
    }
    if data is not None:
        clean["PORTAL_DATA_DIR"] = str(data)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd, env=clean | env, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
