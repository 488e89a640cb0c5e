"""The command lines of the portal's own processes, for ``up``, ``demo`` and tests."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")  # runs a command that must not outlive its starter


def web(host: str, port: int) -> list[str]:
    """The site under ASGI; requests get five seconds to end when it stops."""
    return [
        sys.executable,
        *("-m", "uvicorn", "portal.asgi:application"),
        *("--host", host, "--port", str(port)),
        *("--log-level", "warning", "--no-server-header", "--timeout-graceful-shutdown", "5"),
    ]


def worker(processes: int) -> list[str]:
    """A worker with ``processes`` jobs at a time."""
    return [
        sys.executable,
        *("-m", "celery", "-q", "-A", "workers.celery", "worker"),
        *("--pool", "prefork", "--concurrency", str(processes), "--hostname", "worker@%h"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def beat(schedule: Path) -> list[str]:
    """The clock of the periodic tasks; ``schedule`` is where it remembers the last runs."""
    schedule.parent.mkdir(parents=True, exist_ok=True)
    return [
        sys.executable,
        *("-m", "celery", "-q", "-A", "workers.celery", "beat"),
        *("--schedule", str(schedule), "--pidfile="),
    ]


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def answers(host: str, port: int) -> bool:
    """Whether something accepts connections at ``host:port``."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    try:
        socket.create_connection((reachable, port), timeout=1).close()
    except OSError:
        return False
    return True
