"""Secrets that a person sees once: kept, encrypted, from the form to the page that shows them.

In between lies a redirect, so that reloading that page makes no second one.
"""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest

from portal import secrets


def keep(request: HttpRequest, name: str, value: dict[str, Any]) -> None:
    """Hold ``value`` under ``name`` in the session; who reads its row does not see it."""
    request.session[name] = secrets.encrypt(json.dumps(value))


def take(request: HttpRequest, name: str) -> dict[str, Any]:
    """What ``keep`` held, for this one time; {} when there is nothing."""
    token = request.session.pop(name, "")
    try:
        return json.loads(secrets.decrypt(token)) if token else {}
    except secrets.SecretUnreadable:  # the encryption key has changed meanwhile
        return {}
