"""What a process has used so far."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def metered() -> Iterator[dict[str, float]]:
    """Seconds of processor and of wall time inside the block, once it has ended."""
    found: dict[str, float] = {}
    cpu, wall = time.process_time(), time.perf_counter()
    yield found
    found["cpu_s"] = time.process_time() - cpu
    found["wall_s"] = time.perf_counter() - wall


def peak_mb() -> float:
    """The most memory this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
