"""Tell in each reply what it cost: ``Server-Timing: all;dur=12.3, cpu;dur=9.8, queries;dur=7``."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse


class Timing:
    """Outermost middleware: wall and processor time in milliseconds, and database queries."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        queries = 0

        def count(execute: Callable[..., Any], *args: Any) -> Any:
            nonlocal queries
            queries += 1
            return execute(*args)

        wall, cpu = perf_counter(), thread_time()
        with connection.execute_wrapper(count):
            response = self.get_response(request)
        wall, cpu = 1000 * (perf_counter() - wall), 1000 * (thread_time() - cpu)
        response["Server-Timing"] = f"all;dur={wall:.2f}, cpu;dur={cpu:.2f}, queries;dur={queries}"
        return response
