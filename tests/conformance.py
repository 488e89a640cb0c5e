"""Material of others that tests compare with; it is no part of the repository."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("PORTAL_CONFORMANCE_DIR", HERE.parent / "shared" / "conformance"))


def path(name: str) -> Path:
    """The file ``name``; skips the test where the material is not at hand."""
    found = FOLDER / name
    if not found.exists():
        pytest.skip(f"{name} is not at hand; PORTAL_CONFORMANCE_DIR says where it lies")
    return found


def data(name: str) -> Any:
    return json.loads(path(name).read_text("utf-8"))


def lines(name: str) -> Iterator[Any]:
    with path(name).open(encoding="utf-8") as opened:
        yield from map(json.loads, opened)
