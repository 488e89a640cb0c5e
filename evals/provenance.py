"""Where a benchmark's questions come from, as a suite file says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evals.sentences import Told, gettext_noop

FIELDS = ("repo", "config", "split", "revision", "licence", "url")
LONGEST = 300  # characters of one field


def faults(source: Any, place: str) -> Iterator[Told]:
    """What is wrong with a ``source`` field, which stands at ``place`` of the file."""
    if not isinstance(source, dict):
        yield Told(gettext_noop("{place} is not a mapping."), place=place)
        return
    for name, value in source.items():
        if name not in FIELDS:
            yield Told(
                gettext_noop("{place} has a field {name!r}; write only {known}."),
                place=place, name=str(name)[:LONGEST], known=", ".join(FIELDS),
            )  # fmt: skip
        elif not isinstance(value, str) or not value.strip():
            yield Told(
                gettext_noop("{place} is {value!r}; write text in quotes, or leave it out."),
                place=f"{place}.{name}", value=str(value)[:LONGEST],
            )  # fmt: skip
        elif len(value) > LONGEST:
            yield Told(
                gettext_noop("{place} has {count} characters; {most} are the most."),
                place=f"{place}.{name}", count=len(value), most=LONGEST,
            )  # fmt: skip
        elif name == "url" and not value.startswith(("https://", "http://")):
            yield Told(
                gettext_noop("{place} is {value!r}; write an address that starts with https://."),
                place=f"{place}.url", value=value,
            )  # fmt: skip
