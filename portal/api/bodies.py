"""Bodies of requests: bounded, JSON, and nothing in them that no database takes."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import RawPostDataException
from django.utils.translation import gettext as _

from portal.api.problems import Fault, Problem, invalid

MAX_BODY = 1024 * 1024  # bytes
MAX_FILE = 32 * MAX_BODY  # of operations whose body is a file
FILE = "application/zip"


def read(request: HttpRequest) -> Any:
    """The JSON of the body. Raises Problem: 413, 415, 400 or 422."""
    raw = bounded(request)
    if request.content_type != "application/json":
        detail = _("Send JSON, with “Content-Type: application/json”.")
        raise Problem(415, detail, [Fault("Content-Type", detail, request.content_type[:100])])
    try:
        data = json.loads(raw, parse_constant=_no_number)
    except RecursionError:
        raise Problem(400, _("The JSON is nested too deeply.")) from None
    except ValueError as error:  # malformed, not UTF-8, or a number of thousands of digits
        said = _("The body is no JSON: %(error)s") % {"error": str(error)[:200]}
        raise Problem(400, said) from None
    check(data)
    return data


def file(request: HttpRequest) -> bytes:
    """The file that is the body. Raises Problem: 413 or 415."""
    if request.content_type != FILE:
        detail = _("Send the file itself, with “Content-Type: %(type)s”.") % {"type": FILE}
        raise Problem(415, detail, [Fault("Content-Type", detail, request.content_type[:100])])
    return bounded(request, MAX_FILE)


def bounded(request: HttpRequest, most: int = MAX_BODY) -> bytes:
    """The body, unless it is larger than ``most`` bytes."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    try:
        if length.isascii() and length.isdigit() and int(length) > most:
            raise RequestDataTooBig
        if most > MAX_BODY and not hasattr(request, "_body"):
            # Django has one limit for all bodies, which is that of forms.
            request._body = request.read(most + 1)
        raw = request.body
    except (RequestDataTooBig, RawPostDataException):
        raise too_large(most) from None
    if len(raw) > most:
        raise too_large(most)
    return raw


def too_large(most: int = MAX_BODY) -> Problem:
    return Problem(413, _("The body is larger than %(count)d bytes.") % {"count": most})


def check(value: Any, field: str = "") -> None:
    """Raise Problem, naming the field, where a text holds what PostgreSQL refuses."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
            raise invalid(field or "body", _("The text holds NUL or half a character."))
    elif isinstance(value, dict):
        for key, inner in value.items():
            check(key, field or "body")
            check(inner, f"{field}.{key}" if field else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            check(inner, f"{field}[{number}]")


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")
