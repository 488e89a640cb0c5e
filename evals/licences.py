"""What a licence says about passing questions on, as far as its name tells. No Django."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

FREE = re.compile(
    r"\b(cc0|public domain|pddl|cc[- ]by([- ]sa)?|apache|mit|bsd|isc|odc[- ]by|odbl|cdla|eupl|afl|"
    r"artistic|mpl|l?gpl)\b",
    re.I,
)
CONDITIONS = re.compile(r"[- ](nc|nd)\b|non[- ]?commercial|no[- ]?deriv|research|academic", re.I)
FORBIDDEN = re.compile(
    r"proprietary|all rights reserved|confidential|internal|no redistribution|not? (be )?"
    r"redistribut|do not (share|distribute)",
    re.I,
)


class Concern(NamedTuple):
    """Why questions should not be passed on without a second look; ``names`` of benchmarks."""

    kind: str  # forbidden, conditions or unknown
    licence: str
    names: list[str]

    def __str__(self) -> str:
        said = {
            "forbidden": "the licence forbids to pass it on",
            "conditions": "the licence sets conditions",
            "unknown": "the licence is not stated or not known",
        }[self.kind]
        return f"{said} ({self.licence or 'none'}): {', '.join(self.names)}"


def kind(licence: str) -> str:
    """``free``, ``conditions``, ``forbidden`` or ``unknown``."""
    for pattern, name in ((FORBIDDEN, "forbidden"), (CONDITIONS, "conditions"), (FREE, "free")):
        if pattern.search(licence):
            return name
    return "unknown"


def concerns(entry: Mapping[str, Any]) -> Iterator[Concern]:
    """What to look at before the suite ``entry`` leaves the house; nothing when all is free.

    The licence of a benchmark's source goes before that of the suite.
    """
    by_licence: dict[str, list[str]] = {}
    for item in entry["benchmarks"]:
        licence = item["source"].get("licence") or entry["licence"]
        by_licence.setdefault(licence, []).append(item["name"])
    found = [Concern(kind(licence), licence, names) for licence, names in by_licence.items()]
    order = ("forbidden", "conditions", "unknown")
    for name in order:
        yield from (each for each in found if each.kind == name)
