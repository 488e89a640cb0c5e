"""What can go wrong between the portal and an inference server."""

from __future__ import annotations

import json
from enum import StrEnum

EXCERPT = 600


class Kind(StrEnum):
    """Why a request gave no result; the values are stored and shown."""

    POLICY = "refused by policy"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    RATE = "rate limited"
    SERVER = "server error"
    REQUEST = "bad request"
    NOT_FOUND = "not found"
    UNAUTHORISED = "unauthorised"
    MALFORMED = "malformed reply"
    TOO_LARGE = "too large"


class LLMError(Exception):
    """A request that gave no result: never to be counted as a wrong answer.

    ``status`` is the HTTP status if there was one, ``attempts`` how often the server was
    asked, ``reply`` an excerpt of what it said. Neither the text nor the excerpt holds the key.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        reply: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.reply = reply
        self.attempts = 1


def redacted(text: str, key: str) -> str:
    """``text`` without ``key``, also where JSON has escaped it."""
    if len(key) < 4:  # too short to be a secret, and part of ordinary words
        return text
    written = json.dumps(key)[1:-1]
    for form in {key, written, written.replace("/", "\\/")}:
        text = text.replace(form, "[key]")
    return text


def excerpt(text: str, key: str, limit: int = EXCERPT) -> str:
    """At most ``limit`` characters of ``text``, the key removed before anything is cut."""
    text = redacted(text, key)
    return text if len(text) <= limit else text[: limit - 1] + "…"
