"""``/metrics`` in the text format of Prometheus, for whoever has the token.

Requests and their time are counted by the process that answered; what apps tell with a
method of their AppConfig, ``metrics() -> Iterable[Metric]``, is read from the database.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterator
from time import perf_counter

from django.apps import apps
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import Metric

log = logging.getLogger("portal.requests")
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
SECONDS = Histogram(
    "portal_request_seconds",
    "Time from the first middleware to the response, by route and class of status.",
    ["method", "route", "status"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
QUIET = {"healthz", "readyz", "metrics"}  # asked by machines every few seconds


class _Apps:
    """What the apps have to tell, asked anew each time."""

    def collect(self) -> Iterator[Metric]:
        for config in apps.get_app_configs():
            if hasattr(config, "metrics"):
                yield from config.metrics()

    def describe(self) -> list[Metric]:
        return []  # or the registry would ask the database when it is made


REGISTRY.register(_Apps())  # type: ignore[arg-type]


@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics, to a request with ``Authorization: Bearer PORTAL_METRICS_TOKEN``; else 404."""
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "")
    if not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise Http404
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


class RequestMiddleware:
    """Count and log each request by its route, never by its address, which may hold a secret."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = perf_counter()
        response = self.get_response(request)
        seconds = perf_counter() - began
        match = request.resolver_match
        route = f"/{match.route}" if match else "none"
        # Unknown methods are written by strangers: each would become a row of its own.
        method = request.method if request.method in METHODS else "other"
        SECONDS.labels(method, route, f"{response.status_code // 100}xx").observe(seconds)
        if not match or match.view_name not in QUIET:
            user = getattr(request, "user", None)
            facts = {
                "method": method,
                "route": route,
                "status": response.status_code,
                "ms": round(1000 * seconds, 1),
                "user": user.pk if user and user.is_authenticated else None,
            }
            log.info("%(method)s %(route)s %(status)s %(ms)s ms", facts, extra=facts)
        return response
