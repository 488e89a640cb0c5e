"""llama.cpp: log-probabilities of what it generates, and a clear no to an echo."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..stub import Stub


class LlamaCpp(Stub):
    absent = frozenset({"/version", "/tokenize"})

    def __init__(self) -> None:
        super().__init__("llama.cpp")

    def entry(self) -> dict[str, Any]:
        return {"id": "tiny", "owned_by": "llamacpp", "meta": {"n_ctx_train": 4096}}

    async def _props(self, body: Any) -> web.Response:
        settings = {"n_ctx": 512}
        return web.json_response(
            {"default_generation_settings": settings, "build_info": "b7000-abcdef"}
        )

    async def _metrics(self, body: Any) -> web.Response:
        error = {"error": {"message": "This server does not support metrics endpoint."}}
        return web.json_response(error, status=501)  # started without --metrics
