from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language

from portal.accounts.models import Role
from portal.accounts.permissions import MEMBER, may, require
from portal.help.pages import Page, pages


@require(MEMBER)
def index(request: HttpRequest) -> HttpResponse:
    """The first page that is meant for the person."""
    return redirect("help:page", slug=_pages(request)[0].slug)


@require(MEMBER)
def page(request: HttpRequest, slug: str) -> HttpResponse:
    found = _pages(request)
    current = next((page for page in found if page.slug == slug), None)
    if current is None:
        raise Http404
    return render(request, "help/page.html", {"pages": found, "page": current})


def _pages(request: HttpRequest) -> list[Page]:
    """Raters read how to rate; the others read that, too, after their own pages."""
    found = pages((get_language() or "").partition("-")[0])
    return [page for page in found if may(request, Role.VIEWER) or page.is_for_raters]
