"""``manage.py evaluate`` as shells and CI run it, with and without workers."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals import leaderboard
from evals.management.commands.evaluate import Limit, limit, report, shortcomings
from portal.accounts.models import Project
from tests.evals.killed.installation import Measuring
from tests.evals.making import answer, choice, make_candidate, make_run, make_suite
from tests.evals.stub_server import StubServer
from tests.real import ROOT
from tests.services import wait_until

services = pytest.mark.services
CANARY = "sk-CANARY-evaluate"


@pytest.fixture
def made(stub: StubServer, tmp_path: Path) -> Iterator[Measuring]:
    with Measuring(stub, tmp_path) as installation:
        yield installation


def command(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", "evaluate", "--suite", "small", *arguments]


def environment(made: Measuring) -> dict[str, str]:
    return made.env | {"PORTAL_BOOTSTRAP": "off", "MODEL_KEY": CANARY}


def evaluate(made: Measuring, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(made), capture_output=True, text=True,
        timeout=240,
    )  # fmt: skip


@services
def test_without_workers_it_does_the_work_itself(made: Measuring) -> None:
    endpoint = ("--endpoint", made.stub.base_url, "--api-key-env", "MODEL_KEY")
    done = evaluate(made, *endpoint, "--fail-below", "0.01")
    assert done.returncode == 0, done.stderr
    # The model of this address that is registered already.
    assert done.stdout.splitlines()[0] == "disturbed on small v1, run 1"
    assert "80 of 80" in done.stderr  # plain lines where there is no terminal
    assert "\r" not in done.stderr
    words = next(line for line in done.stdout.splitlines() if line.startswith("words"))
    assert "40 of 40" in words and " – " in words
    assert CANARY not in done.stdout + done.stderr
    assert set(made.stub.counts()["keys"]) == {f"Bearer {CANARY}"}

    asked = made.stub.counts()["requests"]
    again = evaluate(made, *endpoint, "--json", "--fail-below", "words=1")
    assert again.returncode == 1
    found = json.loads(again.stdout)
    assert found["run"] == 1 and found["state"] == "done"
    assert found["overall"]["low"] <= found["overall"]["value"] <= found["overall"]["high"]
    assert [fault.split(":")[0] for fault in found["faults"]] == ["words"]
    assert made.stub.counts()["requests"] == asked  # the result was there


@services
def test_workers_do_the_work_where_there_are_some(made: Measuring) -> None:
    made.beat()
    made.worker()
    wait_until(lambda: "ready" in made.log() or made.log() == "", "a worker")
    done = evaluate(made, "--candidate", "undisturbed")
    assert done.returncode == 0, done.stderr
    assert "evals.Part 1 ends" in made.log()


@services
def test_it_stops_on_a_signal_and_the_same_command_goes_on(made: Measuring) -> None:
    made.stub.reset(delay=0.2)
    process = subprocess.Popen(
        command("--candidate", "undisturbed"), cwd=ROOT, env=environment(made),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: made.stub.counts()["requests"] > 10, "some answers", 120)
    process.send_signal(signal.SIGTERM)
    _out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "is stopped" in said and "repeat the command" in said
    assert "Traceback" not in said
    stored = made.do("stored", pk=1)
    assert 0 < len(stored) < 80
    assert made.do("look", pk=1)["state"] == "cancelled"

    made.stub.reset()
    assert evaluate(made, "--candidate", "undisturbed").returncode == 0
    asked = made.stub.asked(r"((?:choice|answer) No \d+)")
    assert not set(stored) & set(asked)


@services
def test_a_terminal_sees_a_bar(made: Measuring) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))  # a new one has no columns at all
    process = subprocess.Popen(
        command("--candidate", "undisturbed"), cwd=ROOT, env=environment(made),
        stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass  # the other side has closed
    os.close(ours)
    assert process.wait(timeout=60) == 0, shown
    assert b"80/80" in shown and b"\r" in shown


@services
def test_a_wrong_argument_is_told_with_the_way_out(made: Measuring) -> None:
    wrong: list[tuple[list[str], str]] = [
        (["--endpoint", "http://10.9.9.9/v1"], "PORTAL_OUTBOUND_ALLOW"),
        (["--candidate", "nobody"], "There are: "),
        (["--candidate", "disturbed", "--project", "x"], "There is no project 'x'"),
        (["--candidate", "disturbed", "--fail-below", "x=0.5"], "It has: colours, overall, words"),
        (["--candidate", "disturbed", "--fail-below", "7"], "no share from 0 to 1"),
        (["--candidate", "disturbed", "--language", "xx"], "It has: de, en"),
        ([], "either --endpoint or --candidate"),
    ]
    for arguments, says in wrong:
        done = evaluate(made, *arguments)
        assert done.returncode == 2, arguments
        assert says in done.stderr, arguments
        assert "Traceback" not in done.stderr


def test_limits_are_read() -> None:
    assert limit("0.5") == Limit("overall", 0.5)
    assert limit("words=1") == Limit("words", 1.0)


def found(**changes: Any) -> dict[str, Any]:
    score = {"benchmark": "words", "value": 0.5, "valid": True, "answered": 8, "asked": 8}
    return {
        "run": 1, "state": "done", "message": "", "overall": {"value": 0.5}, "scores": [score],
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "limits", "count"),
    [
        ({}, [], 0),
        ({}, [Limit("overall", 0.5), Limit("words", 0.5)], 0),
        ({}, [Limit("overall", 0.51)], 1),
        ({"overall": None}, [Limit("overall", 0.1)], 1),
        ({"state": "failed", "message": "away"}, [], 1),
        ({"scores": []}, [Limit("words", 0)], 1),
    ],
)
def test_what_falls_short_is_said(changes: dict[str, Any], limits: list[Limit], count: int) -> None:
    assert len(list(shortcomings(found(**changes), limits))) == count


def test_score_and_limit_are_told_on_the_same_scale() -> None:
    (fault,) = shortcomings(found(overall={"value": 0.1312}), [Limit("overall", 0.7)])
    assert fault == "overall: 13.1 is below 70.0, both out of 100."
    (close,) = shortcomings(found(overall={"value": 0.69998}), [Limit("overall", 0.7)])
    assert close == "overall: 69.9980 is below 70.0000, both out of 100."


@pytest.mark.django_db
def test_the_overall_interval_is_that_of_the_leaderboard(project: Project) -> None:
    suite = make_suite(project, choice(), answer(), choice("more", language="da"))
    values = {
        name: [float(number % 7 < good) for number in range(41)] + [None]
        for name, good in (("colours", 2), ("words", 5), ("more", 3))
    }
    run = make_run(make_candidate(project), suite, values)
    (row,) = leaderboard.board(suite, leaderboard.View()).rows
    overall = report(run)["overall"]
    assert (overall["value"], overall["low"], overall["high"]) == row.overall
