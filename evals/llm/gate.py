"""The door that requests to one server go through, no more than its limit at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from types import TracebackType

from .knee import Knee, Outcome


class Gate:
    """``async with gate:`` waits for a free place, in the order of asking.

    ``limit`` may change at any time and may be 0; lowering it lets what is in flight end.
    With a ``knee`` the limit is never above the knee's, which learns from what is told here.
    """

    def __init__(self, limit: int, knee: Knee | None = None) -> None:
        self.knee = knee
        self.in_flight = 0
        self._limit = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._wakes = False  # a wake-up for the end of the pause is set

    @property
    def limit(self) -> int:
        return min(self._limit, self.knee.limit) if self.knee else self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._let_in()

    def tell(
        self,
        started: float,
        outcome: Outcome,
        tokens: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        """An attempt that began at ``started`` (monotonic) has just ended."""
        if self.knee:
            self.knee.tell(started, time.monotonic(), outcome, tokens, retry_after)

    async def __aenter__(self) -> None:
        if not self._waiting and self._open():
            self.in_flight += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # let in and cancelled at once
                self._leave()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self.in_flight -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._open():
            place = self._waiting.popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)

    def _open(self) -> bool:
        if self.in_flight >= self.limit:
            return False
        pause = self.knee.paused_until - time.monotonic() if self.knee else 0.0
        if pause <= 0:
            return True
        if not self._wakes:
            self._wakes = True
            asyncio.get_running_loop().call_later(pause, self._wake)
        return False

    def _wake(self) -> None:
        self._wakes = False
        self._let_in()
