"""llama-cpp-python: answers an echo with one value too few, without an error."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..stub import Stub


class LlamaCppPython(Stub):
    absent = frozenset({"/version", "/tokenize", "/health", "/metrics"})

    def __init__(self) -> None:
        super().__init__("llama-cpp-python")

    def entry(self) -> dict[str, Any]:
        return {"id": "tiny", "owned_by": "me", "permissions": []}

    def refusal(self, path: str, body: Any) -> web.Response | None:
        kind = body.get("response_format", {}).get("type", "text")
        if kind in ("text", "json_object"):
            return None
        said = {"error": {"message": "Input should be 'text' or 'json_object'"}}
        return web.json_response(said, status=500)

    def formed(self, form: Any) -> str:
        return super().formed({"json_schema": form})
