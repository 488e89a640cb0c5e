"""TabbyAPI: the loaded model answers to any name, and "echo" is read and not heeded."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..stub import Stub


class TabbyApi(Stub):
    absent = frozenset({"/version", "/tokenize", "/metrics"})

    def __init__(self) -> None:
        super().__init__("tabbyapi")

    async def _v1_models(self, body: Any) -> web.Response:
        listed = [{"id": name, "owned_by": "tabbyAPI"} for name in ("other", "tiny", "third")]
        return web.json_response({"data": listed})
