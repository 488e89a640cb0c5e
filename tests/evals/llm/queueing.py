"""Servers as queueing models and a client that keeps them busy, in simulated time."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from evals.llm.knee import Knee, Outcome


@dataclass
class Server:
    """Works on up to ``slots`` requests at once, others wait in line.

    Each takes ``seconds`` when alone (drawn with the variation ``spread``: 0 always the same,
    1 exponential) and ``slower(n)`` times that while n are worked on. Above ``rate`` requests
    a second (bucket of ``burst``) it refuses, with ``retry_after`` where that is given.
    """

    seconds: float = 1.0
    spread: float = 0.0
    slots: float = math.inf
    slower: Callable[[int], float] = lambda n: 1.0
    rate: float = math.inf
    burst: float = 10.0
    retry_after: float | None = None
    random: Random = field(default_factory=lambda: Random(11))

    def __post_init__(self) -> None:
        self.now = self.work = 0.0  # work: what each request at work has got so far
        self.working: list[tuple[float, int]] = []
        self.line: deque[int] = deque()
        self.tokens = self.burst

    def until(self, now: float) -> None:
        """Let time pass; nothing may end meanwhile."""
        if self.working:
            self.work += (now - self.now) / self.slower(len(self.working))
        if self.rate < math.inf:
            self.tokens = min(self.burst, self.tokens + (now - self.now) * self.rate)
        self.now = now

    def take(self, request: int) -> bool:
        if self.rate < math.inf:
            if self.tokens < 1:
                return False
            self.tokens -= 1
        self.line.append(request)
        self._fill()
        return True

    def next_end(self) -> float:
        if not self.working:
            return math.inf
        return self.now + max(0.0, self.working[0][0] - self.work) * self.slower(len(self.working))

    def end(self) -> int:
        _, request = heapq.heappop(self.working)
        self._fill()
        return request

    def _fill(self) -> None:
        while self.line and len(self.working) < self.slots:
            drawn = (
                self.random.gammavariate(1 / self.spread**2, self.spread**2) if self.spread else 1.0
            )
            heapq.heappush(self.working, (self.work + self.seconds * drawn, self.line.popleft()))

    def best(self, most: int) -> float:
        """The most answers a second with up to ``most`` requests at once."""
        levels = (min(n, self.slots) for n in range(1, most + 1))
        return min(self.rate, max(n / self.slower(int(n)) / self.seconds for n in levels))


@dataclass
class Seen:
    """What happened: times of answers, the limit and the requests in flight over time."""

    answers: list[float] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)

    def goodput(self, since: float, until: float) -> float:
        return sum(since <= at < until for at in self.answers) / (until - since)

    def limit(self, since: float, until: float) -> float:
        """Mean over time."""
        return _mean([(at, limit) for at, limit in self.limits], since, until)


def _mean(steps: list[tuple[float, int]], since: float, until: float) -> float:
    total, ends = 0.0, [at for at, _ in steps[1:]] + [until]
    for (at, value), end in zip(steps, ends, strict=True):
        total += value * max(0.0, min(end, until) - max(at, since))
    return total / (until - since)


def keep_busy(
    server: Server,
    knee: Knee,
    seconds: float,
    at: Callable[[float, Server], None] = lambda now, server: None,
) -> Seen:
    """Ask ``server`` as much as ``knee`` lets for ``seconds``; ``at`` may change the server."""
    seen, numbers, started, tries = Seen(limits=[(0.0, knee.limit)]), count(), {}, {}
    again: list[tuple[float, int]] = []  # refused, asked anew at this time; they keep their place
    random, in_flight, now = Random(5), 0, 0.0

    def ask(request: int) -> None:
        started[request] = now
        if not server.take(request):
            knee.tell(now, now, Outcome.REFUSED, retry_after=server.retry_after)
            seen.refused.append(now)
            tries[request] = tries.get(request, 0) + 1
            pause = random.random() * min(20.0, 0.5 * 2 ** (tries[request] - 1))
            heapq.heappush(again, (now + max(pause, server.retry_after or 0.0), request))

    while now < seconds:
        at(now, server)
        while in_flight < knee.limit and knee.paused_until <= now:
            in_flight += 1
            ask(next(numbers))
        seen.in_flight.append(in_flight)
        wake = knee.paused_until if knee.paused_until > now else math.inf
        end, retry = server.next_end(), again[0][0] if again else math.inf
        now = min(end, retry, wake)
        server.until(now)
        if now == end:
            request = server.end()
            in_flight -= 1
            knee.tell(started.pop(request), now, Outcome.ANSWERED)
            seen.answers.append(now)
        elif now == retry:
            ask(heapq.heappop(again)[1])
        if seen.limits[-1][1] != knee.limit:
            seen.limits.append((now, knee.limit))
    return seen
