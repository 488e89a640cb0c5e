"""Read settings from the environment, with errors that name the variable."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


class SettingError(ValueError):
    """A variable holds a value that cannot be used; the text says what it accepts."""


def flag(name: str, default: bool) -> bool:
    """``name`` as a truth value: 1/0, true/false, yes/no, on/off."""
    text = os.environ.get(name, "").strip().lower()
    if not text:
        return default
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise SettingError(f"{name}={text!r} is not a truth value. Write 1 or 0.")


def number(name: str, default: float) -> float:
    """``name`` as a positive number."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise SettingError(f"{name}={text!r} is not a number above zero.")
    return value


def whole(name: str, default: int) -> int:
    """``name`` as a whole number above zero."""
    value = number(name, default)
    if value != int(value):
        raise SettingError(f"{name}={value} is not a whole number.")
    return int(value)


def chosen(name: str, default: str, choices: tuple[str, ...]) -> str:
    """``name`` as one of ``choices``."""
    text = os.environ.get(name, "").strip().lower() or default
    if text not in choices:
        raise SettingError(f"{name}={text!r} is not known. Write one of {', '.join(choices)}.")
    return text


def listed(name: str) -> list[str]:
    """``name`` split at commas, blanks dropped."""
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def private_folder(path: Path) -> Path:
    """``path``, made for this account alone where it is not there; one that is stays as it is."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def local_secret(path: Path) -> str:
    """A random secret kept in ``path`` (mode 0600), made at first use.

    Linked into place whole: of processes that start together, all use the first one's.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, draft = tempfile.mkstemp(dir=path.parent)  # mode 0600
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        os.unlink(draft)
    return path.read_text().strip()
