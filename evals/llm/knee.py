"""Find how many requests at once a server makes good use of, while it is being asked.

Every server has a knee: up to it more requests at once bring more answers a second, beyond it
they only wait longer. The number is found by additive increase and multiplicative decrease
(Chiu and Jain 1989, as in TCP), on two signals. Refusals (429, 503) and time-outs take a part
of the limit away that is as large as theirs of the attempts (as in DCTCP, RFC 8257). The other
signal is goodput: the slope of log(tokens a second) over log(limit), fitted to the last
windows. It is 1 while a further request at once brings its whole answer on top, and 0 where it
only makes the others wait; below ``WORTH`` the limit shrinks. Delay alone
(TCP Vegas, the limits of Netflix's concurrency-limits) would stop far too early at servers that
batch: there each answer takes longer with every request beside it, and goodput still rises.

Times are seconds of any one clock; nothing here reads a clock or waits.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from math import ceil, log
from typing import NamedTuple

START = 8  # where nothing is known yet
LEAP = 1.5  # growth from window to window while goodput grows nearly as fast
STEEP = 0.5  # slope down to which it leaps
WORTH = 0.1  # slope under which less will do
STEP = 0.15  # of the limit, what is added then
BACK = 0.85  # what is left where less will do
TAKEN = 0.5  # requests taken off by each refusal: where all are refused, a round halves the limit
WINDOW, LEAST = 4, 16  # answers of a window: for each request at once, and in any case
USED = 0.7  # a window that had less of the limit in flight says nothing
KEPT, FADING = 32, 0.92  # windows that the slope is fitted to; weight of one for the next one
NEAR = 0.5  # a window whose log limit is farther off does not count
STILL, FLAT = 100.0, 1.0  # how firmly trend and slope are held to 0 where windows tell little
LONGEST_PAUSE = 60.0  # seconds of Retry-After that are heeded


class Outcome(Enum):
    """How an attempt ended."""

    ANSWERED = auto()
    REFUSED = auto()  # 429, 503: too much at once
    TIMED_OUT = auto()


class Window(NamedTuple):
    """Log of the limit and of the goodput measured under it, and from how many answers."""

    limit: float
    goodput: float
    answers: int


class Knee:
    """``limit`` is how many requests may be in flight now, from 1 to ``most``.

    ``share`` is how much of it this process has where several ask one server together; what it
    measures stands for all of them. ``paused_until``: no request may begin before.
    """

    def __init__(self, most: int, start: int | None = None) -> None:
        self.most = max(1, most)
        self.share = self.limit = min(self.most, max(1, start or START))
        self.paused_until = 0.0
        self._exact = float(self.limit)
        self._leap_to = self.most
        self._windows: deque[Window] = deque(maxlen=KEPT)
        self._latest = 0.0
        self._begin()

    def bound(self, most: int, share: int) -> None:
        """Take ``most`` as the maximum and ``share`` as this process's part from now on."""
        self.most = max(1, most)
        if self.limit > self.most:
            self._move(self.most)
        if share != self.share:
            self.share = share
            self._begin()

    def tell(
        self,
        started: float,
        ended: float,
        outcome: Outcome,
        tokens: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        """An attempt has ended; ``tokens`` of its answer, None where they are not told."""
        self._latest = max(self._latest, ended)
        if outcome is not Outcome.ANSWERED:
            self._refuse(retry_after)
        elif self._skip > 0:  # begun under the limit before
            self._skip -= 1
            self._opened = ended
        else:
            self._answers += 1
            self._tokens += max(1, tokens or 1)
            self._busy += ended - started
            if self._answers >= max(LEAST, WINDOW * self.share):
                self._close()

    def _refuse(self, retry_after: float | None) -> None:
        if retry_after:
            until = self._latest + min(retry_after, LONGEST_PAUSE)
            self.paused_until = max(self.paused_until, until)
        if not self._refusals:
            self._leap_to = self.limit // 2  # as slow start in TCP: half is known to be fine
        self._refusals += 1
        self._exact = max(1.0, self._exact - TAKEN * self.limit / self.share)
        if int(self._exact) < self.limit:
            self._shrink(int(self._exact))

    def _close(self) -> None:
        """Move on by what the window that ends now shows."""
        seconds = self._latest - self._opened
        if seconds <= 0 or self._busy < USED * self.share * seconds:
            self._begin()
            return
        goodput = log(self._tokens / seconds * self.limit / self.share)
        self._windows.append(Window(log(self.limit), goodput, self._answers))
        self._move(self._next())

    def _next(self) -> int:
        slope = self._slope()
        if self.limit < self._leap_to and (slope is None or slope >= STEEP):
            return ceil(self.limit * LEAP)
        self._leap_to = 0
        step = max(1, round(self.limit * STEP))
        if slope is None:  # the limit has not changed for long: look what less does
            return self.limit - step if self.limit == self.most else self.limit + step
        return self.limit + step if slope >= WORTH else int(self.limit * BACK)

    def _slope(self) -> float | None:
        """Of log goodput over log limit near the present limit; None where it never changed.

        Weighted least squares with a trend over time beside it, so that a server that becomes
        faster or slower by itself is not put down to the limit. ``STILL`` holds the trend to 0
        as long as the windows do not tell the two apart.
        """
        here, fading = log(self.limit), 1.0
        total = mean_x = mean_y = mean_t = 0.0
        xx = tt = xt = xy = ty = 0.0
        for age, window in enumerate(reversed(self._windows)):
            near = 1 - abs(window.limit - here) / NEAR
            if near > 0:
                weight = fading * near * window.answers
                total += weight
                dx, dy, dt = window.limit - mean_x, window.goodput - mean_y, -age - mean_t
                mean_x += dx * weight / total
                mean_y += dy * weight / total
                mean_t += dt * weight / total
                x, t = window.limit - mean_x, -age - mean_t
                xx += weight * dx * x
                tt += weight * dt * t
                xt += weight * dx * t
                xy += weight * dy * x
                ty += weight * dy * t
            fading *= FADING
        if not total or xx / total < 1e-3:
            return None
        tt, xx = tt + STILL, xx + FLAT
        return (xy * tt - ty * xt) / (xx * tt - xt * xt)

    def _move(self, limit: int) -> None:
        self._shrink(min(self.most, max(1, limit)))
        self._exact = float(self.limit)
        self._begin()

    def _shrink(self, limit: int) -> None:
        if self.share == self.limit:  # nobody else asks: all of it is ours at once
            self.share = limit
        self.limit = limit

    def _begin(self) -> None:
        """A new window, after the answers to what was begun before it."""
        self._opened = self._latest
        self._skip = self.share
        self._answers = self._tokens = self._refusals = 0
        self._busy = 0.0
