"""Benchmark specs for the tests of engines, and how to run them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import aclosing
from typing import Any

from evals.engines import ENGINES, BenchmarkSpec, Outcome
from evals.llm import EndpointSpec
from portal.outbound import OutboundPolicy
from tests.evals.stub_server import MODEL, StubServer


def spec_of(entry: dict[str, Any], **task: Any) -> BenchmarkSpec:
    """An entry of ``making`` as an engine takes it, with changes to its task."""
    return BenchmarkSpec(
        name=entry["name"],
        scoring=entry["scoring"],
        metric=entry["metric"],
        rows=entry["rows"],
        task=entry["task"] | task,
        options=entry["options"],
    )


def endpoint_of(stub: StubServer, concurrency: int = 4, timeout: float = 20.0) -> EndpointSpec:
    policy = OutboundPolicy(allow=("127.0.0.0/8",), max_bytes=10**7)
    return EndpointSpec(stub.base_url, MODEL, policy, concurrency=concurrency, timeout=timeout)


async def outcomes(
    stub: StubServer, spec: BenchmarkSpec, skip: Collection[int] = (), **endpoint: Any
) -> dict[int, Outcome]:
    """Everything lm_eval's engine yields for ``spec``, by doc_id."""
    found: list[Outcome] = []
    engine = ENGINES["lm_eval"]
    async with aclosing(engine.run(endpoint_of(stub, **endpoint), spec, skip)) as batches:
        async for batch in batches:
            found += batch
    assert len({outcome.doc_id for outcome in found}) == len(found)
    return {outcome.doc_id: outcome for outcome in found}
