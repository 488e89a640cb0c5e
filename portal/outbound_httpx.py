"""The way out for libraries that speak through httpx2, such as the openai SDK.

Its requests are sent by the session of the policy, so the same guard judges them: URL,
every address a name resolves to, the socket itself, redirects, proxies. The library keeps
no connection of its own. Imported only where such a library is used. No Django here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import httpx2

from portal.outbound import OutboundPolicy, OutboundRefused

# What a library may say about a request. Credentials are not among it: they are given to
# the guard, so that a library can neither show them nor add some from the environment.
CARRIED = ("accept", "content-type")
# True of the bytes that came over the wire; aiohttp has decoded them already.
SPENT = {b"content-encoding", b"content-length", b"transfer-encoding"}


def guarded_client(
    policy: OutboundPolicy, *, headers: dict[str, str] | None = None, limit: int = 1
) -> httpx2.AsyncClient:
    """A client that only connects where ``policy`` allows; ``async with`` closes it.

    ``headers`` go out with every request, beside accept and content type. Errors are
    ``OutboundRefused`` and aiohttp's own, not those of httpx2.
    """
    return httpx2.AsyncClient(
        transport=GuardedTransport(policy, headers=headers, limit=limit),
        timeout=None,
        trust_env=False,
        follow_redirects=False,
    )


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Hands each request to a session of the policy, and its reply back piece by piece."""

    def __init__(
        self, policy: OutboundPolicy, *, headers: dict[str, str] | None = None, limit: int = 1
    ) -> None:
        self.policy = policy
        self.session = policy.session(
            limit=limit, headers={"User-Agent": "pruefstand"} | (headers or {})
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        reply = await self.session.request(
            request.method,
            self.policy.check_url(str(request.url)),
            data=await request.aread() or None,
            headers={name: request.headers[name] for name in CARRIED if name in request.headers},
        )
        return httpx2.Response(
            reply.status,
            headers=[
                (name, value) for name, value in reply.raw_headers if name.lower() not in SPENT
            ],
            stream=_Pieces(reply, self.policy.max_bytes),
        )

    async def aclose(self) -> None:
        await self.session.close()


class _Pieces(httpx2.AsyncByteStream):
    """The body of ``reply`` as it comes, given up beyond ``max_bytes``."""

    def __init__(self, reply: aiohttp.ClientResponse, max_bytes: int) -> None:
        self.reply = reply
        self.max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self.reply.content.iter_any():
            size += len(piece)
            if size > self.max_bytes:
                self.reply.close()
                raise OutboundRefused(str(self.reply.url), "too_large")
            yield piece

    async def aclose(self) -> None:
        """Hang up: a server stops writing when nobody reads."""
        self.reply.close()
