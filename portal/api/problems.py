"""Errors as JSON (RFC 9457): what is wrong, where, and the way out; never a page, never a trace."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

PREFIX = "/api/"
PAGES = {"/api/v1/docs"}  # for people
MEDIA_TYPE = "application/problem+json"
PASSED_ON = ("Allow", "Retry-After", "WWW-Authenticate")
SENTENCES = {
    400: gettext_lazy("This request cannot be understood."),
    401: gettext_lazy("Send a key: “Authorization: Bearer pst_…”. Administrators issue keys."),
    403: gettext_lazy("This is not allowed."),
    404: gettext_lazy("There is no such thing in this project."),
    405: gettext_lazy("This address does not take that method. The header Allow names those."),
    413: gettext_lazy("The body is too large."),
    500: gettext_lazy("The portal made a mistake. Its log has the details."),
}


class Fault(NamedTuple):
    """One wrong field. ``value`` is left out where it could be a secret."""

    field: str
    message: str
    value: Any = None

    def as_json(self) -> dict[str, Any]:
        found = {"field": self.field, "message": self.message}
        return found if self.value is None else found | {"value": self.value}


class Problem(Exception):
    """An operation refuses; becomes the answer."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Iterable[Fault] = (),
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, list(errors)
        self.headers, self.more = headers or {}, more

    def response(self) -> HttpResponse:
        content = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "errors": [fault.as_json() for fault in self.errors],
            **self.more,
        }
        text = json.dumps(content, ensure_ascii=True, default=str)
        answer = HttpResponse(text, status=self.status, content_type=MEDIA_TYPE)
        for name, value in self.headers.items():
            answer[name] = value
        return answer


def invalid(field: str, message: str, value: Any = None) -> Problem:
    """One field that cannot be used."""
    detail = _("“%(field)s” cannot be used. %(message)s") % {"field": field, "message": message}
    return Problem(422, detail, [Fault(field, message, value)])


class ProblemsMiddleware:
    """Outermost: below ``/api/`` every error is JSON, whoever made it; nothing is cached."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not request.path_info.startswith(PREFIX) or request.path_info in PAGES:
            return response
        status = response.status_code
        if status >= 400 and response.get("Content-Type") != MEDIA_TYPE:
            headers = {name: response[name] for name in PASSED_ON if name in response}
            detail = SENTENCES.get(status) or HTTPStatus(status).phrase
            response = Problem(status, str(detail), headers=headers).response()
        response.headers.setdefault("Cache-Control", "no-store")
        return response
