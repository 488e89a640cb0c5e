"""The broker of files: many processes at once, nothing lost, nothing twice."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections import Counter
from pathlib import Path
from queue import Empty
from time import monotonic

import pytest
from kombu import Connection, Exchange, Queue

import workers.celery  # noqa: F401 - registers embedded://

MESSAGES, PRODUCERS, CONSUMERS = 2000, 4, 3
QUEUE = Queue("jobs", Exchange("jobs"), "jobs")
fork = multiprocessing.get_context("fork")


def produce(url: str, numbers: range) -> None:
    with Connection(url) as connection:
        producer = connection.Producer()
        for number in numbers:
            producer.publish(
                {"n": number}, exchange=QUEUE.exchange, routing_key="jobs", declare=[QUEUE]
            )


def consume(url: str, target: Path, all_sent: Path) -> None:
    with (
        Connection(url) as connection,
        connection.SimpleQueue(QUEUE) as queue,
        target.open("w") as file,
    ):
        while True:
            last_look = all_sent.exists()
            try:
                message = queue.get(timeout=0.5)
            except Empty:
                if last_look:
                    return
                continue
            message.ack()
            file.write(f"{message.payload['n']}\n")


@pytest.mark.services
def test_it_delivers_each_of_2000_messages_once_to_competing_consumers(tmp_path: Path) -> None:
    url = f"embedded://{tmp_path / 'broker'}"
    share = MESSAGES // PRODUCERS
    producers = [
        fork.Process(target=produce, args=(url, range(n * share, (n + 1) * share)))
        for n in range(PRODUCERS)
    ]
    targets, all_sent = [tmp_path / f"got-{n}" for n in range(CONSUMERS)], tmp_path / "all-sent"
    consumers = [fork.Process(target=consume, args=(url, t, all_sent)) for t in targets]
    start = monotonic()
    for process in [*producers, *consumers]:
        process.start()
    for process in producers:
        process.join()
    all_sent.touch()
    for process in consumers:
        process.join()
    print(f"{MESSAGES} messages in {monotonic() - start:.1f} s")
    assert not any(process.exitcode for process in [*producers, *consumers])
    got = Counter(int(line) for target in targets for line in target.read_text().split())
    assert got == Counter(range(MESSAGES))
    assert sum(bool(target.read_text()) for target in targets) > 1  # they did compete
    assert not list((tmp_path / "broker" / "partial").iterdir())


@pytest.fixture
def connection(tmp_path: Path):
    with Connection(f"embedded://{tmp_path / 'broker'}") as made:
        yield made


def test_it_keeps_the_order_of_one_producer(connection: Connection) -> None:
    queue = connection.SimpleQueue(QUEUE)
    for number in range(20):
        queue.put({"n": number})
    assert queue.qsize() == 20
    assert [queue.get(timeout=1).payload["n"] for _ in range(20)] == list(range(20))


def test_it_drops_a_damaged_message_and_goes_on(connection: Connection, tmp_path: Path) -> None:
    queue = connection.SimpleQueue(QUEUE)
    (tmp_path / "broker" / "queues" / "jobs.q" / "0").write_text('{"half')
    queue.put({"n": 1})
    assert queue.get(timeout=1).payload == {"n": 1}


def test_it_keeps_messages_for_a_queue_while_nobody_listens(tmp_path: Path) -> None:
    url = f"embedded://{tmp_path / 'broker'}"
    produce(url, range(3))
    with Connection(url) as later:
        assert later.SimpleQueue(QUEUE).qsize() == 3


def test_it_broadcasts_to_every_bound_queue(connection: Connection) -> None:
    everyone = Exchange("control", type="fanout")
    ears = [Queue(f"ear-{n}/@ä", everyone)(connection.channel()) for n in range(2)]
    for ear in ears:
        ear.declare()
    connection.Producer().publish({"stop": True}, exchange=everyone)
    assert [ear.get(no_ack=True).payload for ear in ears] == [{"stop": True}] * 2


def test_it_puts_back_what_a_closing_consumer_had_not_acknowledged(tmp_path: Path) -> None:
    url = f"embedded://{tmp_path / 'broker'}"
    produce(url, range(1))
    with Connection(url) as first:
        assert first.SimpleQueue(QUEUE).get(timeout=1)
    with Connection(url) as second:
        assert second.SimpleQueue(QUEUE).get(timeout=1).payload == {"n": 0}


def test_it_purges_and_deletes_queues(connection: Connection, tmp_path: Path) -> None:
    queue = connection.SimpleQueue(QUEUE)
    queue.put({"n": 1})
    assert queue.clear() == 1
    queue.queue.delete()
    assert not (tmp_path / "broker" / "queues" / "jobs.q").exists()


def test_its_files_are_for_their_owner_only(connection: Connection, tmp_path: Path) -> None:
    connection.SimpleQueue(QUEUE).put({"n": 1})
    assert os.stat(tmp_path / "broker" / "queues").st_mode & 0o077 == 0
    message = next((tmp_path / "broker" / "queues" / "jobs.q").iterdir())
    assert json.loads(message.read_text())["content-type"] == "application/json"
