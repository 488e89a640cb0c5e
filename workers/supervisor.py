"""Several processes in the foreground, one readable log, nothing left behind.

    with Supervisor() as processes:
        processes.add("web", [...], ready=answers)
        processes.start()
        processes.wait()

Leaving the block stops what was started, all at once. SIGINT, SIGTERM and SIGHUP
leave it, quietly; ``interrupted`` tells.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, sleep
from types import FrameType, TracebackType
from typing import Any, Self

GRACE_SECONDS = 10.0  # after SIGTERM: finish what you do
COLD_SECONDS = 3.0  # after SIGQUIT: just tidy up; then SIGKILL
STEADY_SECONDS = 30.0  # a process that lived this long starts its backoff anew
LONGEST_PAUSE = 30.0
COLOURS = (36, 33, 35, 32, 34, 31)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_PDEATHSIG = 1

Out = Callable[[str], Any]


class SupervisorError(Exception):
    """A process could not be started or did not get ready; the text names it."""


@dataclass
class Child:
    """One named process and what to do with it."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], bool] | None
    restart: bool
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.5
    start_at: float | None = 0.0  # monotonic; None: running, or ended for good
    reader: threading.Thread | None = field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None


class Supervisor:
    """Starts, watches and stops its children; they die with it even on ``kill -9`` (Linux)."""

    def __init__(self, out: Out | None = None, grace: float = GRACE_SECONDS) -> None:
        self._out = out or partial(print, flush=True)
        self._grace = grace
        self._children: list[Child] = []
        self._printing = threading.Lock()
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._keeper: threading.Thread | None = None
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.interrupted = False
        self._stopping = False
        self._hurry = False
        self._stopped = threading.Event()
        self._handlers: dict[signal.Signals, Any] = {}

    def add(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        ready: Callable[[], bool] | None = None,
        restart: bool = True,
    ) -> None:
        """Name a process to run. ``env`` is added to the environment of this process.

        ``ready`` is asked again and again by ``start`` until it is true; ``restart``
        starts the process anew, with growing pauses, when it ends by itself.
        """
        self._children.append(Child(name, list(argv), dict(env or {}), ready, restart))

    def start(self, timeout: float = 120.0) -> None:
        """Start everything and return when all are ready.

        Raises ``SupervisorError`` after ``timeout`` seconds, or at once when a process
        ended before it was ready and is not to be restarted.
        """
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, name="supervisor", daemon=True)
            self._keeper.start()
        deadline = monotonic() + timeout
        for child in self._children:
            while child.ready and not (child.alive and child.ready()):
                if child.process and not child.alive and not child.restart:
                    raise SupervisorError(f"{child.name} ended before it was ready")
                if monotonic() > deadline:
                    raise SupervisorError(f"{child.name} was not ready after {timeout:.0f} s")
                sleep(0.1)

    def wait(self) -> None:
        """Stay until a signal comes, or no process runs or will run."""
        while self._has_work():
            sleep(0.2)

    def stop(self) -> None:
        """Stop all children at once: warm, then cold, then by force."""
        self._stopping = True  # a further signal now only hurries
        if self._keeper is None or self._stopped.is_set():
            return
        self._say("stopping")
        self._orders.put(self._stop_all)
        while not self._stopped.wait(0.2):
            if not self._keeper.is_alive():
                break
        for child in self._children:
            if child.reader:
                child.reader.join(timeout=2)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {name: signal.signal(name, self._on_signal) for name in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        try:
            self.stop()
        finally:
            for name, handler in self._handlers.items():
                signal.signal(name, handler)
        return self.interrupted and kind is KeyboardInterrupt

    def _has_work(self) -> bool:
        keeping = self._keeper is not None and self._keeper.is_alive()
        return keeping and any(c.alive or c.start_at is not None for c in self._children)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted or self._stopping:
            self._hurry = True
            return
        self.interrupted = True
        raise KeyboardInterrupt

    # What follows runs in the keeper thread alone. It forks every child and lives
    # longer than they do: the parent death signal follows the thread, not the process.

    def _keep(self) -> None:
        while not self._stopped.is_set():
            for child in self._children:
                if child.process and child.alive and self._has_ended(child):
                    self._reap(child)
                    self._plan_restart(child)
                if child.start_at is not None and monotonic() >= child.start_at:
                    self._spawn(child)
            try:
                self._orders.get(timeout=0.1)()
            except queue.Empty:
                continue

    def _spawn(self, child: Child) -> None:
        child.start_at = None
        child.started = monotonic()
        try:
            child.process = subprocess.Popen(
                child.argv,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **child.env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone
                preexec_fn=dies_with(os.getpid()),
            )
        except OSError as error:
            self._say(f"{child.name} cannot start: {error}")
            self._plan_restart(child)
            return
        child.reader = threading.Thread(
            target=self._read, args=(child, child.process), name=child.name, daemon=True
        )
        child.reader.start()

    def _plan_restart(self, child: Child) -> None:
        code = child.process.returncode if child.process else "?"
        if not child.restart:
            self._say(f"{child.name} ended ({code})")
            return
        if monotonic() - child.started > STEADY_SECONDS:
            child.pause = 0.5
        self._say(f"{child.name} ended ({code}); starting again in {child.pause:g} s")
        child.start_at = monotonic() + child.pause
        child.pause = min(LONGEST_PAUSE, child.pause * 2)

    def _stop_all(self) -> None:
        running = [child for child in reversed(self._children) if child.alive]
        try:
            for child in self._children:
                child.start_at = None
            for child in running:  # all at once: their goodbyes take seconds each
                assert child.process
                os.kill(child.process.pid, signal.SIGTERM)
            deadline = monotonic() + self._grace
            for child in running:
                self._finish(child, deadline)
        finally:
            self._stopped.set()

    def _finish(self, child: Child, deadline: float) -> None:
        """Await the end of a child that has its signal: warm, then cold, then by force."""
        assert child.process
        if not self._has_ended(child):
            self._say(f"waiting for {child.name} to end")
        while monotonic() < deadline and not self._hurry and not self._has_ended(child):
            sleep(0.05)
        if not self._has_ended(child):
            os.kill(child.process.pid, signal.SIGQUIT)
            cold = monotonic() + COLD_SECONDS
            while monotonic() < cold and not self._has_ended(child):
                sleep(0.05)
        self._reap(child)

    @staticmethod
    def _has_ended(child: Child) -> bool:
        """Whether the process has ended, without reaping it: its number stays ours."""
        assert child.process
        state = os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return state is not None

    @staticmethod
    def _reap(child: Child) -> None:
        """End what is left of the child's session, then collect its exit status."""
        assert child.process
        os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()

    def _read(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                self._print(child, line.decode(errors="replace").rstrip())

    def _print(self, child: Child, line: str) -> None:
        width = max(len(other.name) for other in self._children)
        prefix = f"{child.name:<{width}} |"
        if self._colour:
            colour = COLOURS[self._children.index(child) % len(COLOURS)]
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        with self._printing:
            self._out(f"{prefix} {line}")

    def _say(self, text: str) -> None:
        with self._printing:
            self._out(f"· {text}")


def dies_with(parent: int) -> Callable[[], None] | None:
    """What a child runs before its program so that it dies with ``parent`` (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)  # loaded here: nothing but two system calls after the fork

    def prepare() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died between the fork and the line above
            os._exit(1)

    return prepare
