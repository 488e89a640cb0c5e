"""Texts of models and servers, as every database takes them. No Django."""

from __future__ import annotations

from typing import Any


def clean(text: str) -> str:
    """``text`` with NUL and lone surrogates as U+FFFD: PostgreSQL refuses both."""
    replaced = text.replace("\x00", "\ufffd")
    return replaced.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def cleaned(value: Any) -> Any:
    """``value`` (as JSON has it) with every text in it clean."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list | tuple):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): cleaned(item) for key, item in value.items()}
    return value
