"""mlx_lm.server: log-probabilities by yes or no, eleven at most; no demanded forms."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..stub import Stub

MOST = 11


class MlxLm(Stub):
    absent = frozenset({"/version", "/tokenize", "/metrics"})

    def __init__(self) -> None:
        super().__init__("ignores echo")

    def entry(self) -> dict[str, Any]:
        return {"id": "tiny", "object": "model", "created": 1}

    def refusal(self, path: str, body: Any) -> web.Response | None:
        if not isinstance(body.get("logprobs", False), bool):
            return web.json_response({"error": "logprobs must be of type bool"}, status=400)
        if body.get("top_logprobs", 0) > MOST:
            return web.json_response({"error": "top_logprobs must be at most 11"}, status=400)
        return None

    async def _v1_completions(self, body: Any) -> web.StreamResponse:
        count = body.get("top_logprobs", 1) if body.get("logprobs") else None
        kept = {key: value for key, value in body.items() if key not in {"echo", "logprobs"}}
        return await super()._v1_completions(kept | ({"logprobs": count} if count else {}))
