"""Python environments made on demand, each from its own lock file.

Standard library only. Packages come from where pip is configured to find them, never from
an address written here. uv does the work where pip can provide it (a fraction of the time);
when uv fails for any reason, pip does.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = "portal-lock.json"
REPORT_SECONDS = 10.0
TAIL_LINES = 25
Report = Callable[[str], object]


class InstallFailed(Exception):
    """An environment could not be made; the text says what to do and ends with the log."""


def is_ready(home: Path, lock: str) -> bool:
    """Whether ``home`` was completely filled from ``lock`` as it is now, by this Python."""
    try:
        stamp = json.loads((home / STAMP).read_text())
    except (OSError, ValueError):
        return False
    return stamp.get("python") == _python_tag() and stamp.get(lock) == _digest(lock)


def ensure(
    home: Path,
    lock: str,
    *,
    covers: Sequence[str] = (),
    beside: Callable[[Path, Path], None] | None = None,
    report: Report | None = None,
) -> Path:
    """The Python of the environment ``home``, made and filled from ``lock`` when it is not.

    ``covers`` names locks that ``lock`` includes. ``beside(python, log)`` installs what the lock
    leaves out, at the same time. Two processes that start together wait for each other; an install
    that was interrupted is done again. Raises InstallFailed.
    """
    python = home / "bin" / "python"
    if is_ready(home, lock):
        return python
    logs = ROOT / ".envs" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{home.name.lstrip('.')}.log"
    with _alone(logs / f"{home.name.lstrip('.')}.lock"):
        if is_ready(home, lock):
            return python
        (home / STAMP).unlink(missing_ok=True)
        log.write_text("")
        if not python.exists():
            _run([host_python(), "-m", "venv", "--clear", "--without-pip", str(home)], log)
        with _progress(home, lock, report), ThreadPoolExecutor(1) as pool:
            more = pool.submit(beside, python, log.with_suffix(".more.log")) if beside else None
            _install(python, ["--no-deps", "--require-hashes", "-r", str(ROOT / lock)], log)
            if more:
                more.result()
        stamp = {name: _digest(name) for name in (lock, *covers)}
        (home / STAMP).write_text(json.dumps({"python": _python_tag(), **stamp}))
    return python


def pip(python: Path, arguments: Sequence[str], log: Path) -> None:
    """``pip install`` into the environment of ``python`` with the host's pip."""
    command = [host_python(), "-m", "pip", "--python", str(python), "install", *arguments]
    _run([*command, "--no-warn-script-location", "--progress-bar", "off"], log)


def host_python() -> str:
    """The Python that pip is called with: the one this program was started by at first."""
    return os.environ.get("PORTAL_HOST_PYTHON") or sys.executable


def _install(python: Path, arguments: list[str], log: Path) -> None:
    if uv := _uv(log):
        command = [str(uv), "pip", "install", "--python", str(python), *arguments]
        try:
            _run(command, log, uv_environment(pip_settings()))
            return
        except InstallFailed:
            _note(log, "uv failed, going on with pip")
    pip(python, arguments, log)


def _uv(log: Path) -> Path | None:
    """uv in an environment of its own, from wherever pip finds it; None when it does not."""
    home = ROOT / ".envs" / "uv"
    uv = home / "bin" / "uv"
    with _alone(ROOT / ".envs" / "logs" / "uv.lock"):
        if uv.exists():
            return uv
        try:
            _run([host_python(), "-m", "venv", "--clear", "--without-pip", str(home)], log)
            lock = str(ROOT / "requirements-uv.lock")
            pip(home / "bin" / "python", ["--no-deps", "--require-hashes", "-r", lock], log)
        except InstallFailed:
            return None
    return uv if uv.exists() else None


def pip_settings() -> dict[str, list[str]]:
    """Where pip is configured to look: option name → values (``pip config list``)."""
    done = subprocess.run(
        [host_python(), "-m", "pip", "config", "list"], capture_output=True, text=True
    )
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        # Lines like: global.extra-index-url='https://…' or :env:.find-links='…'
        if matched := re.match(r"(?:global|install|:env:)\.([\w-]+)=(.*)$", line):
            name, value = matched[1], "".join(shlex.split(matched[2]))
            found.setdefault(name, []).extend(value.split())
    return found


def uv_environment(settings: dict[str, list[str]]) -> dict[str, str]:
    """Variables that make uv look where pip looks, and nowhere else.

    Not options: an index address may hold a password, and command lines are logged.
    """
    found = {
        # pip leaves out a folder that does not exist, uv fails on it
        name: [v for v in values if not v.startswith("file:") or Path(v[7:]).exists()]
        for name, values in settings.items()
    }
    environment = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # pip's way with several indexes
    for name, variable, separator in (
        ("index-url", "UV_DEFAULT_INDEX", " "),
        ("extra-index-url", "UV_INDEX", " "),
        ("find-links", "UV_FIND_LINKS", ","),
        ("trusted-host", "UV_INSECURE_HOST", " "),
        ("cert", "SSL_CERT_FILE", " "),
        ("no-index", "UV_NO_INDEX", " "),
    ):
        if found.get(name):
            environment[variable] = separator.join(dict.fromkeys(found[name]))
    return environment


def _run(command: Sequence[str], log: Path, extra: dict[str, str] | None = None) -> None:
    """Run ``command`` with its output in ``log``; InstallFailed with the end of it."""
    _note(log, "$ " + shlex.join(command))
    foreign = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {key: value for key, value in os.environ.items() if key not in foreign}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | (extra or {})
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status:
        lines = log.read_text(errors="replace").splitlines()
        tail = "\n".join(lines[-TAIL_LINES:])
        hint = ""
        if "No module named pip" in tail:
            hint = "This Python has no pip. On Debian and Ubuntu: apt-get install python3-pip\n"
        elif "No module named venv" in tail:
            hint = "This Python has no venv module. On Debian: apt-get install python3-venv\n"
        raise InstallFailed(f"{hint}Failed: {shlex.join(command)}\n{tail}\nWhole log: {log}")


def _note(log: Path, line: str) -> None:
    with log.open("a") as file:
        file.write(line + "\n")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _progress(home: Path, lock: str, report: Report | None) -> Iterator[None]:
    """One line that counts installed packages: rewritten on a terminal, else every 10 s."""
    import threading

    total = sum("==" in line for line in (ROOT / lock).read_text().splitlines())
    began = time.monotonic()
    ended = threading.Event()
    rewrites = report is None and sys.stderr.isatty()
    say: Report = report or (lambda line: print(line, file=sys.stderr, flush=True))

    def line() -> str:
        count = min(total, len(list(home.glob("lib/python*/site-packages/*.dist-info"))))
        return (
            f"Installing {home.name}: {count} of {total} packages, {time.monotonic() - began:.0f} s"
        )

    def watch() -> None:
        if not rewrites:
            say(line())
        while not ended.wait(0.5 if rewrites else REPORT_SECONDS):
            if rewrites:
                print(f"\r{line()} ", end="", file=sys.stderr, flush=True)
            else:
                say(line())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if rewrites:
            print(f"\r{line()} ", file=sys.stderr, flush=True)
        else:
            say(line())


def _digest(lock: str) -> str:
    return hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()


def _python_tag() -> str:
    return ".".join(map(str, sys.version_info[:3]))
