"""The only way out: which hosts the portal may connect to, and how.

Three gates stand behind each other, because each alone has been walked around
elsewhere: the URL is parsed strictly, every address a name resolves to is
judged at each new connection, and the socket is only made for an address that
was judged. No Django here: the caller reads the settings.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Never reached, whatever the allow-list says: cloud metadata services, link-local,
# unspecified, multicast and reserved addresses.
FORBIDDEN: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure
        "169.254.0.0/16",
        "192.0.0.192/32",  # Oracle Cloud
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "64:ff9b:1::/48",  # translation of any length: what it reaches cannot be told
        "fd00:42::42/128",  # Scaleway
        "fd00:ec2::254/128",  # AWS
        "fd20:ce::254/128",  # Google Cloud
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
METADATA_NAMES = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.azure.internal",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "metadata.tencentyun.com",
    }
)
NAT64 = ip_network("64:ff9b::/96")
COMPATIBLE = ip_network("::/96")
ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})


def gettext_noop(sentence: str) -> str:
    """Mark ``sentence`` for the catalogues; whoever shows it translates it."""
    return sentence


SETTING = gettext_noop("Add the host or its network to PORTAL_OUTBOUND_ALLOW.")
REFUSALS: dict[str, tuple[str, str]] = {
    "malformed": (
        gettext_noop("The address cannot be read."),
        gettext_noop("Write it as http://host:port/v1."),
    ),
    "scheme": (
        gettext_noop("Only http and https are allowed."),
        gettext_noop("Write it as http://host:port/v1."),
    ),
    "credentials": (
        gettext_noop("The address holds a user name or password."),
        gettext_noop("Remove the part before the @ and enter a key instead."),
    ),
    "number": (
        gettext_noop("The host is a number that programs read differently."),
        gettext_noop("Write an IP address as four decimal numbers, or in brackets."),
    ),
    "metadata": (
        gettext_noop("It is a metadata, link-local or reserved address."),
        gettext_noop(
            "Such addresses are always refused; PORTAL_OUTBOUND_ALLOW does not change that."
        ),
    ),
    "not_allowed": (
        gettext_noop("The host is not on the list of allowed hosts and networks."),
        SETTING,
    ),
    "resolves_elsewhere": (
        gettext_noop("The name resolves to an address outside the allowed networks."),
        SETTING,
    ),
    "redirect": (
        gettext_noop("The server answers with a redirect, which is never followed."),
        gettext_noop("Enter the final address, and allow it in PORTAL_OUTBOUND_ALLOW."),
    ),
    "proxy": (gettext_noop("Connections through a proxy are not allowed."), SETTING),
    "too_large": (
        gettext_noop("The reply is larger than allowed."),
        gettext_noop("Raise PORTAL_OUTBOUND_MAX_BYTES if replies of this size are expected."),
    ),
}


class OutboundRefused(Exception):
    """The portal does not connect there, or does not read on.

    ``code`` is a key of ``REFUSALS`` and stays the same; ``url`` carries neither
    credentials nor query; ``reason`` and ``hint`` are sentences for people.
    """

    def __init__(self, url: str, code: str) -> None:
        self.url = printable(url)
        self.code = code
        self.reason, self.hint = REFUSALS[code]
        super().__init__(f"{self.url}: {self.reason} {self.hint}")


def printable(url: str) -> str:
    """``url`` fit for a message: no credentials, query or control characters, 200 at most."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    bare = re.sub(r"//[^/]*@", "//", bare)
    return "".join(c if c.isprintable() else "�" for c in bare)[:200]


@dataclass(frozen=True)
class OutboundPolicy:
    """Where connections may go and how much they may bring.

    ``allow`` holds exact host names and networks (an address is a network of one);
    ``max_bytes`` bounds a reply after decompression; ``connect_timeout`` is in seconds
    and counts name lookup and connection, each.
    Raises ``ValueError`` for an entry that is neither a host name nor a network.
    """

    allow: tuple[str, ...]
    max_bytes: int
    connect_timeout: float = 10.0
    names: frozenset[str] = field(init=False, repr=False, compare=False)
    networks: tuple[Network, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names, networks = set(), []
        for entry in self.allow:
            if _looks_numeric(entry):
                try:
                    networks.append(ip_network(entry.strip("[]")))
                except ValueError as wrong:
                    raise ValueError(f"PORTAL_OUTBOUND_ALLOW: {wrong}.") from None
            elif _is_name(entry.lower()):
                names.add(entry.lower())
            else:
                raise ValueError(
                    f"PORTAL_OUTBOUND_ALLOW: {entry!r} is neither a host name nor a network."
                )
        object.__setattr__(self, "names", frozenset(names))
        object.__setattr__(self, "networks", tuple(networks))

    def check_url(self, url: str) -> str:
        """``url`` as it may be used, or ``OutboundRefused``; looks up no name.

        A name that is not listed passes here when networks are allowed; what it
        resolves to is judged at every connection.
        """
        host = _host(url)
        if isinstance(host, str):
            if host in METADATA_NAMES:
                raise OutboundRefused(url, "metadata")
            if host not in self.names and not self.networks:
                raise OutboundRefused(url, "not_allowed")
        elif code := self._verdict(host, listed=False):
            raise OutboundRefused(url, code)
        return str(URL(url).with_host(str(host)))

    def check_address(self, host: str, address: str) -> None:
        """Raise ``OutboundRefused`` unless ``host`` may be reached at ``address``."""
        code = self._verdict(ip_address(address), listed=host in self.names)
        if code:
            raise OutboundRefused(
                f"{host} ({address})", "resolves_elsewhere" if code == "not_allowed" else code
            )

    def _verdict(self, address: Address, *, listed: bool) -> str | None:
        """The code that forbids ``address``, or None."""
        if any(_inside(each, FORBIDDEN) for each in _readings(address)):
            return "metadata"
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return None if listed or _inside(address, self.networks) else "not_allowed"

    def session(
        self,
        *,
        limit: int = 100,
        timeout: aiohttp.ClientTimeout | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> aiohttp.ClientSession:
        """A session that only connects where this policy allows; to be closed by the caller.

        ``limit`` bounds open connections. Errors: ``OutboundRefused`` besides aiohttp's own.
        No proxy or netrc from the environment, no cookies, no redirects; ``read()``,
        ``text()`` and ``json()`` of a reply stop at ``max_bytes``.
        """
        pinned = _PinnedAddresses(self)
        connector = aiohttp.TCPConnector(
            limit=limit,
            resolver=pinned,
            use_dns_cache=False,
            socket_factory=pinned.socket,
            # One address after the other: the race of both families swallows a refusal.
            happy_eyeballs_delay=None,
        )
        given = timeout or aiohttp.ClientTimeout()
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(
                total=given.total,
                sock_read=given.sock_read,
                sock_connect=self.connect_timeout,
            ),
            headers={"Accept-Encoding": "identity"} | (headers or {}),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            middlewares=(self._guard,),
            response_class=_bounded_response(self.max_bytes),
            **options,
        )

    async def _guard(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Judge the URL that aiohttp really uses, before and after it is sent."""
        url = str(request.url)
        _judged(self, url)
        if request.proxy is not None:
            raise OutboundRefused(url, "proxy")
        response = await send(request)
        code = None
        if 300 <= response.status < 400:
            code = "redirect"
        elif (response.content_length or 0) > self.max_bytes:
            code = "too_large"
        if code:
            response.close()
            raise OutboundRefused(url, code)
        return response


class _PinnedAddresses(AbstractResolver):
    """Resolves names, judges every address, and makes sockets for judged addresses only."""

    def __init__(self, policy: OutboundPolicy) -> None:
        self.policy = policy
        self.judged: set[str] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        name = host.lower().removesuffix(".")
        if name in METADATA_NAMES:
            raise OutboundRefused(host, "metadata")
        found = await asyncio.wait_for(lookup(name, port), self.policy.connect_timeout)
        # One bad address refuses the name: half an answer is how rebinding starts.
        for _, address in found:
            self.policy.check_address(name, address)
        self.judged.update(address for _, address in found)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in found
        ]

    def socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """A socket for the address in ``info``, which is the one that gets connected."""
        family, kind, protocol, _, peer = info
        if peer[0] not in self.judged:
            self.policy.check_address(peer[0], peer[0])
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Nothing is kept open between look-ups."""


@lru_cache(maxsize=1024)
def _judged(policy: OutboundPolicy, url: str) -> None:
    """Raise ``OutboundRefused`` unless ``url`` may be used; thousands of requests ask for one."""
    policy.check_url(url)


async def lookup(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    """Family and address of everything ``host`` resolves to, as the system says."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(address[0])) for family, _, _, _, address in found]


def _bounded_response(max_bytes: int) -> type[aiohttp.ClientResponse]:
    class Bounded(aiohttp.ClientResponse):
        """A reply whose body is read in pieces and given up beyond ``max_bytes``."""

        async def read(self) -> bytes:
            if self._body is None:
                pieces, size = [], 0
                try:
                    # Counted after decompression, so a small bomb is caught too.
                    async for piece in self.content.iter_any():
                        size += len(piece)
                        if size > max_bytes:
                            raise OutboundRefused(str(self.url), "too_large")
                        pieces.append(piece)
                except BaseException:
                    self.close()
                    raise
                self._body = b"".join(pieces)
            return await super().read()

    return Bounded


def _host(url: str) -> str | Address:
    """The host of ``url``: a lower-case name or an address. Raises ``OutboundRefused``.

    What two parsers could read differently is refused, not repaired.
    """
    if "\\" in url or any(c.isspace() or not c.isprintable() for c in url):
        raise OutboundRefused(url, "malformed")
    try:
        parts, used = urlsplit(url), URL(url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
        same = _plain(host) == _plain((used.host or "").lower().removesuffix("."))
    except ValueError:
        raise OutboundRefused(url, "malformed") from None
    if parts.scheme not in {"http", "https"}:
        raise OutboundRefused(url, "scheme")
    if "@" in parts.netloc:
        raise OutboundRefused(url, "credentials")
    if not same or port == 0 or "%" in parts.netloc or not parts.netloc.isascii():
        raise OutboundRefused(url, "malformed")
    plain = _plain(host)
    if isinstance(plain, str) and _looks_numeric(plain):
        raise OutboundRefused(url, "number")
    if isinstance(plain, str) and not _is_name(plain):
        raise OutboundRefused(url, "malformed")
    return plain


def _plain(host: str) -> str | Address:
    """``host`` as an address when it is one: an IPv6 address has many spellings."""
    try:
        return ip_address(host)
    except ValueError:
        return host


def _is_name(host: str) -> bool:
    label = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
    return len(host) <= 253 and re.fullmatch(rf"{label}(\.{label})*", host) is not None


def _looks_numeric(host: str) -> bool:
    """Whether some program would read ``host`` as an address (decimal, octal, hex, short)."""
    last = host.split("/")[0].rsplit(".", 1)[-1].lower()
    return ":" in host or re.fullmatch(r"\d+|0x[0-9a-f]*", last) is not None


def _readings(address: Address) -> Iterator[Address]:
    """``address`` and every IPv4 address that a router may take out of it."""
    yield address
    if isinstance(address, IPv4Address):
        return
    low = int(address) & 0xFFFF_FFFF
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in NAT64 or (address in COMPATIBLE and low > 0xFFFF):
        yield IPv4Address(low)
    if (int(address) >> 32) & 0xFFFF_FFFF in ISATAP:
        yield IPv4Address(low)


def _inside(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == n.version and address in n for n in networks)
