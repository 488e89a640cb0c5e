"""One view, two answers: the whole page, or the part of it that htmx asked for."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def wants_part(request: HttpRequest) -> bool:
    """True when a script of ours asked, not somebody who opens or goes back to the address."""
    htmx = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def page_or_part(
    request: HttpRequest,
    template: str,
    context: dict[str, Any] | None = None,
    *,
    part: str,
    status: int = 200,
) -> HttpResponse:
    """``template`` as a page, or only its ``{% partialdef part %}`` for htmx.

    Form errors take ``status=422``, which the pages' htmx swaps like a success.
    """
    name = f"{template}#{part}" if wants_part(request) else template
    response = render(request, name, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def unchanged() -> HttpResponse:
    """204: the part that polls is up to date, so htmx leaves it alone."""
    return HttpResponse(status=204)
