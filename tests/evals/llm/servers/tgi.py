"""TGI: completions carry no log-probabilities; its own /generate tells what it read."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..stub import MODEL, Stub, following, logprob, token_id, tokenise

MOST_STOPS = 4


class Tgi(Stub):
    measures = "tgi_"
    absent = frozenset({"/version"})

    def entry(self) -> dict[str, Any]:
        return {"id": MODEL, "owned_by": MODEL}

    async def _info(self, body: Any) -> web.Response:
        told = {"version": "3.0.1", "max_total_tokens": 600, "max_input_tokens": 512}
        return web.json_response(told)

    async def _v1_completions(self, body: Any) -> web.StreamResponse:
        if len(body.get("stop") or []) > MOST_STOPS:
            error = {"error": "`stop` must have at most 4", "error_type": "validation"}
            return web.json_response(error, status=422)
        kept = {key: value for key, value in body.items() if key not in {"logprobs", "echo"}}
        return await super()._v1_completions(kept)

    def formed(self, form: Any) -> str:
        """Knows its own form of a schema only."""
        if form.get("type") != "json":
            return "Berlin"
        return super().formed({"json_schema": {"schema": form["value"]}})

    async def _generate(self, body: Any) -> web.Response:
        tokens = tokenise(body["inputs"])
        new = following(tokens[-1])
        pairs = zip([None, *tokens], tokens, strict=False)
        prefill = [_token(before, token) for before, token in pairs]
        details = {
            "prefill": prefill if body["parameters"].get("decoder_input_details") else [],
            "tokens": [_token(tokens[-1], new)],
        }
        return web.json_response({"generated_text": new, "details": details})


def _token(before: str | None, token: str) -> dict[str, Any]:
    value = None if before is None else logprob(before, token)
    return {"id": token_id(token), "text": token, "logprob": value}
