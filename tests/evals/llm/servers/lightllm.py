"""LightLLM: no list of models, errors are a 417, prompts are scored only with a flag."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from aiohttp import web

from ..stub import Stub, following, logprob, token_id, tokenise


class LightLLM(Stub):
    measures = "lightllm_"
    absent = frozenset({"/version", "/tokenize", "/v1/models"})

    def __init__(self, *, flag: bool = False) -> None:
        super().__init__()
        self.flag = flag

    async def _get_model_name(self, body: Any) -> web.Response:
        return web.json_response({"model_name": "/models/tiny"})

    async def _v1_completions(self, body: Any) -> web.StreamResponse:
        if not isinstance(body["prompt"], str):
            return web.json_response({"message": "prompt must be a text"}, status=417)
        return await super()._v1_completions(body)

    def _choice(self, index: int, prompt: str, body: Any) -> dict[str, Any]:
        choice = super()._choice(index, prompt, body)
        if body.get("echo") and choice["logprobs"]:  # the text comes back, its values do not
            choice["logprobs"]["token_logprobs"] = [None] * len(tokenise(prompt))
        return choice

    def formed(self, form: Any) -> str:
        """Its schema lies beside the type."""
        return super().formed({"json_schema": form}) if "schema" in form else "Berlin"

    async def _generate(self, body: Any) -> web.Response:
        tokens = tokenise(body["inputs"])
        ids, new = [token_id(token) for token in tokens], following(tokens[-1])
        written = {"id": token_id(new), "logprob": logprob(tokens[-1], new), "text": new}
        told: dict[str, Any] = {"generated_text": [new], "tokens": [written]}
        if self.flag:
            values = [logprob(before, token) for before, token in pairwise(tokens)]
            told["prompt_token_ids"] = ids
            told["prompt_logprobs"] = [
                [before, {str(after): value}]
                for before, after, value in zip(ids, ids[1:], values, strict=False)
            ]
        return web.json_response(told)
