"""``manage.py test``: install what the tests need, then run them on every database.

Standard library only: it runs before Django is set up, and the tests run in processes of
their own. Arguments are handed to pytest; with any, only one run on SQLite is made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from evals.demo import models
from tests import services

ROOT = Path(__file__).resolve().parent.parent
# What a test needs → the Debian package that brings it.
PACKAGES = {
    "chromium": "chromium",
    "redis-server": "redis-server",
    "initdb": "postgresql",
    "msgfmt": "gettext",
}
MISSING: list[str] = []  # what could not be tested, in words
PLACES = ("/usr/lib/postgresql",)  # Debian keeps PostgreSQL's programs off the PATH
# What does not touch the database, or brings its own, is tested once.
ONCE = "browser or vllm or services"
ON_EVERY_DATABASE = ["tests/portal", "tests/workers", "tests/evals"]
WITHOUT_DATABASE = [
    "tests/portal/test_bootstrap.py",
    "tests/evals/stats",
    "tests/evals/llm",
    "tests/evals/demo",
    "tests/evals/engines",
]


def main(arguments: list[str]) -> int:
    """Exit status of the test runs: 0 when all are green."""
    install_packages()
    if arguments:
        return pytest(arguments)
    prepare_models()
    began = time.monotonic()
    results = {"SQLite": pytest([])}
    try:
        with services.postgresql() as url:
            chosen = [*ON_EVERY_DATABASE, *(f"--ignore={path}" for path in WITHOUT_DATABASE)]
            results["PostgreSQL"] = pytest([*chosen, "-m", f"not ({ONCE})"], {"DATABASE_URL": url})
    except services.Missing as reason:
        MISSING.append(f"No run on PostgreSQL: {reason}")
    for name, status in results.items():
        print(f"{name}: {'passed' if status == 0 else 'FAILED'}")
    print(f"Tests took {(time.monotonic() - began) / 60:.1f} minutes", flush=True)
    for sentence in MISSING:
        print(f"Missing: {sentence}")
    tolerated = bool(os.environ.get("PORTAL_TEST_ALLOW_MISSING"))
    if MISSING and not tolerated:
        print("Not everything was tested. PORTAL_TEST_ALLOW_MISSING=1 accepts that.")
    return int(any(results.values()) or bool(MISSING and not tolerated))


def pytest(arguments: list[str], environment: dict[str, str] | None = None) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    print(f"$ pytest {' '.join(arguments)}", flush=True)
    return subprocess.call(command, cwd=ROOT, env=os.environ | (environment or {}))


def install_packages() -> None:
    """Install missing system packages where this may be done; say what stays missing."""
    missing = {program: package for program, package in PACKAGES.items() if not present(program)}
    if not missing:
        return
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        print(f"Installing {', '.join(missing.values())} …", flush=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            [apt, "update", "-qq"],
            [apt, "install", "-y", "-qq", "--no-install-recommends", *missing.values()],
        ):
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                print(done.stderr[-2000:], file=sys.stderr)
    for program, package in missing.items():
        if not present(program):
            MISSING.append(f"{program} (package {package}): its tests are skipped")


def present(program: str) -> bool:
    """Whether ``program`` is on the PATH or where Debian hides it."""
    return bool(shutil.which(program)) or any(
        list(Path(place).glob(f"*/bin/{program}")) for place in PLACES
    )


def prepare_models() -> None:
    """Environment and checkpoints of the real-vLLM tier, made once; without them it is skipped."""
    try:
        made = models.ensure(models.FOLDER, print)
        MISSING.extend(made.missing)
    except models.Unavailable as error:
        MISSING.append(f"The tests on a real model server are skipped: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
