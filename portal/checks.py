"""Misconfiguration told before it hurts, each with a hint that names the variable."""

from __future__ import annotations

import os
import tempfile
import zoneinfo
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from portal.outbound import OutboundPolicy, OutboundRefused

BROKERS = {"embedded", "redis", "rediss"}


def is_local(host: str) -> bool:
    """Whether only this machine reaches ``host`` (an entry of ALLOWED_HOSTS)."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _foreign_hosts() -> list[str]:
    return [host for host in settings.ALLOWED_HOSTS if not is_local(host)]


@register(Tags.security)
def debug_stays_local(**kwargs: Any) -> list[CheckMessage]:
    if not settings.DEBUG or not (hosts := _foreign_hosts()):
        return []
    return [
        Error(
            f"PORTAL_DEBUG is on while other machines may ask for {', '.join(hosts)}: "
            "error pages would show them settings and source.",
            hint="Unset PORTAL_DEBUG, or leave only localhost in PORTAL_ALLOWED_HOSTS.",
            id="portal.E001",
        )
    ]


@register(Tags.security)
def foreign_hosts_use_https(**kwargs: Any) -> list[CheckMessage]:
    if settings.HTTPS or not (hosts := _foreign_hosts()):
        return []
    return [
        Warning(
            f"Passwords for {', '.join(hosts)} would travel unencrypted.",
            hint="Put a proxy with TLS in front of the portal and set PORTAL_HTTPS=1.",
            id="portal.W001",
        )
    ]


@register(Tags.security)
def shared_secrets_are_given(**kwargs: Any) -> list[CheckMessage]:
    """Several machines share a PostgreSQL; each would make up secrets of its own."""
    if not settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        return []
    unset = [
        name for name in ("PORTAL_SECRET_KEY", "PORTAL_ENCRYPTION_KEYS") if not os.environ.get(name)
    ]
    if not unset:
        return []
    return [
        Warning(
            f"PostgreSQL is in use, but {' and '.join(unset)} came from files of this machine: "
            "another one could read neither sessions nor stored endpoint keys.",
            hint=f"Set {' and '.join(unset)} to the same long random text everywhere.",
            id="portal.W002",
        )
    ]


@register
def data_folder_is_writable(**kwargs: Any) -> list[CheckMessage]:
    folder = Path(settings.DATA_DIR)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return []
    except OSError as error:
        return [
            Error(
                f"The data folder {folder} cannot be written: {error.strerror}.",
                hint="Point PORTAL_DATA_DIR to a folder that this account owns.",
                id="portal.E002",
            )
        ]


@register(Tags.security, deploy=True)
def data_folder_is_private(**kwargs: Any) -> list[CheckMessage]:
    """Its database holds sessions and answers, whoever its files belong to."""
    folder = Path(settings.DATA_DIR)
    if not folder.is_dir() or not folder.stat().st_mode & 0o007:
        return []
    return [
        Warning(
            f"Every account of this machine can look into the data folder {folder}.",
            hint=f"chmod o-rwx {folder}",
            id="portal.W004",
        )
    ]


@register
def broker_is_known(**kwargs: Any) -> list[CheckMessage]:
    scheme = urlsplit(settings.BROKER_URL).scheme
    if scheme in BROKERS:
        return []
    return [
        Error(
            f"PORTAL_BROKER_URL starts with {scheme!r}, which is not a known broker.",
            hint="Use redis://host:6379/0, or unset it for the embedded broker.",
            id="portal.E003",
        )
    ]


@register
def time_zone_is_known(**kwargs: Any) -> list[CheckMessage]:
    try:
        zoneinfo.ZoneInfo(settings.TIME_ZONE)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return [
            Error(
                f"PORTAL_TIME_ZONE={settings.TIME_ZONE!r} is not a known time zone.",
                hint="Use a name such as Europe/Berlin.",
                id="portal.E004",
            )
        ]
    return []


@register(Tags.security)
def outbound_list_is_readable(**kwargs: Any) -> list[CheckMessage]:
    try:
        OutboundPolicy(allow=tuple(settings.OUTBOUND_ALLOW), max_bytes=settings.OUTBOUND_MAX_BYTES)
    except ValueError as error:
        return [
            Error(
                f"PORTAL_OUTBOUND_ALLOW cannot be used: {error}",
                hint="Write host names and networks, separated by commas: gpu01,10.20.0.0/16",
                id="portal.E005",
            )
        ]
    return []


@register(Tags.security)
def openid_provider_can_be_used(**kwargs: Any) -> list[CheckMessage]:
    if not settings.OIDC_ISSUER:
        return []
    found: list[CheckMessage] = []
    app = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]
    if not app["client_id"]:
        found.append(
            Error(
                "PORTAL_OIDC_ISSUER is set, but PORTAL_OIDC_CLIENT_ID is not.",
                hint="Register the portal at the provider and enter what it gives you.",
                id="portal.E007",
            )
        )
    if settings.OIDC_DEFAULT_ROLE not in {"", "engineer", "rater", "viewer"}:
        found.append(
            Error(
                f"PORTAL_OIDC_DEFAULT_ROLE={settings.OIDC_DEFAULT_ROLE!r} is not a role for "
                "everybody whom the provider knows.",
                hint="Write viewer, rater or engineer, or leave it unset.",
                id="portal.E008",
            )
        )
    try:
        OutboundPolicy(
            allow=tuple(settings.OUTBOUND_ALLOW), max_bytes=settings.OUTBOUND_MAX_BYTES
        ).check_url(settings.OIDC_ISSUER)
    except OutboundRefused as error:
        found.append(
            Error(
                f"PORTAL_OIDC_ISSUER cannot be reached: {error}",
                hint="Name the hosts of the provider in PORTAL_OUTBOUND_ALLOW.",
                id="portal.E009",
            )
        )
    except ValueError:
        pass  # told by the check of the list itself
    parts = urlsplit(settings.OIDC_ISSUER)
    if parts.scheme != "https" and not is_local(parts.hostname or ""):
        found.append(
            Warning(
                "PORTAL_OIDC_ISSUER is not https: whoever sits between can sign in as anybody.",
                hint="Use the https address of the provider.",
                id="portal.W003",
            )
        )
    return found


@register()
def lease_outlives_the_sweep(**kwargs: Any) -> list[CheckMessage]:
    if settings.LEASE_SECONDS >= 2 and settings.LEASE_SECONDS > settings.SWEEP_SECONDS:
        return []
    return [
        Error(
            f"A lease of {settings.LEASE_SECONDS:g} s with a sweep every "
            f"{settings.SWEEP_SECONDS:g} s takes jobs away from workers that live.",
            hint="Leave PORTAL_LEASE_SECONDS at 15 and PORTAL_SWEEP_SECONDS at 5.",
            id="portal.E006",
        )
    ]
