"""The supervisor with real processes: restart, stop, and no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from tests.services import wait_until
from workers.supervisor import Supervisor, SupervisorError

pytestmark = pytest.mark.services
ROOT = Path(__file__).resolve().parents[2]


def child(folder: Path, name: str = "child", *, on_term: str = "raise SystemExit") -> list[str]:
    """A process with a busy child of its own; writes both numbers, then runs on."""
    code = f"""
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: exec({on_term!r}))
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("started ä", flush=True)
with open({str(folder / name)!r}, "a") as file:
    file.write(f"{{os.getpid()}} {{helper.pid}}\\n")
while True:
    time.sleep(0.1)
"""
    return [sys.executable, "-c", code]


def numbers(folder: Path, name: str = "child") -> list[int]:
    path = folder / name
    return [int(number) for number in path.read_text().split()] if path.exists() else []


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def started(folder: Path, count: int = 2, name: str = "child") -> Callable[[], bool]:
    return lambda: len(numbers(folder, name)) >= count


def test_it_prefixes_each_line_with_the_name(tmp_path: Path) -> None:
    lines: list[str] = []
    with Supervisor(out=lines.append) as supervisor:
        supervisor.add("web", child(tmp_path, "web"), ready=started(tmp_path, name="web"))
        supervisor.add("worker", child(tmp_path), ready=started(tmp_path))
        supervisor.start()
    assert "web    | started ä" in lines
    assert "worker | started ä" in lines


def test_it_starts_a_killed_child_again(tmp_path: Path) -> None:
    with Supervisor(out=lambda _: None) as supervisor:
        supervisor.add("web", child(tmp_path), ready=started(tmp_path))
        supervisor.start()
        os.kill(numbers(tmp_path)[0], signal.SIGKILL)
        seconds = wait_until(started(tmp_path, 4), "a new child", 20)
        print(f"back after {seconds:.1f} s")
        first, helper, second, _ = numbers(tmp_path)
        assert second != first and gone(helper)  # what the dead child had started is gone too


def test_it_waits_longer_before_each_new_start() -> None:
    lines: list[str] = []
    with Supervisor(out=lines.append) as supervisor:
        supervisor.add("web", [sys.executable, "-c", "raise SystemExit(3)"])
        supervisor.start()
        wait_until(lambda: sum("starting again" in line for line in lines) >= 3, "three ends", 30)
    pauses = [line.rsplit(" in ", 1)[1] for line in lines if "starting again" in line]
    assert pauses[:3] == ["0.5 s", "1 s", "2 s"]
    assert any("web ended (3)" in line for line in lines)


def test_it_leaves_no_process_after_stop(tmp_path: Path) -> None:
    with Supervisor(out=lambda _: None) as supervisor:
        supervisor.add("web", child(tmp_path), ready=started(tmp_path))
        supervisor.start()
    wait_until(lambda: all(map(gone, numbers(tmp_path))), "nothing is left", 5)


def test_it_tells_all_at_once_to_stop(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with Supervisor(out=lambda _: None) as supervisor:
        for name in ("web", "worker"):
            note = (
                f"import time; open({str(told)!r}, 'a').write(f'{{time.monotonic()}} '); "
                "time.sleep(3); raise SystemExit"
            )
            argv = child(tmp_path, name, on_term=note)
            supervisor.add(name, argv, ready=started(tmp_path, name=name))
        supervisor.start()
    first, second = map(float, told.read_text().split())
    assert abs(second - first) < 2  # neither waited for the other's three seconds


def test_it_ends_a_child_that_does_not_listen(tmp_path: Path) -> None:
    with Supervisor(out=lambda _: None, grace=0.5) as supervisor:
        supervisor.add("web", child(tmp_path, on_term="pass"), ready=started(tmp_path))
        supervisor.start()
        start = monotonic()
    assert monotonic() - start < 10
    wait_until(lambda: all(map(gone, numbers(tmp_path))), "nothing is left", 5)


def test_it_does_not_stop_what_others_started(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        with Supervisor(out=lambda _: None) as supervisor:
            supervisor.add("web", child(tmp_path), ready=started(tmp_path))
            supervisor.start()
        assert other.poll() is None
        other.kill()


def test_it_says_which_child_did_not_get_ready() -> None:
    with Supervisor(out=lambda _: None) as supervisor:
        supervisor.add("web", [sys.executable, "-c", "pass"], ready=lambda: False, restart=False)
        with pytest.raises(SupervisorError, match="web ended before it was ready"):
            supervisor.start()


def test_it_says_which_program_is_missing() -> None:
    lines: list[str] = []
    with Supervisor(out=lines.append) as supervisor:
        supervisor.add("web", ["/no/such/program"], restart=False)
        supervisor.start()
        wait_until(lambda: bool(lines), "a line", 10)
        supervisor.wait()
    assert "web cannot start" in lines[0]


RUN = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}]
from tests.workers.test_supervisor import child, started
from workers.supervisor import Supervisor
folder = Path({folder!r})
with Supervisor() as supervisor:
    supervisor.add("web", child(folder), ready=started(folder))
    supervisor.start()
    print("ready", flush=True)
    supervisor.wait()
print("left", flush=True)
"""


@pytest.fixture
def supervisor_process(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", RUN.format(root=str(ROOT), folder=str(tmp_path))],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_until(started(tmp_path), "the child runs", 30)
    with process:
        yield process
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stops_everything_on_a_signal(
    supervisor_process: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    assert supervisor_process.stdout
    while supervisor_process.stdout.readline() != "ready\n":
        pass
    supervisor_process.send_signal(number)
    assert "left" in supervisor_process.communicate(timeout=20)[0]
    wait_until(lambda: all(map(gone, numbers(tmp_path))), "nothing is left", 5)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the parent death signal")
def test_its_children_die_with_it_on_kill_9(
    supervisor_process: subprocess.Popen[str], tmp_path: Path
) -> None:
    supervisor_process.kill()
    supervisor_process.wait()
    wait_until(lambda: gone(numbers(tmp_path)[0]), "the child is gone", 5)
    os.killpg(numbers(tmp_path)[0], signal.SIGKILL)  # its helper knows no supervisor
