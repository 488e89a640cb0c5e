"""Every connection that the portal opens is listed here, with the reason why it may."""

from __future__ import annotations

import ast

import pytest

from evals import candidates
from tests.conventions.tree import ROOT, parsed, python_files

# What can open a connection, and who may import it for what.
CLIENTS = {
    "aiohttp", "requests", "httpx", "http.client", "urllib.request", "urllib3", "ftplib",
    "smtplib", "poplib", "imaplib", "telnetlib", "xmlrpc", "socketserver", "websockets", "openai",
    "asyncssh", "paramiko", "huggingface_hub", "socket", "curl_cffi", "httpcore",
}  # fmt: skip
ALLOWED = {
    "portal/outbound.py": {"aiohttp", "socket"},  # the guard itself
    "portal/environments.py": {"socket", "urllib.request"},  # pip: before the portal exists
    "portal/outbound_httpx.py": {"aiohttp"},  # the guard, for the openai SDK
    "portal/accounts/oidc.py": {"aiohttp", "requests"},  # the provider, by a session of the guard
    "evals/llm/streaming.py": {"aiohttp", "openai"},  # over the guard's transport
    "evals/llm/transport.py": {"aiohttp"},  # takes its session from the guard
    "evals/demo/servers.py": {"socket", "http.client", "urllib.request"},  # its own processes
    "evals/hub.py": {"huggingface_hub"},  # data sets by name, where the operator allows it
    "workers/leash.py": {"socket"},
    "workers/processes.py": {"socket"},  # is my own port free, does my own site answer?
    "workers/supervisor.py": {"socket"},
    "workers/embedded.py": {"socket"},
    "workers/jobs.py": {"socket"},  # the name of this machine
    "workers/management/commands/up.py": {"socket"},  # likewise
}


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {node.module or "", *(f"{node.module}.{a.name}" for a in node.names)}
    return {client for client in CLIENTS for name in names
            if name == client or name.startswith(client + ".")}  # fmt: skip


def test_only_listed_modules_can_open_connections() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): names
        for path in python_files()
        if (names := imported(parsed(path)))
    }
    extra = {path: names - ALLOWED.get(path, set()) for path, names in found.items()}
    assert {path: names for path, names in extra.items() if names} == {}


@pytest.mark.parametrize("line", [
    "import requests", "from urllib.request import urlopen", "import http.client",
    "from urllib import request", "import aiohttp", "from openai import AsyncOpenAI",
])  # fmt: skip
def test_the_search_finds_a_new_way_out(line: str) -> None:
    assert imported(ast.parse(line))


def test_the_search_leaves_what_opens_nothing() -> None:
    assert not imported(ast.parse("from urllib.parse import urlsplit\nfrom http import HTTPStatus"))


def test_the_policy_of_jobs_is_the_one_of_the_settings(settings: object) -> None:
    settings.OUTBOUND_ALLOW, settings.OUTBOUND_MAX_BYTES = ["gpu01"], 12345
    policy = candidates.outbound_policy()
    assert (policy.allow, policy.max_bytes) == (("gpu01",), 12345)
