"""docs/settings.md names every environment variable that is read, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.conventions.tree import ROOT, parsed, python_files

READERS = {
    "chosen",
    "flag",
    "number",
    "whole",
    "listed",
    "getenv",
}  # portal.environment's, and os.getenv
METHODS = {"get", "setdefault", "pop"}
ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \|", re.M)
SECTION = re.compile(r"^## (.+)$", re.M)


def text(node: ast.AST) -> str | None:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else None  # type: ignore[attr-defined]


def is_environment(node: ast.AST) -> bool:
    return ast.unparse(node) in {"os.environ", "environ"}


def variables(tree: ast.AST) -> Iterator[str]:
    """The names in ``tree`` that are read from, or set in, the environment."""
    for node in ast.walk(tree):
        name = None
        if isinstance(node, ast.Call) and node.args:
            function = node.func
            if isinstance(function, ast.Attribute):
                of_environment = is_environment(function.value) and function.attr in METHODS
                if of_environment or ast.unparse(function) == "os.getenv":
                    name = text(node.args[0])
            elif isinstance(function, ast.Name) and function.id in READERS:
                name = text(node.args[0])
        elif isinstance(node, ast.Subscript) and is_environment(node.value):
            name = text(node.slice)
        elif isinstance(node, ast.Compare) and is_environment(node.comparators[0]):
            name = text(node.left)
        if name:
            yield name


def in_code() -> set[str]:
    return {name for path in python_files() for name in variables(parsed(path))}


def documented(heading: str | None = None) -> set[str]:
    """The variables in docs/settings.md, or those below one heading of it."""
    page = (ROOT / "docs" / "settings.md").read_text()
    _, *sections = SECTION.split(page)
    by_heading = dict(zip(sections[::2], sections[1::2], strict=True))
    return {
        name
        for title, body in by_heading.items()
        if heading in (None, title)
        for name in ROW.findall(body)
    }


def in_compose() -> set[str]:
    named = re.findall(r"\$?\$\{?([A-Z][A-Z0-9_]+)", (ROOT / "docker-compose.yml").read_text())
    return set(named)


def test_every_variable_in_the_code_is_documented() -> None:
    assert in_code() - documented() == set()


def test_every_documented_variable_is_in_the_code() -> None:
    only_compose = documented("Only docker-compose.yml")
    assert documented() - only_compose - in_code() == set()
    assert only_compose - in_compose() == set()


def test_every_variable_of_the_containers_is_documented() -> None:
    assert in_compose() - documented() == set()


def test_no_variable_is_documented_twice() -> None:
    names = ROW.findall((ROOT / "docs" / "settings.md").read_text())
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "line",
    [
        'flag("NAME", False)',
        'os.environ.get("NAME")',
        'os.environ["NAME"]',
        'os.environ.setdefault("NAME", "1")',
        'os.getenv("NAME")',
        'if "NAME" in os.environ: pass',
    ],
)
def test_the_search_finds_every_way_to_read(line: str) -> None:
    assert list(variables(ast.parse(line))) == ["NAME"]
