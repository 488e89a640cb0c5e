"""Engines: each module here is one way to turn questions into scored samples.

Engines know no Django. Other distributions add theirs under the entry point
group ``evals.engines``.
"""

from __future__ import annotations

from evals.engines._base import (
    EXAMPLES_SPLIT,
    BenchmarkSpec,
    Engine,
    Outcome,
    TaskInvalid,
    fewshot,
)
from portal.registry import Registry

ENGINES: Registry[Engine] = Registry("evals.engines", "ENGINE")

__all__ = [
    "ENGINES",
    "EXAMPLES_SPLIT",
    "BenchmarkSpec",
    "Engine",
    "Outcome",
    "TaskInvalid",
    "fewshot",
]
