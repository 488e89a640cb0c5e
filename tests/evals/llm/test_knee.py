"""The number of requests at once is found: at models of servers, in simulated time."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.llm.knee import LONGEST_PAUSE, START, Knee, Outcome
from tests.evals.llm.queueing import Server, keep_busy

Made = Callable[[Random], Server]
SEEDS = range(4)
# Service times that vary by 30 %, and where "wild" is said as much as their mean.
LINES: dict[str, tuple[Made, float]] = {
    "3 slots": (lambda random: Server(slots=3, spread=0.3, random=random), 3),
    "20 slots": (lambda random: Server(slots=20, spread=0.3, random=random), 20),
    "40 slots": (lambda random: Server(slots=40, spread=0.3, random=random), 40),
    "40 slots, wild": (lambda random: Server(slots=40, spread=1, random=random), 40),
    "a batch of 32": (
        lambda random: Server(slots=32, slower=lambda n: 1 + 0.03 * n, spread=0.3, random=random),
        32,
    ),
    "20 a second": (lambda random: Server(rate=20, burst=20, spread=0.3, random=random), 20),
    "20 a second, then told to wait": (
        lambda random: Server(rate=20, burst=20, retry_after=1.0, spread=0.3, random=random),
        20,
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_it_settles_within_a_tenth_of_the_best_goodput_and_not_far_above_the_knee(
    name: str,
) -> None:
    make, knee_at = LINES[name]
    most, seconds, settled = 128, 600.0, 200.0
    goodputs, limits = [], []
    for seed in SEEDS:
        server = make(Random(seed))
        seen = keep_busy(server, Knee(most), seconds)
        goodputs.append(seen.goodput(settled, seconds) / server.best(most))
        limits.append(seen.limit(settled, seconds) / knee_at)
    assert min(goodputs) >= 0.9, goodputs
    assert sum(limits) / len(limits) <= 1.6, limits


def test_a_server_that_batches_without_end_is_asked_for_most_of_what_it_can_give() -> None:
    """Twice as many at once would bring under a tenth more, so there it may stop."""
    goodputs = []
    for seed in SEEDS:
        server = Server(slower=lambda n: 1 + 0.05 * n, spread=0.3, random=Random(seed))
        seen = keep_busy(server, Knee(256), 1200)
        goodputs.append(seen.goodput(400, 1200) / server.best(256))
    assert sum(goodputs) / len(goodputs) >= 0.9, goodputs


@pytest.mark.parametrize(("before", "after"), [(40, 15), (15, 40)])
def test_it_follows_a_knee_that_moves_slowly(before: int, after: int) -> None:
    def slots(now: float) -> float:
        return before + (after - before) * min(1.0, max(0.0, now - 200) / 1000)

    def drift(now: float, server: Server) -> None:
        server.slots = round(slots(now))

    for seed in SEEDS:
        knee = Knee(128)
        server = Server(slots=before, spread=0.3, random=Random(seed))
        seen = keep_busy(server, knee, 1800, drift)
        for since in range(200, 1800, 200):
            could = sum(slots(now) for now in range(since, since + 200)) / 200
            assert seen.goodput(since, since + 200) >= 0.9 * could
        assert seen.limit(1600, 1800) <= 2 * after


def test_the_first_requests_do_not_overshoot_by_more_than_half() -> None:
    seen = keep_busy(Server(slots=20), Knee(128), 60)
    assert max(limit for _, limit in seen.limits) <= 1.5 * 20 + 1


def test_it_goes_on_from_where_it_was_left() -> None:
    seen = keep_busy(Server(slots=40, spread=0.3), Knee(128, start=42), 60)
    assert seen.goodput(5, 60) >= 0.9 * 40
    assert Knee(128).limit == START
    assert Knee(16, start=90).limit == 16


def test_a_storm_of_refusals_halves_it_with_each_round_and_it_recovers() -> None:
    knee = Knee(64, start=64)
    limits = []
    for second in range(5):
        for _ in range(knee.limit):
            knee.tell(second, second + 0.1, Outcome.REFUSED)
        limits.append(knee.limit)
    assert limits == sorted(limits, reverse=True)
    assert limits[0] <= 33 and limits[-1] <= 4
    seen = keep_busy(Server(slots=60), knee, 300)
    assert seen.goodput(200, 300) >= 0.9 * 60


def test_the_first_refusal_lowers_it_at_once_and_time_outs_count_alike() -> None:
    knee = Knee(64, start=32)
    knee.tell(0, 1, Outcome.REFUSED)
    assert knee.limit == 31
    for _ in range(2):
        knee.tell(0, 2, Outcome.TIMED_OUT)
    assert knee.limit == 30


def test_nothing_begins_before_the_server_wants_it() -> None:
    knee = Knee(64)
    knee.tell(10, 11, Outcome.REFUSED, retry_after=7)
    assert knee.paused_until == 18
    knee.tell(10, 12, Outcome.REFUSED, retry_after=1)
    assert knee.paused_until == 18
    knee.tell(10, 13, Outcome.REFUSED, retry_after=86400)
    assert knee.paused_until == 13 + LONGEST_PAUSE


def test_it_does_not_grow_where_there_is_too_little_to_ask() -> None:
    knee = Knee(64)
    for number in range(400):  # two at once
        knee.tell(number / 2, number / 2 + 1, Outcome.ANSWERED)
    assert knee.limit == START


def test_answers_of_many_tokens_count_for_more() -> None:
    """Goodput is tokens: more requests that are all cut short are no gain."""

    def found(tokens: Callable[[int], int]) -> int:
        knee = Knee(64, start=8)
        now = 0.0
        for _ in range(300):
            limit, now = knee.limit, now + 1
            for _ in range(limit):
                knee.tell(now - 1, now, Outcome.ANSWERED, tokens(limit))
        return knee.limit

    assert found(lambda limit: 100) == 64
    assert found(lambda limit: 3200 // limit) < 16


def test_several_who_share_a_limit_move_it_as_one() -> None:
    """What the one that looks measures stands for all of them."""
    knee = Knee(64, start=20)
    knee.bound(64, 5)
    now = 0.0
    for _ in range(400):  # a server of 40 slots, a quarter of which this process asks for
        now += max(1.0, knee.limit / 40)
        for _ in range(knee.share):
            knee.tell(now - max(1.0, knee.limit / 40), now, Outcome.ANSWERED)
        knee.bound(64, max(1, knee.limit // 4))
    assert 34 <= knee.limit <= 60


EVENTS = st.tuples(
    st.floats(0, 100),
    st.sampled_from(Outcome),
    st.none() | st.integers(-5, 10**9),
    st.none() | st.floats(0, 1e9),
)


@settings(max_examples=200, deadline=None)
@given(
    most=st.integers(1, 512),
    start=st.none() | st.integers(-3, 1000),
    events=st.lists(st.tuples(st.integers(1, 40), EVENTS), max_size=60),
    bounds=st.lists(st.tuples(st.integers(1, 512), st.integers(1, 512)), max_size=5),
)
def test_whatever_happens_it_is_from_one_to_the_maximum(
    most: int, start: int | None, events: list, bounds: list[tuple[int, int]]
) -> None:
    knee, now = Knee(most, start), 0.0
    assert 1 <= knee.limit <= most
    for number, (times, (seconds, outcome, tokens, wish)) in enumerate(events):
        if bounds and number % 12 == 11:
            most, share = bounds[number // 12 % len(bounds)]
            knee.bound(most, share)
            assert 1 <= knee.limit <= most
        now += seconds / 10
        for _ in range(times):
            knee.tell(now - seconds, now, outcome, tokens, wish)
            assert 1 <= knee.limit <= most
            assert knee.paused_until <= now + LONGEST_PAUSE
