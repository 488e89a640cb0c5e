"""openai_trtllm: counts nothing, ends every answer with "stop", lists no models."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..stub import Stub

NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


class OpenaiTrtllm(Stub):
    absent = frozenset({"/version", "/tokenize", "/health", "/metrics", "/v1/models"})

    async def _health_check(self, body: Any) -> web.Response:
        return web.Response()

    async def _v1_completions(self, body: Any) -> web.StreamResponse:
        choice = self._choice(0, body["prompt"], {"max_tokens": 1})
        choice["finish_reason"] = "stop"
        return web.json_response({"choices": [choice | {"logprobs": None}], "usage": NOTHING})

    async def _v1_chat_completions(self, body: Any) -> web.StreamResponse:
        message = {"role": "assistant", "content": "Berlin"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        if body.get("stream"):
            return await self.streamed(body | {"stream_options": None}, choice, None)
        return web.json_response({"choices": [choice], "usage": NOTHING})
