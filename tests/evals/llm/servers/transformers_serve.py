"""transformers serve: answers, and ignores all that is asked beside the text."""

from __future__ import annotations

from typing import Any

from ..stub import Stub


class TransformersServe(Stub):
    absent = frozenset({"/version", "/tokenize", "/health", "/metrics"})

    def __init__(self) -> None:
        super().__init__("transformers-serve")

    def formed(self, form: Any) -> str:
        return "Berlin"

    def called(self, body: Any) -> list[Any] | None:
        return None
