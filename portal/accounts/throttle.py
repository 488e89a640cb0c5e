"""How often one address may ask for something that strangers may ask for."""

from __future__ import annotations

from django.core.cache import cache
from django.http import HttpRequest


def too_often(request: HttpRequest, what: str, *, limit: int, seconds: int = 60) -> bool:
    """Count this request; True when more than ``limit`` came within ``seconds``.

    Counted per process and client address (behind a proxy: docs/operations.md).
    """
    name = f"throttle:{what}:{request.META.get('REMOTE_ADDR', '')}"
    cache.add(name, 0, seconds)
    try:
        return cache.incr(name) > limit
    except ValueError:  # it expired between the two lines
        return False
