"""Rules of the templates: parts are named after their root, nothing the policy forbids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conventions.tree import ROOT, template_files

PART = re.compile(
    r"{%\s*partialdef\s+(?P<name>[\w-]+)[^%]*%}\s*(?:{#.*?#}\s*)?<\w+[^>]*?\sid=\"(?P<id>[^\"]*)\"",
    re.S,
)
DEFINED = re.compile(r"{%\s*partialdef\s+([\w-]+)")
IN_VIEWS = re.compile(r"[\"']([\w./-]+\.html)#([\w-]+)[\"']")
ATTRIBUTE = re.compile(r"\s(?:href|action|value|hx-(?:get|post|vals))=(\"[^>]*)")
# Numbers that a machine reads back; written for people they would be "1,204" or "1.204".
MACHINE_NUMBER = re.compile(r"{{\s*[\w.]+\.(?:pk|id|version|revision|number)\s*}}")
FORBIDDEN = {
    "a script in the page": re.compile(r"<script(?![^>]*\ssrc=)", re.I),
    "a handler in an attribute": re.compile(r"<[^>]*\s(?:on\w+|hx-on[:\w-]*)\s*=", re.I),
    "a style element": re.compile(r"<style", re.I),
    "a style other than --v": re.compile(r"style=\"(?!--v:)", re.I),
    "trust in a text": re.compile(r"\|\s*safe\b|{%\s*autoescape\s+off", re.I),
    "a file from elsewhere": re.compile(r"(?:src|href)=[\"'](?:https?:)?//", re.I),
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parts() -> Iterator[tuple[str, str]]:
    for path in template_files():
        for name in DEFINED.findall(path.read_text()):
            yield relative(path), name


@pytest.mark.parametrize(("template", "name"), list(parts()))
def test_a_part_is_named_like_the_id_of_its_root(template: str, name: str) -> None:
    roots = {m["name"]: m["id"] for m in PART.finditer((ROOT / template).read_text())}
    assert roots.get(name) == name


@pytest.mark.parametrize("path", template_files(), ids=relative)
def test_a_template_holds_nothing_that_the_policy_forbids(path: Path) -> None:
    text = path.read_text()
    assert [what for what, pattern in FORBIDDEN.items() if pattern.search(text)] == []


@pytest.mark.parametrize("path", template_files(), ids=relative)
def test_numbers_in_addresses_are_written_for_machines(path: Path) -> None:
    attributes = " ".join(ATTRIBUTE.findall(path.read_text()))
    assert MACHINE_NUMBER.findall(attributes) == [], "write them with |unlocalize"


def test_views_name_parts_that_exist() -> None:
    known = set(parts())
    named = {
        (f"templates/{template}", part)
        for path in [*(ROOT / "evals").rglob("*.py"), *(ROOT / "portal").rglob("*.py")]
        for template, part in IN_VIEWS.findall(path.read_text())
    }
    assert named
    assert named <= known
