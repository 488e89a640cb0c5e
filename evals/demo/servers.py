"""Model servers of the demo: started, awaited, warmed up, stopped. Standard library only."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.processes import LEASH

START_SECONDS = 600.0  # a busy machine needs minutes: three imports of about 13 CPU seconds
STOP_SECONDS = 20.0  # more than the leash's own patience
TAIL_LINES = 30
VLLM_FLAGS = (
    *("--dtype", "float32"),  # "auto" would round the checkpoint to bfloat16
    "--enforce-eager",
    *("--max-model-len", "2048"),
    *("--max-num-seqs", "32"),
    *("--kv-cache-memory-bytes", "256M"),  # the default takes nine tenths of the memory
    *("--seed", "0"),
    *("--generation-config", "vllm"),
    "--enable-tokenizer-info-endpoint",
    "--enable-prompt-tokens-details",
    "--disable-uvicorn-access-log",
)
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",  # more threads than free cores are several times slower
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    # Otherwise the first request for log-probabilities compiles C++ (12 s, or a dead
    # server where there is no compiler).
    "TORCHDYNAMO_DISABLE": "1",
    "PYTHONUNBUFFERED": "1",
}
# The first would override --kv-cache-memory-bytes; the others would lead to the portal's packages.
FOREIGN = ("VLLM_CPU_KVCACHE_SPACE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")

_loopback = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerFailed(RuntimeError):
    """A server did not come up; the text ends with the last lines of its log."""


@dataclass
class ModelServer:
    """One model behind an OpenAI-compatible server on a loopback port.

    ``python`` belongs to the model environment. ``kind`` is ``vllm``, or ``transformers``
    where vLLM cannot be had: that one answers chats only and goes by the model's path.
    ``on_line`` gets (name, line) for every line of the log, from a thread.
    """

    python: Path
    model: Path
    name: str
    log: Path
    kind: str = "vllm"
    on_line: Callable[[str, str], None] | None = None
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def served_name(self) -> str:
        """The model name that requests must carry."""
        return self.name if self.kind == "vllm" else str(self.model)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the process; it dies with this one. ``wait`` tells when it answers."""
        self.port = self.port or _free_port()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(LEASH), *self._command()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment | ENVIRONMENT | {"VLLM_CACHE_ROOT": str(self.log.parent / "vllm")},
                start_new_session=True,
            )
        if self.on_line:
            threading.Thread(target=self._follow, args=(self.on_line,), daemon=True).start()

    def _command(self) -> list[str]:
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        if self.kind == "transformers":
            # Its console script: the module to run differs between versions.
            script = self.python.with_name("transformers")
            return [str(self.python), str(script), "serve", str(self.model), *address]
        module = ["-m", "vllm.entrypoints.cli.main", "serve", str(self.model)]
        return [str(self.python), *module, "--served-model-name", self.name, *address, *VLLM_FLAGS]

    def wait(self, timeout: float = START_SECONDS) -> None:
        """Return when the server has answered a first real request.

        :raises ServerFailed: it ended, or took longer than ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        while not self._is_healthy():
            if not self.is_running:
                raise ServerFailed(f"{self.name}: the model server ended.\n{self.tail()}")
            if time.monotonic() > end:
                raise ServerFailed(f"{self.name}: not up after {timeout:.0f} s.\n{self.tail()}")
            time.sleep(0.25)
        try:
            self._warm_up(max(1.0, end - time.monotonic()))
        except (OSError, http.client.HTTPException) as error:
            raise ServerFailed(f"{self.name}: {error}\n{self.tail()}") from error

    def _is_healthy(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            url = f"http://127.0.0.1:{self.port}/health"
            return bool(_loopback.open(url, timeout=5).status == 200)
        return False

    def _warm_up(self, timeout: float) -> None:
        body: dict[str, Any] = {"model": self.served_name, "max_tokens": 1, "temperature": 0}
        if self.kind == "vllm":
            path = "completions"
            body |= {"prompt": "A first question:", "echo": True, "logprobs": 1}
        else:
            path = "chat/completions"
            body["messages"] = [{"role": "user", "content": "A first question."}]
        request = urllib.request.Request(
            f"{self.base_url}/{path}",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with _loopback.open(request, timeout=timeout) as reply:
            reply.read()

    def stop(self) -> None:
        """End the server and everything it started; no error when it has ended before."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            if self.process.stdin:
                self.process.stdin.close()

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of the log."""
        with contextlib.suppress(OSError):
            text = self.log.read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    def _follow(self, on_line: Callable[[str, str], None]) -> None:
        with self.log.open(encoding="utf-8", errors="replace") as log:
            line = ""
            while True:
                was_running = self.is_running
                line += log.readline()
                if line.endswith("\n"):
                    on_line(self.name, line.rstrip())
                    line = ""
                elif was_running:
                    time.sleep(0.2)
                else:
                    return


def start_all(servers: Sequence[ModelServer], timeout: float = START_SECONDS) -> None:
    """Start all at the same time and wait for all; when one fails, none is left."""
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait(timeout)
    except BaseException:
        stop_all(servers)
        raise


def stop_all(servers: Sequence[ModelServer]) -> None:
    """Stop all at the same time."""
    for server in servers:
        if server.is_running and server.process:
            server.process.terminate()
    for server in servers:
        server.stop()


@contextlib.contextmanager
def running(servers: Sequence[ModelServer], timeout: float = START_SECONDS) -> Iterator[None]:
    """All servers up inside the block, none after it."""
    start_all(servers, timeout)
    try:
        yield
    finally:
        stop_all(servers)


_given: set[int] = set()


def _free_port() -> int:
    """A free port below those the system hands out by itself: it stays free until the bind."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
