"""docs/dependencies.md has a line for each package, and says which are not used yet."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import packages_distributions

import pytest

from tests.conventions.tree import ROOT, parsed, python_files

BY_NAME = {"argon2-cffi", "psycopg"}  # Django imports them when its settings say so
PAGE = (ROOT / "docs" / "dependencies.md").read_text()


def rows(heading: str) -> dict[str, str]:
    """The lines of one table: package → the rest."""
    _, _, section = PAGE.partition(f"## {heading}\n")
    section = section.partition("\n## ")[0]
    return {m[1]: m[2] for m in re.finditer(r"^\| `?([\w.-]+)`? \|(.+)\|$", section, re.M)}


def required() -> tuple[set[str], set[str]]:
    """Names in pyproject.toml: to run, to test."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.match(r"[\w.-]+", line)[0].lower() for line in requirements}  # type: ignore[index]

    return names(project["dependencies"]), names(project["optional-dependencies"]["test"])


def used() -> set[str]:
    """Distributions of which the packages of the project import, or name, a module."""
    distributions = packages_distributions()
    found: set[str] = set()
    for path in python_files():
        for node in ast.walk(parsed(path)):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            elif isinstance(node, ast.Constant) and path.name in {"settings.py", "processes.py"}:
                modules = [str(node.value)]  # apps, middleware and `-m` of commands
            for module in modules:
                found |= set(distributions.get(module.partition(".")[0], ()))
    return {name.lower().replace("_", "-") for name in found}


def test_every_package_has_its_line() -> None:
    to_run, to_test = required()
    heads = {"Package"}
    assert set(rows("To run")) - heads == to_run
    assert set(rows("To test")) - heads == to_test


def test_it_says_which_packages_nothing_uses_yet() -> None:
    idle = {name for name, rest in rows("To run").items() if "Not used yet" in rest}
    to_run, _ = required()
    assert to_run - used() - BY_NAME == idle


@pytest.mark.parametrize("heading", ["To run", "To test"])
def test_every_line_is_complete(heading: str) -> None:
    for package, rest in rows(heading).items():
        cells = [cell.strip() for cell in rest.split("|")]
        assert len(cells) == 4 and all(cells), package


def test_every_lock_belongs_to_something_described() -> None:
    missing = [path.name for path in ROOT.glob("requirements*.lock") if path.name not in PAGE]
    assert missing == []
