"""Real servers for tests: a PostgreSQL and a Redis of their own, gone afterwards.

Each is a context manager that yields a URL and raises ``Missing`` when the programs are
not installed; the fixtures turn that into a skip with its reason.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from workers.supervisor import dies_with

READY_SECONDS = 60.0


class Missing(Exception):
    """A program that the service needs is not installed; the text names it."""


def program(name: str) -> str:
    """Where ``name`` is: on PATH, or where Debian keeps the programs of PostgreSQL."""
    if found := shutil.which(name):
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not versions:
        raise Missing(f"{name} is not installed (apt-get install postgresql redis-server)")
    return str(versions[-1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(ready: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> float:
    """Wait for ``ready()``; the seconds it took. Fails with ``what`` after ``seconds``."""
    start = monotonic()
    while not ready():
        if monotonic() - start > seconds:
            raise AssertionError(f"Not within {seconds:.0f} s: {what}")
        sleep(0.05)
    return monotonic() - start


@contextmanager
def postgresql(name: str = "portal") -> Iterator[str]:
    """A fresh PostgreSQL without fsync; yields the URL of its empty database ``name``."""
    initdb, postgres, createdb = (program(p) for p in ("initdb", "postgres", "createdb"))
    owner = _unprivileged()
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        if owner:
            shutil.chown(folder, owner)
        data = f"{folder}/data"
        subprocess.run(
            [initdb, "-D", data, "-U", "portal", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True, capture_output=True, user=owner, cwd=folder,
        )  # fmt: skip
        port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "60",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        process = _start([postgres, "-D", data, "-p", str(port), *options], folder, owner)
        try:
            make = [createdb, "-h", "127.0.0.1", "-p", str(port), "-U", "portal", name]
            wait_until(
                lambda: subprocess.run(make, capture_output=True, cwd=folder).returncode == 0,
                "PostgreSQL answers",
            )
            yield f"postgresql://portal@127.0.0.1:{port}/{name}"
        finally:
            process.terminate()
            _end(process)


@contextmanager
def redis(port: int | None = None) -> Iterator[str]:
    """A Redis that keeps nothing on disk; yields its URL."""
    server = program("redis-server")
    port = port or free_port()
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        argv = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = _start(argv, folder, None)
        try:
            wait_until(lambda: _pongs(port), "Redis answers")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            _end(process)


@contextmanager
def stopped(pid: int, how: signal.Signals, argv: list[str] | None = None) -> Iterator[None]:
    """The process ``pid`` ended by the signal ``how``; started again when the block ends.

    ``argv`` is for programs that write another title over theirs. What is started dies with
    this thread.
    """
    proc = Path(f"/proc/{pid}")
    argv = argv or proc.joinpath("cmdline").read_bytes().decode().rstrip("\0").split("\0")
    folder, owner = os.readlink(proc / "cwd"), proc.stat().st_uid
    os.kill(pid, how)
    wait_until(lambda: not _lives(proc), f"process {pid} ends")
    yield
    with Path(folder, "log").open("ab") as log:
        subprocess.Popen(
            argv, stdout=log, stderr=log, user=owner if os.geteuid() == 0 else None, cwd=folder,
            start_new_session=True, preexec_fn=dies_with(os.getpid()),
        )  # fmt: skip


def _lives(proc: Path) -> bool:
    try:
        return ") Z" not in proc.joinpath("stat").read_text()
    except OSError:
        return False


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a PostgreSQL for this session, or a skip."""
    yield from _or_skip(postgresql())


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Redis for this session, or a skip."""
    yield from _or_skip(redis())


def _or_skip(service) -> Iterator[str]:
    try:
        url = service.__enter__()
    except Missing as reason:
        pytest.skip(str(reason))
    try:
        yield url
    finally:
        service.__exit__(None, None, None)


def _unprivileged() -> str | None:
    """PostgreSQL refuses to run as root: the user it shall have then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Missing("PostgreSQL does not run as root and there is no user postgres or nobody")


def _start(argv: list[str], folder: str, owner: str | None) -> subprocess.Popen[bytes]:
    with Path(folder, "log").open("wb") as log:
        return subprocess.Popen(
            argv, stdout=log, stderr=log, user=owner, cwd=folder, start_new_session=True,
            preexec_fn=dies_with(os.getpid()),
        )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _pongs(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
