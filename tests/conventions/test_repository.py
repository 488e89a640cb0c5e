"""What may be committed: nothing of one machine, no address of a package index, tidy code."""

from __future__ import annotations

import re

import pytest

from tests.conventions.tree import ROOT, python, readable, tracked_files

MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home/\w+|Users/\w+|mnt/\w+)/")
INDEX = re.compile(
    r"https?://[^\s\"'<>]*(?:pypi|pythonhosted|pytorch\.org/whl|/simple\b|devpi|artifactory|nexus)"
    r"|^\s*(?:--)?(?:extra-)?index-url[ =]+\S|^\s*--find-links\b",
    re.I,
)
KEYS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bsk-[A-Za-z0-9]{32,}|\bhf_[A-Za-z0-9]{30,}")
TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "docker-compose.yml", "docs",
    "evals", "feedback", "manage.py", "portal", "pyproject.toml", "templates", "tests", "workers",
}  # fmt: skip


def test_no_file_names_a_place_of_one_machine() -> None:
    assert matching(MACHINE_PATH) == []


def test_no_file_names_a_package_index() -> None:
    assert matching(INDEX) == []


def test_no_file_holds_a_key() -> None:
    assert matching(KEYS) == []


def test_the_top_level_stays_as_it_was_agreed() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert {name for name in names if not name.endswith(".lock")} <= TOP_LEVEL


def test_no_file_is_large() -> None:
    large = {
        path.relative_to(ROOT).as_posix()
        for path in tracked_files()
        if path.stat().st_size > 1_000_000
    }
    assert large == set()


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE_PATH, "cd /" + "home/somebody/portal"),
        (INDEX, "--extra-" + "index-url https://wheels.example/cpu"),
        (INDEX, "see https://files.python" + "hosted.org/packages/x.whl"),
    ],
)
def test_the_search_finds_what_may_not_be_there(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)


def test_ruff_has_nothing_to_say() -> None:
    checked = python("-m", "ruff", "check", "--no-cache", "--output-format", "concise", ".")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, number, line in readable(tracked_files())
        if pattern.search(line)
    ]
