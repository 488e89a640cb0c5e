from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from evals.llm import Client, Gate, Knee, LLMError, Retry
from evals.llm.knee import Outcome
from tests.evals.llm.stub import serving


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Visitors:
    """Tasks that go through a gate and stay until they are let go."""

    def __init__(self, gate: Gate, count: int) -> None:
        self.inside: list[int] = []
        self.leaving = [asyncio.Event() for _ in range(count)]
        self.gate = gate
        self.tasks = [asyncio.ensure_future(self._visit(number)) for number in range(count)]

    async def _visit(self, number: int) -> None:
        async with self.gate:
            self.inside.append(number)
            await self.leaving[number].wait()
            self.inside.remove(number)


async def test_it_lets_in_as_many_as_its_limit_in_the_order_of_asking() -> None:
    gate = Gate(2)
    visitors = Visitors(gate, 5)
    await settle()
    assert visitors.inside == [0, 1]
    visitors.leaving[1].set()
    await settle()
    assert visitors.inside == [0, 2]
    gate.limit = 4
    await settle()
    assert visitors.inside == [0, 2, 3, 4]
    gate.limit = 1
    assert gate.in_flight == 4  # nobody is thrown out
    for event in visitors.leaving:
        event.set()
    await asyncio.gather(*visitors.tasks)
    assert gate.in_flight == 0


async def test_whoever_gives_up_waiting_or_is_stopped_leaves_no_gap() -> None:
    gate = Gate(1)
    visitors = Visitors(gate, 4)
    await settle()
    visitors.tasks[1].cancel()
    await settle()
    visitors.leaving[0].set()
    await asyncio.sleep(0)
    visitors.tasks[2].cancel()  # just let in, and cancelled before it noticed
    await settle()
    assert visitors.inside == [3]
    visitors.tasks[3].cancel()
    await settle()
    assert gate.in_flight == 0


async def test_nobody_passes_a_gate_of_nothing_until_it_opens() -> None:
    gate = Gate(0)
    visitors = Visitors(gate, 2)
    await settle()
    assert visitors.inside == []
    gate.limit = 2
    await settle()
    assert visitors.inside == [0, 1]
    for task in visitors.tasks:
        task.cancel()


async def test_it_stays_shut_as_long_as_the_server_wishes() -> None:
    gate = Gate(8, Knee(8))
    began = time.monotonic()
    gate.tell(began, Outcome.REFUSED, retry_after=0.2)
    async with gate:
        assert time.monotonic() - began >= 0.19


async def test_a_client_asks_less_at_once_after_refusals_and_more_while_answers_come() -> None:
    async def busy(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "slow down"}}, status=429)

    async with serving() as server:
        knee = Knee(16)
        spec = server.spec(concurrency=16, gate=Gate(16, knee))
        async with Client(spec, Retry(attempts=1)) as client:
            server.once = [busy] * 8
            for _ in range(8):
                with pytest.raises(LLMError):
                    await client.complete("one two", max_tokens=2)
            assert knee.limit == 4  # it starts at 8
            asked = [client.complete(f"one {n}", max_tokens=2) for n in range(200)]
            await asyncio.gather(*asked)
        assert server.most_busy <= 16
        assert knee.limit > 4


async def test_two_clients_with_one_gate_share_its_limit() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.01)
        choice = {"text": "x", "finish_reason": "stop", "index": 0}
        return web.json_response({"choices": [choice], "usage": {}})

    async with serving() as server:
        server.always = slow
        spec = server.spec(concurrency=8, gate=Gate(3))
        async with Client(spec) as one, Client(spec) as two:
            await asyncio.gather(
                *(each.complete("x", max_tokens=1) for each in (one, two) for _ in range(20))
            )
        assert server.most_busy == 3
