"""Ollama: cuts long prompts without a word, wants one text, ignores an echo."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..stub import Stub, tokenise

NUM_CTX = 128


class Ollama(Stub):
    absent = frozenset({"/version", "/tokenize", "/health", "/metrics"})

    def __init__(self) -> None:
        super().__init__("ignores echo")

    def entry(self) -> dict[str, Any]:
        return {"id": "tiny", "owned_by": "library"}

    async def _(self, body: Any) -> web.Response:
        return web.Response(text="Ollama is running")

    async def _api_version(self, body: Any) -> web.Response:
        return web.json_response({"version": "0.12.3"})

    def read(self, text: str) -> str:
        return "".join(tokenise(text)[-NUM_CTX:])

    async def _v1_completions(self, body: Any) -> web.StreamResponse:
        if not isinstance(body["prompt"], str):
            return web.json_response({"error": {"message": "prompt must be a string"}}, status=400)
        kept = {key: value for key, value in body.items() if key != "echo"}
        return await super()._v1_completions(kept)
