"""Python environments made on demand, each from its own lock file.

Standard library only. Packages come from where pip is configured to find them, never from
an address written here. uv does the work where pip can provide it (a fraction of the time);
when uv fails for any reason, pip does.
"""

from __future__ import annotations

import ast
import fcntl
import functools
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
PIP_WITH_PYTHON_OPTION = (22, 3)  # the first pip that installs into another environment
# pip's options in uv's terms.
IN_UV = {
    "index-url": ("UV_DEFAULT_INDEX",),
    "extra-index-url": ("UV_INDEX",),
    "find-links": ("UV_FIND_LINKS",),
    "no-index": ("UV_NO_INDEX",),
    "no-cache-dir": ("UV_NO_CACHE",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
}
# pip's options that change nothing about where packages come from.
HARMLESS = {
    "break-system-packages", "config-file", "disable-pip-version-check", "no-color", "no-compile",
    "no-input", "no-python-version-warning", "no-warn-script-location", "progress-bar", "quiet",
    "require-virtualenv", "retries", "root-user-action", "verbose",
}  # fmt: skip
Report = Callable[[str], object]


class InstallFailed(Exception):
    """An environment could not be made; the text says what to do and ends with the log."""


def is_ready(home: Path, lock: str) -> bool:
    """Whether ``home`` was completely filled from ``lock`` as it is now, by this Python."""
    stamp = _stamp(home)
    return stamp.get("python") == _python_tag() and stamp.get(lock) == _digest(lock)


def ensure(
    home: Path,
    lock: str,
    *,
    covers: Sequence[str] = (),
    beside: Callable[[Path, Path], None] | None = None,
    after: Callable[[Path], None] | None = None,
    report: Report | None = None,
) -> Path:
    """The Python of the environment ``home``, made and filled from ``lock`` when it is not.

    ``covers`` names locks that ``lock`` includes. ``beside(python, log)`` installs what the lock
    leaves out, at the same time; ``after(python)`` has the last word and may raise, too. Two
    processes that start together wait for each other. A changed lock is installed over the old
    one; an install that was interrupted begins anew, because a half-written package looks
    complete to pip. Raises InstallFailed.
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
        complete = _stamp(home).get("python") == _python_tag() and python.exists()
        (home / STAMP).unlink(missing_ok=True)
        log.write_text("")
        if not complete:
            _new(home, log)
        with _progress(home, lock, report), ThreadPoolExecutor(1) as pool:
            more = pool.submit(beside, python, log.with_suffix(".more.log")) if beside else None
            install(python, ["--no-deps", "--require-hashes", "-r", str(ROOT / lock)], log)
            if more:
                more.result()
        if after:
            after(python)
        stamp = {name: _digest(name) for name in (lock, *covers)}
        (home / STAMP).write_text(json.dumps({"python": _python_tag(), **stamp}))
    return python


def install(python: Path, arguments: Sequence[str], log: Path) -> None:
    """``pip install`` into the environment of ``python``, done by uv where that is possible."""
    pip = _pip(python, log)
    found = uv_environment(pip_settings(pip))
    if found is not None and (uv := _uv(log)):
        try:
            _run([str(uv), "pip", "install", "--python", str(python), *arguments], log, found)
            return
        except InstallFailed:
            _note(log, "uv failed, going on with pip")
    _pip_install(pip, arguments, log)


def _pip_install(pip: list[str], arguments: Sequence[str], log: Path) -> None:
    # Compiling every module of every package took 40 of 129 CPU seconds; most are never used.
    quiet = ["--no-compile", "--no-warn-script-location", "--progress-bar", "off"]
    _run([*pip, "install", *quiet, *arguments], log)


def _pip(python: Path, log: Path) -> list[str]:
    """The command line of a pip that works on the environment of ``python``.

    The one this program was called with, so that its configuration counts; the environment
    gets one of its own only where there is no other. Raises InstallFailed.
    """
    makers = (_maker(), sys.executable, getattr(sys, "_base_executable", ""))
    for maker in dict.fromkeys(filter(None, makers)):
        if _pip_version(maker) >= PIP_WITH_PYTHON_OPTION:
            return [maker, "-m", "pip", "--python", str(python)]
    if not _pip_version(str(python)):
        _pip_version.cache_clear()
        try:
            _run([str(python), "-m", "ensurepip"], log)
        except InstallFailed as error:
            raise InstallFailed(
                "Packages cannot be installed: this Python has no pip (22.3 or newer) and no "
                "ensurepip.\nOn Debian and Ubuntu: apt-get install python3-pip"
            ) from error
    return [str(python), "-m", "pip"]


@functools.cache
def _pip_version(python: str) -> tuple[int, ...]:
    """() where there is no pip."""
    command = [python, "-m", "pip", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, env=_clean_environment())
    matched = re.match(r"pip (\d+)\.(\d+)", done.stdout)
    return (int(matched[1]), int(matched[2])) if matched and done.returncode == 0 else ()


def _maker() -> str:
    """The Python that environments are made with: the one this program was called with."""
    return os.environ.get("PORTAL_HOST_PYTHON") or sys.executable


def _new(home: Path, log: Path) -> None:
    """An empty environment, without pip: Debian's Python cannot put one there."""
    _run([_maker(), "-m", "venv", "--clear", "--without-pip", str(home)], log)


def _uv(log: Path) -> Path | None:
    """uv in an environment of its own, from wherever pip finds it; None when it does not."""
    home = ROOT / ".envs" / "uv"
    uv = home / "bin" / "uv"
    with _alone(ROOT / ".envs" / "logs" / "uv.lock"):
        if uv.exists():
            return uv
        try:
            _new(home, log)
            pip = _pip(home / "bin" / "python", log)
            lock = str(ROOT / "requirements-uv.lock")
            _pip_install(pip, ["--no-deps", "--require-hashes", "-r", lock], log)
        except InstallFailed:
            return None
    return uv if uv.exists() else None


def pip_settings(pip: Sequence[str]) -> dict[str, list[str]]:
    """How pip is configured (``pip config list``): option name → values."""
    done = subprocess.run(
        [*pip, "config", "list"], capture_output=True, text=True, env=_clean_environment()
    )
    return parse_settings(done.stdout)


def parse_settings(listed: str) -> dict[str, list[str]]:
    """The output of ``pip config list``; a variable replaces what the files say, as in pip."""
    found: dict[str, dict[str, list[str]]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        # Lines like: global.extra-index-url='https://…' or :env:.find-links='…'
        if matched := re.match(r"(global|install|:env:)\.([\w-]+)=(.*)$", line):
            section, name, value = matched.groups()
            found[section][name] = str(ast.literal_eval(value)).split()
    return found["global"] | found["install"] | found[":env:"]


def uv_environment(settings: dict[str, list[str]]) -> dict[str, str] | None:
    """Variables that make uv look where pip looks and nowhere else; None when that cannot be said.

    Not options: an index address may hold a password, and command lines are logged.
    """
    if settings.keys() - IN_UV.keys() - HARMLESS:
        return None
    # pip's way with several indexes; no other configuration and no Python from elsewhere
    environment = {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for name, variables in IN_UV.items():
        # pip leaves out a folder that does not exist, uv fails on it
        values = [v for v in settings.get(name, []) if _may_exist(v)]
        separator = "," if name == "find-links" else " "
        if values:
            environment |= dict.fromkeys(variables, separator.join(dict.fromkeys(values)))
    return environment


def _may_exist(place: str) -> bool:
    path = place.removeprefix("file://")
    return not path.startswith("/") or Path(path).exists()


def _clean_environment() -> dict[str, str]:
    """This process's variables without those that lead to other packages or other indexes."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {
        key: value
        for key, value in os.environ.items()
        if key not in foreign and (not key.startswith("UV_") or key == "UV_CACHE_DIR")
    }


def _run(command: Sequence[str], log: Path, extra: dict[str, str] | None = None) -> None:
    """Run ``command`` with its output in ``log``; InstallFailed with the end of it."""
    _note(log, "$ " + shlex.join(command))
    environment = _clean_environment() | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | (extra or {})
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
        if "No module named venv" in tail:
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

    def installed() -> int:
        return len(list(home.glob("lib/python*/site-packages/*.dist-info")))

    def seconds() -> str:
        return f"{time.monotonic() - began:.0f} s"

    def line() -> str:
        count = min(total, installed())
        return f"Installing {home.name}: {count} of {total} packages, {seconds()}"

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
    # The lock also names packages of other systems: the count may end below the total.
    say(f"Installed {home.name}: {installed()} packages, {seconds()}")


def _stamp(home: Path) -> dict[str, str]:
    """Python version and lock digests of a complete environment; empty for any other."""
    try:
        return dict(json.loads((home / STAMP).read_text()))
    except (OSError, ValueError):
        return {}


def _digest(lock: str) -> str:
    return hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()


def _python_tag() -> str:
    return ".".join(map(str, sys.version_info[:3]))
