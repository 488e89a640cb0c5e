"""Runs of schedules while clocks race and are killed: one for each time, never two, never none."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.evals.killed.installation import Measuring
from tests.workers.installation import ROOT

pytestmark = pytest.mark.services


def test_many_clocks_at_once_start_one_run(installation: Measuring) -> None:
    schedule = installation.do("schedule", name="disturbed")
    assert installation.do("tick", racers=6) == []
    found = installation.do("fired", pk=schedule)
    assert len(found["runs"]) == 1
    assert found["outcomes"] == [["started", found["runs"][0]]]


@pytest.mark.parametrize(("moment", "kept"), [("begun", 0), ("written", 1)])
def test_a_clock_that_is_killed_leaves_all_of_it_or_nothing_and_two_go_on(
    installation: Measuring, moment: str, kept: int
) -> None:
    schedule = installation.do("schedule", name="disturbed")
    clock = [sys.executable, "-m", "tests.evals.killed.dying_clock", moment]
    killed = subprocess.run(clock, cwd=ROOT, env=installation.env, check=False)
    assert killed.returncode == -signal.SIGKILL
    left = installation.do("fired", pk=schedule)
    assert len(left["runs"]) == len(left["outcomes"]) == kept
    assert left["due"] == (not kept)

    for clock_name in ("beat", "beat-2"):
        installation.beat(clock_name)
    installation.worker(2)
    installation.due_no_more(schedule)
    found = installation.do("fired", pk=schedule)
    assert len(found["runs"]) == 1
    installation.ended(found["runs"][0], "done")
    assert installation.do("fired", pk=schedule)["outcomes"] == [["started", found["runs"][0]]]
