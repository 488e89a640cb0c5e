"""The broker of a laptop: ``embedded:///dir``, files in a folder and no server.

Layout: ``dir/queues/<queue>/<time>-<id>`` is one message, ``dir/bindings/<exchange>/<digest>``
one binding. Everything appears by a rename and is taken by a rename, so a reader never
sees half a file and two readers never get the same one. A message in the hands of a
killed worker is lost; the lease in the database takes care of that (``workers.jobs``).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import uuid
from collections import deque
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import quote

from kombu.transport import virtual

log = logging.getLogger(__name__)

Binding = tuple[str, str | None, str]  # routing key, pattern, queue


class Channel(virtual.Channel):
    supports_fanout = True

    def __init__(self, connection: Transport, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self._root = Path("/", connection.client.virtual_host.lstrip("/"))
        self._seen: dict[str, deque[str]] = {}  # names listed and not yet tried, per queue
        for folder in ("queues", "bindings", "partial", "taken"):
            (self._root / folder).mkdir(parents=True, exist_ok=True, mode=0o700)

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:
        folder = self._queue(queue)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        try:
            self._write(folder / name, message)
        except FileNotFoundError:  # a queue nobody declared, or deleted meanwhile
            folder.mkdir(parents=True, exist_ok=True)
            self._write(folder / name, message)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        folder = self._queue(queue)
        names = self._seen.setdefault(queue, deque())
        if not names:
            names.extend(self._names(folder))
        while names:
            name = names.popleft()
            taken = self._root / "taken" / name
            try:
                os.rename(folder / name, taken)
            except FileNotFoundError:
                continue  # another consumer was faster
            text = taken.read_text()
            taken.unlink()
            try:
                return json.loads(text)
            except ValueError:  # after a power cut: the row behind the poke is still there
                log.warning("Dropped an unreadable message of queue %s", queue)
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._names(self._queue(queue)))

    def _purge(self, queue: str) -> int:
        purged = 0
        folder = self._queue(queue)
        for name in self._names(folder):
            with suppress(FileNotFoundError):
                (folder / name).unlink()
                purged += 1
        return purged

    def _new_queue(self, queue: str, **_: Any) -> None:
        self._queue(queue).mkdir(parents=True, exist_ok=True)

    def _has_queue(self, queue: str, **_: Any) -> bool:
        return self._queue(queue).is_dir()

    def _delete(
        self, queue: str, exchange: str, routing_key: str, pattern: str, *_: Any, **__: Any
    ) -> None:
        self._binding(exchange, (routing_key, pattern, queue)).unlink(missing_ok=True)
        self._purge(queue)
        with suppress(OSError):  # somebody put a message meanwhile
            self._queue(queue).rmdir()

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        binding: Binding = (routing_key, pattern, queue)
        path = self._binding(exchange, binding)
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            self._write(path, binding)

    def get_table(self, exchange: str) -> list[Binding]:
        folder = self._binding(exchange, ("", "", "")).parent
        table: list[Binding] = []
        for name in self._names(folder):
            with suppress(FileNotFoundError):
                key, pattern, queue = json.loads((folder / name).read_text())
                table.append((key, pattern, queue))
        return table

    def _put_fanout(
        self, exchange: str, message: dict[str, Any], routing_key: str, **kwargs: Any
    ) -> None:
        for _, _, queue in self.get_table(exchange):
            self._put(queue, message, **kwargs)

    def _write(self, path: Path, content: Any) -> None:
        partial = self._root / "partial" / uuid.uuid4().hex
        with partial.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.rename(partial, path)
        except OSError:
            partial.unlink()
            raise

    def _queue(self, queue: str) -> Path:
        return self._root / "queues" / f"{quote(queue, safe='')}.q"

    def _binding(self, exchange: str, binding: Binding) -> Path:
        digest = hashlib.sha256(json.dumps(binding).encode()).hexdigest()
        return self._root / "bindings" / f"{quote(exchange, safe='')}.x" / digest

    @staticmethod
    def _names(folder: Path) -> list[str]:
        """The names in ``folder``, oldest message first; none when it does not exist."""
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []


class Transport(virtual.Transport):
    """Polls ten times a second: a poke waits 0.1 s at most."""

    Channel = Channel
    polling_interval = 0.1
    driver_type = "embedded"
    driver_name = "embedded"
    implements = virtual.Transport.implements.extend(
        asynchronous=False, exchange_type=frozenset(["direct", "topic", "fanout"])
    )

    @property
    def default_connection_params(self) -> dict[str, Any]:
        return {}  # there is no host

    def driver_version(self) -> str:
        return "1"
