"""vLLM: everything is true, and a prompt is scored by its own field, too."""

from __future__ import annotations

from typing import Any

from ..stub import Stub


class Vllm(Stub):
    measures = "vllm:"

    def entry(self) -> dict[str, Any]:
        return super().entry() | {"owned_by": "vllm"}
