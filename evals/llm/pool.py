"""Keep an endpoint busy without ever holding more than it can lose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def pooled(
    items: Iterable[T],
    work: Callable[[T], Awaitable[R]],
    limit: int,
    pulse: float | None = None,
) -> AsyncIterator[list[R]]:
    """Lists of results of ``await work(item)``, as they finish, up to ``limit`` at once.

    A slot is freed only when the next list is asked for, so whoever stores each list before
    asking on never has more than ``limit`` items begun and not stored. Items are taken from
    the iterator when a slot is free, not before. With ``pulse`` an empty list comes after
    that many seconds without a result, so a caller can look after other things.

    When ``work`` raises, results that finished with it are still given; then what runs is
    cancelled and the exception raised. Closing the generator (``contextlib.aclosing``)
    cancels too.
    """
    waiting = iter(items)
    running: list[asyncio.Future[R]] = []
    more = True
    try:
        while True:
            while more and len(running) < limit:
                try:
                    item = next(waiting)
                except StopIteration:
                    more = False
                else:
                    running.append(asyncio.ensure_future(work(item)))
            if not running:
                return
            await asyncio.wait(running, timeout=pulse, return_when=asyncio.FIRST_COMPLETED)
            done = [task for task in running if task.done()]
            running = [task for task in running if not task.done()]
            failed = [task for task in done if task.cancelled() or task.exception()]
            if failed:
                if kept := [task.result() for task in done if task not in failed]:
                    yield kept
                failed[0].result()
            yield [task.result() for task in done]
    finally:
        await _cancel(running)


async def _cancel(tasks: list[asyncio.Future[R]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
