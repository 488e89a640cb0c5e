"""The pool keeps a fixed number of requests running and loses no result."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from evals.llm import pooled


class Work:
    """Counts what has begun, runs and was cancelled; ends when told to."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.gates: dict[int, asyncio.Event] = {}

    async def __call__(self, item: int) -> int:
        self.begun.append(item)
        self.gates[item] = asyncio.Event()
        try:
            await self.gates[item].wait()
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        return item


async def double(item: int) -> int:
    await asyncio.sleep(item % 3 / 1000)
    return 2 * item


async def test_it_gives_every_result_once() -> None:
    results = [result async for found in pooled(range(50), double, 7) for result in found]
    assert sorted(results) == [2 * item for item in range(50)]


async def test_it_frees_a_slot_only_when_the_next_list_is_asked_for() -> None:
    work = Work()
    async with aclosing(pooled(range(9), work, 3)) as lists:
        asked = asyncio.ensure_future(anext(lists))
        await asyncio.sleep(0.01)
        assert work.begun == [0, 1, 2]
        work.gates[1].set()
        assert await asked == [1]
        await asyncio.sleep(0.01)
        assert work.begun == [0, 1, 2]
        asked = asyncio.ensure_future(anext(lists))
        await asyncio.sleep(0.01)
        assert work.begun == [0, 1, 2, 3]
        work.gates[0].set()
        work.gates[3].set()
        await asked


async def test_it_takes_items_only_when_it_has_room() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    async with aclosing(pooled(items(), double, 4)) as lists:
        await anext(lists)
    assert len(taken) <= 5


async def test_it_cancels_what_runs_when_it_is_closed() -> None:
    work = Work()
    async with aclosing(pooled(range(9), work, 3)) as lists:
        asked = asyncio.ensure_future(anext(lists))
        await asyncio.sleep(0.01)
        work.gates[2].set()
        await asked
    assert sorted(work.cancelled) == [0, 1]


async def test_it_cancels_what_runs_when_the_caller_is_cancelled() -> None:
    work = Work()

    async def consume() -> None:
        async with aclosing(pooled(range(9), work, 3)) as lists:
            async for _ in lists:
                pass

    consumer = asyncio.ensure_future(consume())
    await asyncio.sleep(0.01)
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert sorted(work.cancelled) == [0, 1, 2]


async def test_it_gives_what_is_done_then_raises_and_cancels_the_rest() -> None:
    waiting = Work()

    async def work(item: int) -> int:
        if item == 1:
            raise ZeroDivisionError
        return await waiting(item) if item == 2 else item

    found = []
    with pytest.raises(ZeroDivisionError):
        async for results in pooled(range(9), work, 3):
            found += results
    assert found == [0]
    assert waiting.cancelled == [2]


async def test_it_gives_a_sign_of_life_when_asked_to() -> None:
    work = Work()
    async with aclosing(pooled([1], work, 1, pulse=0.01)) as lists:
        assert await anext(lists) == []
        work.gates[1].set()
        assert [result async for found in lists for result in found] == [1]


async def test_it_ends_at_once_without_items() -> None:
    assert [found async for found in pooled([], double, 3)] == []
