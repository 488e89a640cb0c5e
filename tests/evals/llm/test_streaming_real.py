"""The playground's client on the real server, without a browser."""

from __future__ import annotations

import asyncio

import pytest

from evals.llm import EndpointSpec
from evals.llm.streaming import Ending, Prompt, stream
from portal.outbound import OutboundPolicy
from tests import real

PROMPT = Prompt([{"role": "user", "content": "What is the capital of France?"}], 16, seed=1)


async def ask(served: real.Served) -> list[object]:
    policy = OutboundPolicy(("127.0.0.0/8",), 1_000_000)
    spec = EndpointSpec(served.base_url, served.name, policy)
    return [piece async for piece in stream(spec, PROMPT)]


@pytest.mark.vllm
def test_real_models_write_with_counts(vllm: dict[str, real.Served]) -> None:
    for served in vllm.values():
        *pieces, ending = asyncio.run(ask(served))
        assert isinstance(ending, Ending)
        assert pieces
        assert ending.prompt_tokens and ending.completion_tokens
        assert ending.finish_reason in {"stop", "length"}
