"""Ask again when it may help, and only then."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

from .errors import LLMError

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """How often and how long to try; times in seconds.

    The wait before attempt n+1 is drawn evenly from 0 to ``base * 2**(n-1)`` (full jitter:
    clients that failed together do not come back together), at most ``longest``; a server's
    Retry-After lengthens it up to ``longest_wish``. No attempt begins after ``deadline``.
    """

    attempts: int = 5
    base: float = 0.5
    longest: float = 20.0
    longest_wish: float = 60.0
    deadline: float = 360.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

    async def run(self, attempt: Callable[[float], Awaitable[T]]) -> tuple[T, int]:
        """The result of ``attempt(seconds left)`` and how many attempts it took.

        Raises the last ``LLMError`` with ``attempts`` set.
        """
        end = self.clock() + self.deadline
        number = 0
        while True:
            number += 1
            try:
                return await attempt(max(0.001, end - self.clock())), number
            except LLMError as error:
                error.attempts = number
                wait = self.wait(number, error.retry_after)
                last = number >= self.attempts or self.clock() + wait >= end
                if last or not error.retryable:
                    raise
            await self.sleep(wait)

    def wait(self, number: int, wish: float | None) -> float:
        """Seconds to wait after attempt ``number`` failed."""
        backoff = self.random() * min(self.longest, self.base * 2 ** (number - 1))
        return max(backoff, min(wish or 0.0, self.longest_wish))


def seconds_wished(header: str | None, now: float) -> float | None:
    """A Retry-After header in seconds from ``now`` (Unix time), None when unreadable."""
    if not header:
        return None
    try:
        wished = float(header) if header.strip().isdigit() else None
        if wished is None:
            wished = parsedate_to_datetime(header).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return max(0.0, wished)
