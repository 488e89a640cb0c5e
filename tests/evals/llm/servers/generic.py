"""LM Studio, LocalAI and others: OpenAI-like, nothing beside the answers is told."""

from __future__ import annotations

from typing import Any

from ..stub import Stub


class Generic(Stub):
    absent = frozenset({"/version", "/tokenize", "/health", "/metrics"})

    def __init__(self) -> None:
        super().__init__("tabbyapi")

    def entry(self) -> dict[str, Any]:
        return {"id": "tiny", "object": "model", "owned_by": "somebody"}
