"""The playground's client on the real server, without a browser."""

from __future__ import annotations

import asyncio

import pytest

from evals.llm import EndpointSpec
from evals.llm.streaming import Ending, Piece, Prompt, stream
from portal.outbound import OutboundPolicy
from tests import real

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
PROMPT = Prompt(QUESTION, 16, temperature=0.0, seed=1)


async def ask(served: real.Served) -> list[Piece | Ending]:
    policy = OutboundPolicy(("127.0.0.0/8",), 1_000_000)
    spec = EndpointSpec(served.base_url, served.name, policy)
    return [piece async for piece in stream(spec, PROMPT)]


@pytest.mark.vllm
def test_a_real_model_writes_with_counts(vllm: dict[str, real.Served]) -> None:
    *pieces, ending = asyncio.run(ask(vllm["tiny-good"]))
    assert "".join(piece.text for piece in pieces) == "Paris"
    assert isinstance(ending, Ending)
    assert ending.prompt_tokens and ending.completion_tokens
    assert ending.finish_reason == "stop"
