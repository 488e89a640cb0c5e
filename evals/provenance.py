"""Where a benchmark's questions come from, as a suite file says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

FIELDS = ("repo", "config", "split", "revision", "licence", "url")
LONGEST = 300  # characters of one field


def faults(source: Any) -> Iterator[str]:
    """What is wrong with a ``source`` field, each as the end of a sentence about it."""
    if not isinstance(source, dict):
        yield " is not a mapping."
        return
    for name, value in source.items():
        if name not in FIELDS:
            yield f" has a field {str(name)[:LONGEST]!r}; write only {', '.join(FIELDS)}."
        elif not isinstance(value, str) or not value.strip():
            yield f".{name} is {str(value)[:LONGEST]!r}; write text in quotes, or leave it out."
        elif len(value) > LONGEST:
            yield f".{name} has {len(value)} characters; {LONGEST} are the most."
        elif name == "url" and not value.startswith(("https://", "http://")):
            yield f".url is {value!r}; write an address that starts with https://."
