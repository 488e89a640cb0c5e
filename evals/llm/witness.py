"""A client that remembers what was asked and answered, so that a verdict can show it."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from .client import Client, Loglikelihoods
from .errors import Kind, LLMError, excerpt
from .findings import Verdict, verdict
from .preflight import Outcome
from .replies import Echo, Malformed
from .transport import Reply


class Witness:
    """The last request and its reply are the evidence; ``models`` is the server's list."""

    def __init__(self, client: Client, context: int | None = None) -> None:
        self.client = client
        self.spec = client.spec
        self.context = context
        self.models: Any = None
        self.evidence: dict[str, str] = {}

    async def verdict(self, name: str, probe: Callable[[Witness], Awaitable[Outcome]]) -> Verdict:
        """What ``probe`` finds, or why it could not."""
        self.evidence = {}
        started = time.perf_counter()
        try:
            code, values = await probe(self)
        except LLMError as error:
            self.note("response", error.reply or str(error))
            code, values = "failed", {"error": str(error)}
        except Malformed as wrong:
            code, values = "malformed", {"error": str(wrong)}
        seconds = round(time.perf_counter() - started, 3)
        return verdict(name, code, values, self.evidence, seconds)

    async def post(self, path: str, body: dict[str, Any]) -> Reply:
        sent = self.spec.speaks.fitted(path, body)
        return await self._posted(path, sent, partial(self.client.post, path, body))

    async def post_all(self, path: str, body: dict[str, Any]) -> Reply:
        """As ``post``, without regard to what the software is known to take."""
        body = {"model": self.spec.model} | body
        return await self._posted(path, body, partial(self.client.post_all, path, body))

    async def post_root(self, path: str, body: dict[str, Any]) -> Reply:
        return await self._posted(path, body, partial(self.client.post_root, path, body))

    async def get(self, url: str) -> Reply:
        self.note("request", f"GET {url}")
        return self._seen(await self.client.get(url))

    async def text(self, path: str) -> str:
        """What the server's own address answers at ``path``, of whatever form."""
        self.note("request", f"GET {self.spec.root}/{path}")
        return self._seen(await self.client.text(path)).raw.decode(errors="replace")

    async def echo(self, text: str) -> Echo:
        """The echo by the route of the client. Raises ``Malformed`` as well."""
        self.note("request", f"{self.spec.route} of {text!r}")
        try:
            reply, echo, _ = await self.client.echo(text)
        except LLMError as error:
            if error.kind != Kind.MALFORMED:
                raise
            self.note("response", error.reply)
            raise Malformed(str(error).rstrip(".")) from error
        self._seen(reply)
        return echo

    async def loglikelihoods(self, context: str, parts: tuple[str, ...]) -> Loglikelihoods:
        self.note("request", f"log-likelihoods of {parts} after {context!r}")
        found = await self.client.loglikelihoods(context, parts)
        self.note("response", str([option.loglikelihood for option in found.options]))
        return found

    def note(self, side: str, text: str) -> None:
        self.evidence[side] = excerpt(text, self.spec.api_key)

    async def _posted(
        self, path: str, body: dict[str, Any], send: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        self.note("request", f"POST {path} {json.dumps(body, ensure_ascii=False)}")
        return self._seen(await send())

    def _seen(self, reply: Reply) -> Reply:
        self.note("response", reply.raw.decode(errors="replace"))
        return reply
