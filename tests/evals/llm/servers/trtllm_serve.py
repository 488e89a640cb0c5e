"""trtllm-serve: refuses every field it does not know; echoes text, scores only answers."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..stub import Stub

KNOWN = {
    "/v1/completions": {
        "model", "prompt", "max_tokens", "temperature", "seed", "stop", "stream", "logprobs",
        "echo",
    },
    "/v1/chat/completions": {
        "model", "messages", "max_tokens", "temperature", "seed", "stop", "stream", "logprobs",
        "top_logprobs", "tools", "tool_choice", "response_format", "stream_options",
    },
}  # fmt: skip


class TrtllmServe(Stub):
    measures = "trtllm_"
    absent = frozenset({"/tokenize"})

    def __init__(self) -> None:
        super().__init__("tabbyapi")  # as there, only the answer is scored

    def entry(self) -> dict[str, Any]:
        return super().entry() | {"owned_by": "tensorrt_llm"}

    def refusal(self, path: str, body: Any) -> web.Response | None:
        more = set(body) - KNOWN.get(path, set(body))
        said = [{"type": "extra_forbidden", "loc": ["body", name]} for name in sorted(more)]
        return web.json_response({"detail": said}, status=400) if more else None
