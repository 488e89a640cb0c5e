"""Run inside the right environment: make it, fill it, start again in it.

Standard library only, and readable by older Pythons up to the version check.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"test": "requirements-test.lock"}  # by command; every other takes the first of these
RUNTIME = "requirements.lock"


def enter(argv: list[str]) -> None:
    """Return when this process may go on; otherwise prepare ``.venv`` and start anew in it.

    ``PORTAL_BOOTSTRAP=off`` goes on in whatever environment runs (containers).
    """
    os.environ.setdefault("PORTAL_STARTED_AT", repr(time.monotonic()))
    if os.environ.get("PORTAL_BOOTSTRAP", "").lower() == "off":
        return
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Prüfstand needs Python 3.11 or newer; this is {found} ({sys.executable}).")
    from portal import environments

    lock = LOCKS.get(argv[1] if len(argv) > 1 else "", RUNTIME)
    home = ROOT / ".venv"
    inside = Path(sys.prefix).resolve() == home.resolve()
    if inside and environments.is_ready(home, lock):
        return
    # The environment has no pip of its own; its maker's is used for whatever comes later.
    os.environ.setdefault("PORTAL_HOST_PYTHON", sys.executable)
    try:
        python = environments.ensure(home, lock, covers=(RUNTIME,))
    except environments.InstallFailed as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    os.execv(python, [str(python), str(ROOT / "manage.py"), *argv[1:]])
