"""Long polling under ASGI: a request that waits holds no thread and no database connection.

``GET …?wait=30`` of something unfinished is asked again, inside the server, until it is
finished or the time is over. Without ASGI the first answer is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any
from urllib.parse import parse_qs

from django.http import HttpResponse

from portal.api.bodies import MAX_BODY, too_large
from portal.api.problems import PREFIX

LONGEST = 60.0
PAUSES = (0.3, 0.5, 1.0, 1.0, 2.0)  # seconds between looks; the last one repeats
MOST = 200  # waiting requests of this process; beyond, the first answer is given
UNFINISHED = "Retry-After"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_waiting = 0


def unfinished(response: HttpResponse) -> None:
    """Tell that asking again is worth while: to clients, and to ``ApiDoor``."""
    response[UNFINISHED] = "1"


class ApiDoor:
    """In front of Django: bounds bodies while they arrive, and waits for what is unfinished."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.app(scope, receive, send)
        elif scope["method"] == "GET" and (seconds := _asked_for(scope)):
            await self._wait(scope, receive, send, seconds)
        else:
            await self._bounded(scope, receive, send)

    async def _bounded(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Django would keep a body of any size on disk before it looks at it."""
        size, over = 0, False

        async def counted() -> Message:
            nonlocal size, over
            message = await receive()
            size += len(message.get("body", b""))
            if size <= MAX_BODY:
                return message
            over = True
            return {"type": "http.disconnect"}

        await self.app(scope, counted, send)
        if over:
            await _reply(send, too_large().response())

    async def _wait(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, seconds: float
    ) -> None:
        global _waiting
        gone = asyncio.create_task(_disconnected(receive))
        end, looks = monotonic() + min(seconds, LONGEST), 0
        _waiting += 1
        try:
            while True:
                # The guard counts a request that waits once, not at every look.
                answer = await self._ask(scope | {"polled": looks > 0}, gone)
                pause = PAUSES[min(looks, len(PAUSES) - 1)]
                looks += 1
                again = answer[0]["status"] == 200 and _has(answer[0], UNFINISHED)
                if gone.done() or not again or monotonic() + pause > end or _waiting > MOST:
                    break
                await asyncio.wait([gone], timeout=pause)
            for message in answer:
                await send(message)
        finally:
            _waiting -= 1
            gone.cancel()

    async def _ask(
        self, scope: MutableMapping[str, Any], gone: asyncio.Task[None]
    ) -> list[Message]:
        """One whole answer of Django."""
        asked = False
        answer: list[Message] = []

        async def receive() -> Message:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await asyncio.shield(gone)
            return {"type": "http.disconnect"}

        async def keep(message: Message) -> None:
            answer.append(message)

        await self.app(scope, receive, keep)
        return answer or [{"type": "http.response.start", "status": 499, "headers": []}]


def _asked_for(scope: MutableMapping[str, Any]) -> float:
    """Seconds of ``wait``; 0 for none and for what the operation will refuse."""
    try:
        given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20)
        return float(int(given.get("wait", ["0"])[-1]))
    except ValueError:
        return 0.0


def _has(start: Message, header: str) -> bool:
    return any(name.lower() == header.lower().encode() for name, _value in start["headers"])


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reply(send: Send, response: HttpResponse) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in response.items()]
    headers.append((b"connection", b"close"))  # what has not been read is not a next request
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
