"""The check on real servers: llama-cpp-python and ``transformers serve``.

They need environments of their own, which are used where they are:
``.envs/llama-cpp-python`` (with its server, gguf and safetensors) and ``.envs/vllm``.
``PORTAL_TEST_LLAMA_CPP`` names another Python that has llama-cpp-python.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evals.llm import EndpointSpec, ProbeReport, Verdict, check
from portal.outbound import OutboundPolicy
from tests import real
from workers.supervisor import dies_with

GGUF_OF = Path(__file__).with_name("gguf_of.py")
LLAMA = Path(
    os.environ.get("PORTAL_TEST_LLAMA_CPP")
    or real.ROOT / ".envs" / "llama-cpp-python" / "bin" / "python"
)
TRANSFORMERS = real.PYTHON.with_name("transformers")
MODEL = real.MODELS / "tiny-good"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def spec(url: str, model: str, dialect: str) -> EndpointSpec:
    policy = OutboundPolicy(("127.0.0.0/8",), 8_000_000)
    return EndpointSpec(url, model, policy, dialect=dialect)


def named(report: ProbeReport, name: str) -> Verdict:
    return next(verdict for verdict in report.verdicts if verdict.name == name)


@contextmanager
def serving(argv: list[str | Path], port: int, seconds: float = 180.0) -> Iterator[str]:
    """The base URL of a server, once it speaks HTTP."""
    process = subprocess.Popen(
        argv, env=os.environ | ONE_THREAD, preexec_fn=dies_with(os.getpid()),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
            except urllib.error.HTTPError:
                pass
            except OSError:
                time.sleep(0.5)
                continue
            yield f"http://127.0.0.1:{port}/v1"
            return
        pytest.fail(f"{argv[0]} did not start")
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.vllm
def test_wrong_log_probabilities_of_llama_cpp_python_are_found(tmp_path: Path) -> None:
    if not LLAMA.exists() or not MODEL.exists():
        pytest.skip("no environment with llama-cpp-python, or no demo models")
    file, port = tmp_path / "tiny.gguf", free_port()
    subprocess.run([LLAMA, GGUF_OF, MODEL, file], check=True)
    argv = [
        LLAMA, "-m", "llama_cpp.server", "--model", file, "--model_alias", "tiny",
        "--logits_all", "true", "--n_ctx", "2048", "--n_threads", "1", "--port", str(port),
    ]  # fmt: skip
    with serving(argv, port) as url:
        report = asyncio.run(check(spec(url, "tiny", "llama-cpp-python"), 2048))
    assert report.capabilities["chat"] and report.capabilities["top_logprobs"]
    assert report.capabilities["loglikelihood"] is False
    echo = named(report, "echo_logprobs")
    assert (echo.ok, echo.code) == (False, "malformed")
    assert '"token_logprobs"' in echo.evidence["response"]


@pytest.mark.vllm
def test_transformers_serve_gives_answers_and_no_log_probabilities() -> None:
    if not TRANSFORMERS.exists() or not MODEL.exists():
        pytest.skip("no environment with transformers, or no demo models")
    port = free_port()
    argv = [TRANSFORMERS, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with serving(argv, port) as url:
        report = asyncio.run(check(spec(url, str(MODEL), "transformers")))
    assert report.capabilities["chat"]
    assert report.capabilities["loglikelihood"] is False
    assert report.capabilities["chat_top_logprobs"] is False
