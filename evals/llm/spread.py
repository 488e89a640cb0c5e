"""Several servers of one model share its requests; one that fails is left out for a while."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from .errors import Kind, LLMError
from .spec import EndpointSpec
from .transport import Reply, Transport

OUT_SECONDS = 30.0
# A server that says this has no answer for anybody; another one may have.
LOST = {Kind.CONNECTION, Kind.TIMEOUT, Kind.SERVER, Kind.UNAUTHORISED}
ELSEWHERE = LOST | {Kind.RATE}


class _Server:
    """One of them, with the requests it has not answered yet."""

    def __init__(self, spec: EndpointSpec) -> None:
        self.spec = spec
        self.transport = Transport(spec)
        self.unanswered = 0
        self.out_until = 0.0

    def url(self, url: str, first: EndpointSpec) -> str:
        """``url`` of the first server, on this one."""
        if url.startswith(first.base_url):
            return self.spec.base_url + url.removeprefix(first.base_url)
        return self.spec.root + url.removeprefix(first.root)


class Spread:
    """Sends each request to the server with the fewest unanswered ones.

    A request that fails is asked again on the others at once; when all fail, the last error
    is raised. With one server it is its ``Transport``.
    """

    def __init__(self, spec: EndpointSpec) -> None:
        others = [
            replace(spec, base_url=other.base_url, api_key=other.api_key, others=())
            for other in spec.others
        ]
        self.first = spec
        self.servers = [_Server(each) for each in (spec, *others)]

    async def send(
        self, method: str, url: str, body: Any, seconds: float, *, plain: bool = False
    ) -> Reply:
        """The reply of one of the servers, or ``LLMError``."""
        left = list(self.servers)
        while True:
            server = min(left, key=self._load)
            left.remove(server)
            server.unanswered += 1
            try:
                reply = await server.transport.send(
                    method, server.url(url, self.first), body, seconds, plain=plain
                )
            except LLMError as error:
                if error.kind in LOST:
                    server.out_until = time.monotonic() + OUT_SECONDS
                if error.kind not in ELSEWHERE or not left:
                    raise
            else:
                server.out_until = 0.0
                return reply
            finally:
                server.unanswered -= 1

    async def close(self) -> None:
        for server in self.servers:
            await server.transport.session.close()

    @staticmethod
    def _load(server: _Server) -> tuple[bool, int]:
        return server.out_until > time.monotonic(), server.unanswered
