"""The guard on outgoing connections, tried against a listener that must stay untouched."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from portal import outbound
from portal.outbound import OutboundPolicy, OutboundRefused

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK = ("127.0.0.0/8", "::1/128")
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


class Canary:
    """A web server on 127.0.0.1 that counts who connects."""

    def __init__(self) -> None:
        self.requests: list[web.BaseRequest] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def listening(handler: Handler | None = None) -> AsyncIterator[Canary]:
    canary = Canary()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        canary.requests.append(request)
        return await handler(request) if handler else web.Response(text="reached")

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    canary.port = site._server.sockets[0].getsockname()[1]
    try:
        yield canary
    finally:
        await runner.cleanup()


def policy(*allow: str, max_bytes: int = 100_000) -> OutboundPolicy:
    return OutboundPolicy(allow, max_bytes, connect_timeout=2.0)


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Make every look-up give the next of ``answers`` (the last stays); returns who was asked."""
    asked: list[str] = []

    async def fake(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        asked.append(host)
        answer = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET6 if ":" in a else socket.AF_INET, a) for a in answer]

    monkeypatch.setattr(outbound, "lookup", fake)
    return asked


async def fetch(rules: OutboundPolicy, url: str) -> str:
    async with rules.session() as session, session.get(url) as response:
        return await response.text()


REFUSED = [
    ("http://127.0.0.1:{port}/", "not_allowed"),
    ("http://0:{port}/", "number"),
    ("http://0.0.0.0:{port}/", "metadata"),
    ("http://[::1]:{port}/", "not_allowed"),
    ("http://[::]:{port}/", "metadata"),
    ("http://[::ffff:127.0.0.1]:{port}/", "not_allowed"),
    ("http://[::ffff:7f00:1]:{port}/", "not_allowed"),
    ("http://[::127.0.0.1]:{port}/", "not_allowed"),
    ("http://2130706433:{port}/", "number"),
    ("http://0x7f000001:{port}/", "number"),
    ("http://0x7f.0.0.1:{port}/", "number"),
    ("http://017700000001:{port}/", "number"),
    ("http://0177.0.0.1:{port}/", "number"),
    ("http://127.1:{port}/", "number"),
    ("http://127.0.0.1.:{port}/", "not_allowed"),
    ("http://localhost:{port}/", "not_allowed"),
    ("http://ok.example@127.0.0.1:{port}/", "credentials"),
    ("http://ok.example:pw@127.0.0.1:{port}/", "credentials"),
    ("http://ok.example\\@127.0.0.1:{port}/", "malformed"),
    ("http://127.0.0.1:{port}\\@ok.example/", "malformed"),
    ("http://127.0.0.1\t:{port}/", "malformed"),
    ("http://127.0.0.1:{port}/\r\nX: y", "malformed"),
    ("http://127。0。0。1:{port}/", "malformed"),
    ("http://①②⑦.0.0.1:{port}/", "malformed"),
    ("http://127.0.0.1%2e:{port}/", "malformed"),
    ("http://[fe80::1%25lo]:{port}/", "malformed"),
    ("http://ok.example:99999/", "malformed"),
    ("http://ok.example:0/", "malformed"),
    ("http://[::1/", "malformed"),
    ("http:///nowhere", "malformed"),
    ("http://", "malformed"),
    ("ok.example", "scheme"),
    ("file:///etc/passwd", "scheme"),
    ("gopher://127.0.0.1:{port}/", "scheme"),
    ("ftp://ok.example/", "scheme"),
    ("unix:///run/docker.sock", "scheme"),
]
METADATA = [
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254./",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::169.254.169.254]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[64:ff9b:1::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:db8::5efe:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://metadata.google.internal/",
    "http://METADATA.google.internal./",
    "http://instance-data/",
]


@pytest.mark.parametrize(("template", "code"), REFUSED)
async def test_it_refuses_what_is_not_allowed_and_connects_nowhere(
    template: str, code: str
) -> None:
    async with listening() as canary:
        with pytest.raises(OutboundRefused) as refused:
            rules = policy("ok.example")
            await fetch(rules, rules.check_url(template.format(port=canary.port)))
        assert refused.value.code == code
        assert not canary.requests


@pytest.mark.parametrize("url", METADATA)
def test_it_refuses_metadata_addresses_even_when_everything_is_allowed(url: str) -> None:
    rules = policy("0.0.0.0/0", "::/0", "metadata.google.internal", "instance-data")
    with pytest.raises(OutboundRefused) as refused:
        rules.check_url(url)
    assert refused.value.code == "metadata"


@given(ADDRESSES)
def test_it_judges_every_address_by_the_networks(address: outbound.Address) -> None:
    rules = policy("10.0.0.0/8", "fd12::/16")
    host = f"[{address}]" if address.version == 6 else str(address)
    expected = any(address.version == n.version and address in n for n in rules.networks)
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        expected = mapped in rules.networks[0]
    try:
        rules.check_url(f"http://{host}/v1")
        allowed = True
    except OutboundRefused:
        allowed = False
    assert allowed == expected


@given(st.text(max_size=60))
def test_it_answers_any_text_with_a_url_or_a_refusal(text: str) -> None:
    for url in (text, f"http://{text}", f"http://ok.example{text}"):
        try:
            checked = policy("ok.example").check_url(url)
        except OutboundRefused as refused:
            assert str(refused)
        else:
            assert aiohttp.client.URL(checked).host == "ok.example"


async def test_it_reaches_an_allowed_network_and_host_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening() as canary:
        assert await fetch(policy(*LOOPBACK), canary.url) == "reached"
        names(monkeypatch, ["127.0.0.1"])
        assert await fetch(policy("vllm"), f"http://VLLM.:{canary.port}/") == "reached"
        assert await fetch(policy(*LOOPBACK), f"http://x.test:{canary.port}/") == "reached"
        assert await fetch(policy(*LOOPBACK), f"http://[::ffff:127.0.0.1]:{canary.port}/")


async def test_it_refuses_a_name_of_which_one_address_lies_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening() as canary:
        names(monkeypatch, ["127.0.0.1", "192.0.2.7"])
        with pytest.raises(OutboundRefused, match="resolves to an address outside") as refused:
            await fetch(policy(*LOOPBACK), f"http://two.test:{canary.port}/")
        assert "two.test" in refused.value.url
        assert "PORTAL_OUTBOUND_ALLOW" in refused.value.hint
        assert not canary.requests


@pytest.mark.parametrize("bad", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0"])
async def test_it_refuses_a_listed_name_that_points_at_metadata(
    monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    names(monkeypatch, ["127.0.0.1", bad])
    with pytest.raises(OutboundRefused) as refused:
        await fetch(policy("vllm"), "http://vllm:1/")
    assert refused.value.code == "metadata"


async def test_it_catches_a_name_that_answers_differently_the_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def close(request: web.Request) -> web.Response:
        return web.Response(text="reached", headers={"Connection": "close"})

    async with listening(close) as canary, policy("127.0.0.2/32").session() as session:
        asked = names(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://rebind.test:{canary.port}/")
        with pytest.raises(OutboundRefused):
            await session.get(f"http://rebind.test:{canary.port}/")
        assert len(asked) == 2
        assert not canary.requests


async def test_it_reaches_an_address_by_its_listed_name_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names(monkeypatch, ["127.0.0.1"])
    async with listening() as canary, policy("vllm").session() as session:
        async with session.get(f"http://vllm:{canary.port}/") as response:
            assert await response.text() == "reached"
        with pytest.raises(OutboundRefused):
            await session.get(canary.url)
        assert len(canary.requests) == 1


async def test_it_connects_to_the_judged_address_and_to_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The socket itself refuses, also when resolver and URL check have been walked around."""
    async with listening() as canary, policy("ok.example").session() as session:
        with pytest.raises(OutboundRefused):
            await session.get(canary.url, middlewares=())
        assert not canary.requests


async def test_it_follows_no_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/"})

    async with listening(away) as canary:
        with pytest.raises(OutboundRefused) as refused:
            await fetch(policy(*LOOPBACK), canary.url)
        assert refused.value.code == "redirect"
        assert len(canary.requests) == 1


async def test_it_takes_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as canary, listening() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        rules = policy(*LOOPBACK)
        assert await fetch(rules, canary.url) == "reached"
        async with rules.session() as session:
            with pytest.raises(OutboundRefused) as refused:
                await session.get(canary.url, proxy=proxy.url)
        assert refused.value.code == "proxy"
        assert not proxy.requests


async def test_it_stops_reading_a_reply_that_is_too_large() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with pytest.raises((ConnectionResetError, aiohttp.ClientConnectionResetError)):
            for _ in range(10_000):
                await response.write(b"x" * 10_000)
                sent += 10_000
        return response

    async with listening(endless) as canary:
        with pytest.raises(OutboundRefused) as refused:
            await fetch(policy(*LOOPBACK), canary.url)
        assert refused.value.code == "too_large"
        await asyncio.sleep(0.1)
    assert sent < 20_000_000


async def test_it_stops_at_an_announced_size_and_at_a_compressed_bomb() -> None:
    async def large(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100001"})
        await response.prepare(request)
        await asyncio.sleep(30)  # never gets to send it: the announcement is enough
        return response

    async def bomb(request: web.Request) -> web.Response:
        body = gzip.compress(b"0" * 50_000_000)
        assert len(body) < 100_000
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    for handler in (large, bomb):
        async with listening(handler) as canary:
            with pytest.raises(OutboundRefused) as refused:
                await asyncio.wait_for(fetch(policy(*LOOPBACK), canary.url), 10)
            assert refused.value.code == "too_large"


async def test_it_reads_a_reply_of_exactly_the_allowed_size() -> None:
    async def exact(request: web.Request) -> web.Response:
        return web.Response(text="x" * 100_000)

    async with listening(exact) as canary:
        assert len(await fetch(policy(*LOOPBACK), canary.url)) == 100_000


async def test_it_gives_up_a_name_that_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        await asyncio.sleep(30)
        return []

    monkeypatch.setattr(outbound, "lookup", silent)
    rules = OutboundPolicy(("vllm",), 1000, connect_timeout=0.05)
    async with asyncio.timeout(5) as patience:
        with pytest.raises(TimeoutError):
            await fetch(rules, "http://vllm/")
    assert not patience.expired()


def test_it_names_the_host_and_the_way_out_but_no_password() -> None:
    with pytest.raises(OutboundRefused) as refused:
        policy("ok.example").check_url("http://10.1.2.3:8000/v1?key=secret")
    assert "10.1.2.3" in str(refused.value)
    assert "PORTAL_OUTBOUND_ALLOW" in str(refused.value)
    with pytest.raises(OutboundRefused) as refused:
        policy("ok.example").check_url("http://me:hunter2@ok.example/v1")
    assert "hunter2" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "entry", ["http://vllm", "vllm:8000", "*", "10.0.0.5/8", "1.2.3", "", "a b", "10.0.0.0/33"]
)
def test_it_refuses_an_allow_list_it_cannot_read(entry: str) -> None:
    with pytest.raises(ValueError, match="PORTAL_OUTBOUND_ALLOW"):
        policy(entry)
