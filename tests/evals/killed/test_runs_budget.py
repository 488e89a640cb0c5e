"""One budget for two workers at once, which are killed on the way."""

from __future__ import annotations

from time import sleep

import pytest

from tests.evals.killed.installation import CONCURRENCY, PARTS, QUESTION, SAMPLES, Measuring
from tests.services import wait_until

pytestmark = pytest.mark.services
DELAY = 0.2
IN_FLIGHT = CONCURRENCY * PARTS


def test_two_workers_keep_one_budget_whenever_they_are_killed(installation: Measuring) -> None:
    stub = installation.stub
    installation.beat()
    worker = installation.worker(PARTS)
    undisturbed = installation.undisturbed()
    budget = installation.do("used", pk=1)["tokens"] // 2

    stub.reset(delay=DELAY)
    run = installation.do("start", name="disturbed", tokens=budget)
    wait_until(lambda: stub.counts()["requests"] >= 3 * IN_FLIGHT, "requests", 240)
    installation.kill(worker)
    installation.worker(PARTS)
    installation.ended(run, "stopped")
    at_end = stub.counts()["requests"]
    sleep(5 * DELAY)
    later = stub.counts()["requests"] - at_end
    used = installation.do("used", pk=run)
    stored = set(installation.do("stored", pk=run))
    asked = stub.asked(QUESTION)
    found = installation.do("look", pk=run)

    installation.do("resume", pk=run, tokens=10 * budget)
    installation.ended(run, "done")
    installation.tell(
        scenario="budget",
        budget=budget,
        used=used["tokens"],
        beyond=used["tokens"] - budget,
        at_most=IN_FLIGHT * used["largest"],
        requests_after=later,
        stored=len(stored),
    )
    assert later == 0
    assert budget <= used["tokens"] <= budget + IN_FLIGHT * used["largest"]
    assert {part["state"] for part in found["parts"]} <= {"stopped", "done"}
    assert f"budget of {budget:,} tokens" in found["message"]
    # Stored is all that was asked, but for what a killed worker had in flight.
    assert len(stored) < PARTS * SAMPLES
    assert len(set(asked) - stored) <= IN_FLIGHT
    again = stub.asked(QUESTION)
    assert all(again[question] == asked[question] for question in stored)
    assert installation.do("results", pk=run) == undisturbed
