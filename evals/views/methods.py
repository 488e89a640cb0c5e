from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def methods(request: HttpRequest) -> HttpResponse:
    """How each number is computed."""
    return render(request, "evals/methods.html")
