"""llama-cpp-python: answers an echo with one value too few, without an error."""

from __future__ import annotations

from typing import Any

from ..stub import Stub


class LlamaCppPython(Stub):
    absent = frozenset({"/version", "/tokenize", "/health", "/metrics"})

    def __init__(self) -> None:
        super().__init__("llama-cpp-python")

    def entry(self) -> dict[str, Any]:
        return {"id": "tiny", "owned_by": "me", "permissions": []}
