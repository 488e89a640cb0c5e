"""NVIDIA NIM over vLLM: the same under other paths."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .vllm import Vllm


class Nim(Vllm):
    absent = frozenset({"/health", "/version", "/metrics"})

    def entry(self) -> dict[str, Any]:
        return super().entry() | {"owned_by": "organization"}

    async def _v1_health_ready(self, body: Any) -> web.Response:
        return web.json_response({"message": "Service is ready."})

    async def _v1_version(self, body: Any) -> web.Response:
        return web.json_response({"release": "2.0.1", "api": "2.0.0"})

    async def _v1_metadata(self, body: Any) -> web.Response:
        return web.json_response({"modelInfo": [{"shortName": "tiny"}]})

    async def _v1_metrics(self, body: Any) -> web.Response:
        return await self._metrics(body)
