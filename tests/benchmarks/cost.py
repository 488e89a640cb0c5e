"""What a process uses."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path


@contextmanager
def metered() -> Iterator[dict[str, float]]:
    """Seconds of processor and of wall time inside the block, once it has ended."""
    found: dict[str, float] = {}
    cpu, wall = time.process_time(), time.perf_counter()
    yield found
    found["cpu_s"] = time.process_time() - cpu
    found["wall_s"] = time.perf_counter() - wall


def apart(prepare: Callable[[], object]) -> None:
    """``prepare()`` in a process of its own: the memory it takes is not that of this one."""
    child = get_context("fork").Process(target=prepare)
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"{prepare.__qualname__} failed.")


def peak_mb(process: int | str = "self") -> float:
    """The most memory that ``process`` ever held resident, in MiB.

    Of the program that runs in it now: ``getrusage`` would begin with that of its parent.
    """
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
