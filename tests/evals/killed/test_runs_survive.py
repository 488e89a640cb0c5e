"""Runs under ``kill -9`` and cancel, with real workers, brokers, databases and a real server.

The figures are printed as JSON: ``pytest -rP tests/evals/killed``.
"""

from __future__ import annotations

import random
from collections import Counter
from time import monotonic, sleep

import pytest

from tests.evals.killed.installation import CONCURRENCY, PARTS, QUESTION, SAMPLES, Measuring
from tests.services import wait_until

pytestmark = pytest.mark.services
KILLS = 3
DELAY = 0.2  # seconds the server takes, so that a kill finds requests in flight
IN_FLIGHT = CONCURRENCY * PARTS


def twice(asked: Counter[str]) -> int:
    return sum(times - 1 for times in asked.values())


def test_it_loses_nothing_when_workers_are_killed_at_any_moment(installation: Measuring) -> None:
    seed = random.SystemRandom().randrange(10**6)
    rng = random.Random(seed)
    stub = installation.stub
    installation.beat()
    worker = installation.worker(PARTS)
    undisturbed = installation.undisturbed()

    stub.reset(delay=DELAY)
    run = installation.do("start", name="disturbed")
    kept: list[tuple[set[str], Counter[str]]] = []
    for _ in range(KILLS):
        before = stub.counts()["requests"]
        more = rng.randint(1, PARTS * SAMPLES // (KILLS + 1))
        wait_until(lambda b=before, m=more: stub.counts()["requests"] >= b + m, "requests", 300)
        sleep(rng.random() * DELAY)
        installation.kill(worker)
        sleep(DELAY)  # what the server had begun to read is counted
        kept.append((set(installation.do("stored", pk=run)), stub.asked(QUESTION)))
        worker = installation.worker(PARTS)
    seconds = installation.ended(run, "done")

    asked = stub.asked(QUESTION)
    lost = {question for stored, _ in kept for question in stored} - set(
        installation.do("stored", pk=run)
    )
    repeated = [q for stored, then in kept for q in stored if asked[q] != then[q]]
    found = installation.do("results", pk=run)
    differences = [
        abs(mine[2] - other[2])
        for mine, other in zip(found["scores"], undisturbed["scores"], strict=True)
    ]
    installation.tell(
        scenario="kill -9",
        seed=seed,
        kills=KILLS,
        stored_at_each_kill=[len(stored) for stored, _ in kept],
        asked_twice=twice(asked),
        at_most=KILLS * IN_FLIGHT,
        lost=len(lost),
        largest_score_difference=max(differences),
        seconds_from_last_kill_to_done=round(seconds, 1),
    )
    assert not lost
    assert not repeated  # what was stored before a kill is never asked again
    assert len(asked) == PARTS * SAMPLES
    assert twice(asked) <= KILLS * IN_FLIGHT
    assert found == undisturbed


def test_it_cancels_within_two_seconds_and_goes_on_later(installation: Measuring) -> None:
    stub = installation.stub
    installation.beat()
    installation.worker(PARTS)
    undisturbed = installation.undisturbed()

    stub.reset(delay=DELAY)
    run = installation.do("start", name="disturbed")
    wait_until(lambda: len(installation.do("stored", pk=run)) >= 10, "ten answers", 300)
    started = monotonic()
    installation.do("cancel", pk=run)
    installation.ended(run, "cancelled")
    seconds = monotonic() - started
    at_end = stub.counts()["requests"]
    sleep(5 * DELAY)
    later = stub.counts()["requests"] - at_end
    stored = set(installation.do("stored", pk=run))
    asked_then = stub.asked(QUESTION)

    installation.do("resume", pk=run)
    installation.ended(run, "done")
    asked = stub.asked(QUESTION)
    installation.tell(
        scenario="cancel",
        seconds_to_cancel=round(seconds, 2),
        requests_after=later,
        stored=len(stored),
        asked_twice_after_resume=twice(asked),
        at_most=IN_FLIGHT,
    )
    assert seconds <= 2
    assert later == 0
    assert 10 <= len(stored) < PARTS * SAMPLES
    assert all(asked[question] == asked_then[question] for question in stored)
    assert twice(asked) <= IN_FLIGHT
    assert installation.do("results", pk=run) == undisturbed
