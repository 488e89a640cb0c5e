"""One HTTP request to an inference server, with every failure named."""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from portal.outbound import OutboundRefused

from . import replies
from .errors import Kind, LLMError, excerpt, redacted
from .retry import seconds_wished
from .spec import EndpointSpec

NOT_IMPLEMENTED = {501, 505}


@dataclass(frozen=True)
class Reply:
    """A decoded reply; ``latency_ms`` is of the attempt that succeeded."""

    data: Any
    raw: bytes
    latency_ms: float
    attempts: int = 1


class Transport:
    """Sends one request at a time for ``spec``; retrying is the caller's business."""

    def __init__(self, spec: EndpointSpec) -> None:
        headers = {"User-Agent": "pruefstand"}
        if spec.api_key:
            headers["Authorization"] = f"Bearer {spec.api_key}"
        self.spec = spec
        self.session = spec.policy.session(limit=spec.concurrency, headers=headers)

    async def send(
        self, method: str, url: str, body: Any, seconds: float, *, plain: bool = False
    ) -> Reply:
        """The decoded reply (as text when ``plain``) within ``seconds``, or ``LLMError``."""
        timeout = aiohttp.ClientTimeout(
            total=seconds, sock_connect=self.spec.policy.connect_timeout
        )
        started = time.perf_counter()
        # The error is raised outside the handlers: aiohttp's own hold the request's headers,
        # and so the key, which an error report must not find at the end of a chain.
        try:
            async with self.session.request(method, url, json=body, timeout=timeout) as response:
                raw = await response.read()
                status, headers = response.status, response.headers
        except OutboundRefused as refused:
            kind = Kind.TOO_LARGE if refused.code == "too_large" else Kind.POLICY
            error = self._error(kind, str(refused))
        except aiohttp.ConnectionTimeoutError:
            limit = self.spec.policy.connect_timeout
            error = self._error(
                Kind.CONNECTION, f"no connection within {limit:.0f} s", retryable=True
            )
        except TimeoutError:
            error = self._error(
                Kind.TIMEOUT, f"no complete answer within {seconds:.0f} s", retryable=True
            )
        except (aiohttp.ClientSSLError, ssl.SSLError) as broken:
            error = self._error(Kind.CONNECTION, f"the encrypted connection failed ({broken})")
        except (aiohttp.ClientError, OSError) as broken:
            text = str(broken) or type(broken).__name__
            error = self._error(Kind.CONNECTION, f"the connection failed ({text})", retryable=True)
        else:
            latency = (time.perf_counter() - started) * 1000
            if 200 <= status < 300:
                data = raw.decode(errors="replace") if plain else self._decoded(raw, status)
                return Reply(data, raw, latency)
            error = self._refusal(status, raw, headers.get("Retry-After"))
        raise error

    def _decoded(self, raw: bytes, status: int) -> Any:
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            said = "an HTML page" if raw.lstrip()[:1] == b"<" else "no valid JSON"
        raise self._error(
            Kind.MALFORMED,
            f"the server answers {said}",
            status=status,
            retryable=raw[:1] == b"{",  # cut off on its way
            raw=raw,
        )

    def _refusal(self, status: int, raw: bytes, retry_after: str | None) -> LLMError:
        # The key goes before anything is cut: half a key is no longer found.
        said = replies.complaint(redacted(raw.decode(errors="replace"), self.spec.api_key))
        kind, retryable = kind_of(status)
        if status in self.spec.speaks.busy:
            kind, retryable = Kind.SERVER, True
        error = self._error(
            kind, f"HTTP {status}: {said}", status=status, retryable=retryable, raw=raw
        )
        error.retry_after = seconds_wished(retry_after, time.time())
        return error

    def _error(
        self,
        kind: Kind,
        text: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        raw: bytes = b"",
    ) -> LLMError:
        key = self.spec.api_key
        return LLMError(
            kind,
            redacted(text, key),
            status=status,
            retryable=retryable,
            reply=excerpt(raw.decode(errors="replace"), key),
        )


def kind_of(status: int) -> tuple[Kind, bool]:
    """What an HTTP error status means and whether asking again may help."""
    if status in {401, 403}:
        return Kind.UNAUTHORISED, False
    if status == 404:
        return Kind.NOT_FOUND, False
    if status == 413:
        return Kind.TOO_LARGE, False
    if status == 429:
        return Kind.RATE, True
    if status >= 500:
        return Kind.SERVER, status not in NOT_IMPLEMENTED
    return Kind.REQUEST, False
