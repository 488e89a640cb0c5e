"""Jobs and the deaths of their workers, with real processes, brokers and databases."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from time import monotonic

import pytest

from tests.services import free_port, redis, wait_until
from tests.workers.installation import Installation

pytestmark = pytest.mark.services


def test_it_finishes_every_job_after_kill_9_of_the_worker(installation: Installation) -> None:
    installation.beat()
    worker = installation.worker(2)
    # Two run, the others wait: one of them prefetched by the worker that dies.
    pks = [installation.do("enqueue", items=30, pause=0.1) for _ in range(4)]
    wait_until(lambda: len(installation.do("stops", pk=pks[0])) >= 8, "eight stops")
    installation.kill(worker)
    installation.worker(2)
    start = monotonic()
    for pk in pks:
        installation.wait_for(pk, "done")
    print(f"four jobs finished {monotonic() - start:.1f} s after the restart")
    for pk in pks:
        assert installation.do("stops", pk=pk) == list(range(30))
        asked = installation.asked(pk)
        assert set(asked) == set(range(30))
        assert asked.total() <= 31  # at most the one in flight was begun twice
        assert installation.do("look", pk=pk)["receipts"] >= 1
    assert [installation.do("look", pk=pk)["done"] for pk in pks] == [30] * 4


def test_it_cancels_a_running_job_within_two_seconds(installation: Installation) -> None:
    installation.worker(1)
    pk = installation.do("enqueue", items=1000, pause=0.05)
    wait_until(lambda: installation.do("stops", pk=pk), "the first stop")
    installation.do("cancel", pk=pk)
    seconds = installation.wait_for(pk, "cancelled", 5)
    print(f"cancelled after {seconds:.2f} s")
    assert seconds < 2
    made = installation.do("stops", pk=pk)
    assert made and installation.do("look", pk=pk)["done"] == len(made)


def test_it_resumes_a_cancelled_job_and_repeats_nothing(laptop: Installation) -> None:
    laptop.worker(1)
    pk = laptop.do("enqueue", items=20, pause=0.1)
    wait_until(lambda: len(laptop.do("stops", pk=pk)) >= 5, "five stops")
    laptop.do("cancel", pk=pk)
    laptop.wait_for(pk, "cancelled", 5)
    laptop.do("resume", pk=pk)
    laptop.wait_for(pk, "done")
    assert laptop.do("stops", pk=pk) == list(range(20))
    assert laptop.asked(pk).total() <= 21


def test_it_gives_jobs_back_at_once_when_the_worker_is_told_to_stop(
    laptop: Installation,
) -> None:
    worker = laptop.worker(1)
    pk = laptop.do("enqueue", items=30, pause=0.1)
    wait_until(lambda: laptop.do("stops", pk=pk), "the first stop")
    start = monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=15)
    print(f"worker stopped in {monotonic() - start:.1f} s")
    found = laptop.do("look", pk=pk)
    assert (found["state"], found["owner"], found["attempts"]) == ("queued", "", 0)
    laptop.worker(1)  # no sweeper runs here: the job's own poke waits in the broker
    laptop.wait_for(pk, "done")
    assert laptop.do("stops", pk=pk) == list(range(30))


def test_it_leaves_no_busy_process_behind_when_the_worker_dies(laptop: Installation) -> None:
    worker = laptop.worker(1)
    pk = laptop.do("enqueue", items=1000, pause=0.1)
    wait_until(lambda: laptop.do("stops", pk=pk), "the first stop")
    worker.kill()  # the main process alone
    worker.wait()
    wait_until(lambda: not _group_exists(worker.pid), "the group is empty", 5)
    assert len(laptop.do("stops", pk=pk)) < 1000
    laptop.do("cancel", pk=pk)  # for the tests after this one


def test_it_tells_people_why_a_job_failed_and_nothing_else(laptop: Installation) -> None:
    laptop.worker(1)
    refused, broken = (laptop.do("enqueue", mode=mode) for mode in ("refuse", "break"))
    laptop.wait_for(refused, "failed")
    laptop.wait_for(broken, "failed")
    assert laptop.do("look", pk=refused)["message"] == "The shop is closed."
    message = laptop.do("look", pk=broken)["message"]
    assert "unexpected error" in message and "secret" not in message
    assert "ZeroDivisionError: secret detail" in laptop.log()


def test_it_keeps_a_job_that_was_queued_while_the_broker_was_away(tmp_path: Path) -> None:
    port = free_port()
    with Installation(tmp_path, broker_url=f"redis://127.0.0.1:{port}/0") as installation:
        installation.do("sweep")  # imports done
        start = monotonic()
        pk = installation.do("enqueue", items=3)
        assert monotonic() - start < 2  # a request must not hang on it
        assert installation.state(pk) == "queued"
        with redis(port):
            installation.beat()
            installation.worker(1)
            installation.wait_for(pk, "done")


def _group_exists(pgid: int) -> bool:
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    return True
