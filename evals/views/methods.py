from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from portal.accounts.models import Role
from portal.accounts.permissions import require


@require(Role.VIEWER)
def methods(request: HttpRequest) -> HttpResponse:
    """How each number is computed."""
    return render(request, "evals/methods.html")
