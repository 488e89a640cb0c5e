"""Run a command that must not outlive who started it: ``python leash.py COMMAND …``.

Started as leader of its own process group, with a pipe for standard input that nobody
writes to. When the pipe closes (whoever held it is gone, even by ``kill -9``), on SIGTERM,
or when the command ends, the whole group ends: SIGTERM, 15 seconds, SIGKILL.
A pipe, because the kernel's parent-death signal goes by the *thread* that started the child.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 15


def main(command: list[str]) -> None:
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def watch_pipe() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1024):
                pass
        ending.set()

    def watch_child() -> None:
        print(f"ended with status {child.wait()}", flush=True)
        ending.set()

    for watch in (watch_pipe, watch_child):
        threading.Thread(target=watch, daemon=True).start()
    ending.wait()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
