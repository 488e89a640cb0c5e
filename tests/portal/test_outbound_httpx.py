"""The same guard under a library's own client: what is refused there is refused here."""

from __future__ import annotations

import asyncio
import gzip
import socket

import aiohttp
import pytest
from aiohttp import web

from portal import outbound
from portal.outbound import OutboundPolicy, OutboundRefused
from portal.outbound_httpx import guarded_client
from tests.portal.test_outbound import LOOPBACK, METADATA, REFUSED, listening, names, policy

httpx2 = pytest.importorskip("httpx2")
# What httpx2 itself makes of some of these: a URL it refuses or reads as another host.
OWN_ERRORS = (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError)


async def fetch(rules: OutboundPolicy, url: str) -> str:
    async with guarded_client(rules) as client:
        return (await client.get(url)).text


@pytest.mark.parametrize("template", [template for template, _code in REFUSED])
async def test_it_refuses_what_is_not_allowed_and_connects_nowhere(template: str) -> None:
    async with listening() as canary:
        with pytest.raises((OutboundRefused, *OWN_ERRORS)):
            await fetch(policy("ok.example"), template.format(port=canary.port))
        assert not canary.requests


@pytest.mark.parametrize("url", METADATA)
async def test_it_refuses_metadata_addresses_even_when_everything_is_allowed(url: str) -> None:
    rules = policy("0.0.0.0/0", "::/0", "metadata.google.internal", "instance-data")
    with pytest.raises(OutboundRefused) as refused:
        await fetch(rules, url)
    assert refused.value.code == "metadata"


async def test_it_reaches_an_allowed_network_and_host_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening() as canary:
        assert await fetch(policy(*LOOPBACK), canary.url) == "reached"
        names(monkeypatch, ["127.0.0.1"])
        assert await fetch(policy("vllm"), f"http://vllm:{canary.port}/") == "reached"


@pytest.mark.parametrize("answer", [["192.0.2.7"], ["127.0.0.1", "192.0.2.7"], ["169.254.169.254"]])
async def test_it_refuses_a_name_that_resolves_elsewhere(
    monkeypatch: pytest.MonkeyPatch, answer: list[str]
) -> None:
    names(monkeypatch, answer)
    async with listening() as canary:
        with pytest.raises(OutboundRefused) as refused:
            await fetch(policy(*LOOPBACK), f"http://two.test:{canary.port}/")
        assert refused.value.code in {"resolves_elsewhere", "metadata"}
        assert not canary.requests


async def test_it_judges_the_name_again_at_every_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def close(request: web.Request) -> web.Response:
        return web.Response(text="reached", headers={"Connection": "close"})

    async with listening(close) as canary, guarded_client(policy("127.0.0.1/32")) as client:
        asked = names(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
        await client.get(f"http://rebind.test:{canary.port}/")
        with pytest.raises(OutboundRefused):
            await client.get(f"http://rebind.test:{canary.port}/")
        assert len(asked) == 2
        assert len(canary.requests) == 1


@pytest.mark.parametrize("follow", [False, True])
async def test_it_follows_no_redirect(follow: bool) -> None:
    async with listening() as target:

        async def away(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": target.url})

        async with listening(away) as canary, guarded_client(policy(*LOOPBACK)) as client:
            with pytest.raises(OutboundRefused) as refused:
                await client.get(canary.url, follow_redirects=follow)
        assert refused.value.code == "redirect"
        assert not target.requests


async def test_it_takes_no_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as canary, listening() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert await fetch(policy(*LOOPBACK), canary.url) == "reached"
        assert not proxy.requests


async def test_it_sends_no_header_of_the_library_but_two() -> None:
    async with listening() as canary:
        async with guarded_client(
            policy(*LOOPBACK), headers={"Authorization": "Bearer k"}
        ) as client:
            sent = {"Authorization": "Bearer other", "Cookie": "a=b", "X-Stainless-OS": "Linux"}
            await client.post(canary.url, json={"a": 1}, headers=sent)
        got = canary.requests[0].headers
    assert got["Authorization"] == "Bearer k"
    assert got["Content-Type"] == "application/json"
    assert not {"Cookie", "X-Stainless-OS"} & set(got)


async def test_it_stops_at_a_reply_that_is_too_large_as_it_comes_and_when_it_is_a_bomb() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with pytest.raises(ConnectionError):
            while True:
                await response.write(b"x" * 10_000)
        return response

    async def bomb(request: web.Request) -> web.Response:
        body = gzip.compress(b"0" * 50_000_000)
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    for handler in (endless, bomb):
        async with listening(handler) as canary:
            with pytest.raises(OutboundRefused) as refused:
                await asyncio.wait_for(fetch(policy(*LOOPBACK), canary.url), 10)
            assert refused.value.code == "too_large"


async def test_it_reads_a_compressed_reply_once() -> None:
    async def compressed(request: web.Request) -> web.Response:
        body = gzip.compress(b"reached")
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async with listening(compressed) as canary:
        assert await fetch(policy(*LOOPBACK), canary.url) == "reached"


async def test_it_hangs_up_when_the_reader_stops() -> None:
    gone = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        while request.transport and not request.transport.is_closing():
            await asyncio.sleep(0.01)
        gone.set()
        return response

    async with listening(slow) as canary, guarded_client(policy(*LOOPBACK)) as client:
        async with client.stream("GET", canary.url) as reply:
            assert await anext(reply.aiter_bytes()) == b"x"
        await asyncio.wait_for(gone.wait(), 5)


async def test_it_gives_up_a_name_that_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        await asyncio.sleep(30)
        return []

    monkeypatch.setattr(outbound, "lookup", silent)
    rules = OutboundPolicy(("vllm",), 1000, connect_timeout=0.05)
    async with asyncio.timeout(5) as patience:
        with pytest.raises((TimeoutError, aiohttp.ClientError)):
            await fetch(rules, "http://vllm/")
    assert not patience.expired()
