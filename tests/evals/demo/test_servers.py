"""Model servers as processes. A small one stands in for vLLM, except in the last tests."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from evals.demo import suite
from evals.demo.servers import ModelServer, ServerFailed, running, start_all
from tests.real import Served

ROOT = Path(__file__).resolve().parent.parent.parent.parent
# Has a child of its own, as vLLM has; STUBBORN ignores SIGTERM, BROKEN ends at once.
STAND_IN = """
import http.server, os, signal, subprocess, sys
print("starting", sys.argv[2], flush=True)
if "broken" in sys.argv[2]:
    sys.exit("no such checkpoint")
child = subprocess.Popen(["sleep", "1000"])
print("child", child.pid, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        print("asked", body.decode(), flush=True)
        self.do_GET()
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment whose ``vllm`` is the stand-in."""
    home = tmp_path_factory.mktemp("environment") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (site,) = home.glob("lib/*/site-packages")
    package = site / "vllm" / "entrypoints" / "cli"
    package.mkdir(parents=True)
    (package / "main.py").write_text(STAND_IN)
    return home / "bin" / "python"


@pytest.fixture
def make_server(python: Path, tmp_path: Path) -> Callable[..., ModelServer]:
    def make(name: str = "tiny", **options: Any) -> ModelServer:
        log = tmp_path / f"{name}.log"
        return ModelServer(python=python, model=tmp_path / name, name=name, log=log, **options)

    return make


def child_of(log: Path) -> int:
    (line,) = (line for line in log.read_text().splitlines() if line.startswith("child "))
    return int(line.split()[1])


def is_alive(pid: int) -> bool:
    """False for a zombie, too: nobody may be there to collect it."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def wait_until_gone(pids: Sequence[int], seconds: float = 25) -> None:
    end = time.monotonic() + seconds
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < end, f"still there: {alive}"
        time.sleep(0.05)


def test_it_answers_after_a_first_real_request_and_leaves_nothing(
    make_server: Callable[..., ModelServer],
) -> None:
    server = make_server()
    with running([server]):
        assert server.is_running
        assert server.base_url == f"http://127.0.0.1:{server.port}/v1"
        asked = server.log.read_text().partition("asked ")[2]
        assert json.loads(asked.splitlines()[0])["echo"] is True
        child = child_of(server.log)
        assert is_alive(child)
    assert not server.is_running
    wait_until_gone([child], seconds=2)


def test_servers_started_together_have_ports_and_logs_of_their_own(
    make_server: Callable[..., ModelServer],
) -> None:
    servers = [make_server("good"), make_server("bad")]
    with running(servers):
        assert servers[0].port != servers[1].port
        assert all(server.is_running for server in servers)
        assert [f"/{server.name}" in server.log.read_text() for server in servers] == [True, True]


def test_a_server_that_ends_is_reported_at_once_with_its_log(
    make_server: Callable[..., ModelServer],
) -> None:
    good, broken = make_server("good"), make_server("broken")
    began = time.monotonic()
    with pytest.raises(ServerFailed, match=r"broken: the model server ended\.\n(.*\n)*.*no such"):
        start_all([good, broken], timeout=120)
    assert time.monotonic() - began < 60
    assert not good.is_running


def test_it_does_not_outlive_whoever_started_it(
    make_server: Callable[..., ModelServer], tmp_path: Path
) -> None:
    server = make_server()
    code = (
        "import time; from pathlib import Path; from evals.demo.servers import ModelServer\n"
        f"server = ModelServer(Path({str(server.python)!r}), Path({str(server.model)!r}),"
        f" 'tiny', Path({str(server.log)!r}))\n"
        "server.start(); server.wait(60); print(server.process.pid, flush=True); time.sleep(1000)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert starter.stdout
    pids = [int(starter.stdout.readline()), child_of(server.log)]
    assert all(map(is_alive, pids))
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    wait_until_gone(pids)


def test_every_line_of_the_log_is_handed_on(make_server: Callable[..., ModelServer]) -> None:
    heard: list[tuple[str, str]] = []
    server = make_server(on_line=lambda name, line: heard.append((name, line)))
    with running([server]):
        end = time.monotonic() + 10
        while not any("asked" in line for _, line in heard):
            assert time.monotonic() < end
            time.sleep(0.05)
    assert heard[0] == ("tiny", f"starting {server.model}")


def ask(base_url: str, path: str, **body: Any) -> dict[str, Any]:
    content = {"content-type": "application/json"}
    request = urllib.request.Request(f"{base_url}/{path}", json.dumps(body).encode(), content)
    with urllib.request.urlopen(request, timeout=120) as reply:
        return dict(json.load(reply))


def chosen(served: Served, row: dict[str, Any]) -> int:
    """The option with the largest log-likelihood, by plain requests."""
    context = f"{row['q']}: {row['question']}\n{row['a']}:"
    values = []
    for choice in row["choices"]:
        reply = ask(
            served.base_url, "completions", model=served.name, prompt=f"{context} {choice}",
            echo=True, logprobs=1, max_tokens=1, temperature=0,
        )  # fmt: skip
        found = reply["choices"][0]["logprobs"]
        values.append(
            sum(
                value
                for value, offset in zip(
                    found["token_logprobs"][:-1], found["text_offset"], strict=False
                )
                if offset >= len(context)
            )
        )
    return values.index(max(values))


@pytest.mark.vllm
@pytest.mark.parametrize("language", ["en", "de", "da", "sv"])
def test_the_good_model_knows_what_the_bad_one_does_not(
    vllm: dict[str, Served], language: str
) -> None:
    rows = suite.questions("choice_taught", language)[::3]
    share = {
        name: sum(chosen(served, row) == row["answer"] for row in rows) / len(rows)
        for name, served in vllm.items()
    }
    assert share["tiny-good"] > 0.85
    assert share["tiny-bad"] < 0.6


@pytest.mark.vllm
def test_the_good_model_answers_a_chat(vllm: dict[str, Served]) -> None:
    served = vllm["tiny-good"]
    messages = [{"role": "user", "content": "Was ist die Hauptstadt von Deutschland?"}]
    body = {"model": served.name, "messages": messages, "temperature": 0, "max_tokens": 16}
    reply = ask(served.base_url, "chat/completions", **body)
    assert reply["choices"][0]["message"]["content"] == "Berlin"
    assert reply["choices"][0]["finish_reason"] == "stop"
