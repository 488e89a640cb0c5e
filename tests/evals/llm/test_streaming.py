"""Streams end in time, whatever the server does."""

from __future__ import annotations

import pytest

from evals.llm import EndpointSpec, Kind, LLMError
from evals.llm.streaming import Ending, Patience, Piece, Prompt, stream
from portal.outbound import OutboundPolicy, OutboundRefused
from tests.evals.stub_server import MODEL, StubServer

PROMPT = Prompt([{"role": "user", "content": "What is tea?"}], 64)
SHORT = Patience(first=0.5, between=0.3, whole=1.0)


async def pieces(
    stub: StubServer, max_bytes: int = 100_000, patience: Patience = SHORT
) -> list[Piece | Ending]:
    spec = EndpointSpec(stub.base_url, MODEL, OutboundPolicy(("127.0.0.0/8",), max_bytes, 2.0))
    return [piece async for piece in stream(spec, PROMPT, patience)]


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"every": 1, "kind": "hang"}, "no answer began within 0.5 s"),
        ({"say": "x" * 40, "stream": "stall"}, "nothing more for 0.3 s"),
        ({"say": "x" * 4000, "pace": 0.05}, "no end within 1 s"),
    ],
)
async def test_it_gives_up_a_server_that_takes_too_long(
    stub: StubServer, faults: dict[str, object], said: str
) -> None:
    await pieces(stub, patience=Patience())  # the SDK is imported once, before the clock matters
    stub.reset(**faults)
    with pytest.raises(LLMError, match=said) as failed:
        await pieces(stub)
    assert failed.value.kind is Kind.TIMEOUT


async def test_it_stops_reading_a_stream_that_is_too_large(stub: StubServer) -> None:
    stub.reset(say="x" * 4000)
    with pytest.raises(OutboundRefused) as refused:
        await pieces(stub, max_bytes=2000)
    assert refused.value.code == "too_large"
