"""The API itself: operations of the apps behind one guard."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError, ValidationErrorContext
from ninja.operation import Operation
from ninja.parser import Parser

from portal.accounts.models import Scope
from portal.api import bodies, document, repeats
from portal.api.callers import identify
from portal.api.problems import SENTENCES, Fault, Problem

MOUNT = "/api/v1/"
HIDDEN = {"api_key"}  # fields whose value is never sent back
LONGEST = 200


class BoundedParser(Parser):
    """The guard has read and checked the body before."""

    def parse_body(self, request: HttpRequest) -> Any:
        return request.json

    def parse_querydict(self, data: Any, list_fields: list[str], request: HttpRequest) -> Any:
        found = super().parse_querydict(data, list_fields, request)
        bodies.check(found)
        return found


class Api(NinjaAPI):
    def validation_error_from_error_contexts(
        self, error_contexts: list[ValidationErrorContext]
    ) -> ValidationError:
        """With the value that was sent, which people need to find their mistake."""
        return ValidationError(
            [
                {"source": context.model.__ninja_param_source__, **error}
                for context in error_contexts
                for error in context.pydantic_validation_error.errors(include_url=False)
            ]
        )


def guarded(run: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Before each operation: size, caller, rate, scope, body; around it: audit and repeats."""
    operation: Operation = run.__self__  # type: ignore[attr-defined]
    scope: Scope = operation.auth_callbacks[0].scope
    body = [model for model in operation.models if model.__ninja_param_source__ == "body"]
    needs_json = any(field.is_required() for model in body for field in model.model_fields.values())
    takes_file = "requestBody" in (operation.openapi_extra or {})

    @wraps(run)
    def guarded_run(request: HttpRequest, **arguments: Any) -> HttpResponse:
        try:
            request.caller = caller = identify(request)
            if not getattr(request, "scope", {}).get("polled"):
                caller.count()
            caller.demand(scope)
            request.project = caller.project
            if takes_file:
                bodies.file(request)
            bodies.bounded(request, bodies.MAX_FILE if takes_file else bodies.MAX_BODY)
            if body and (needs_json or request.body):
                request.json = bodies.read(request)
            with caller.acting():
                if request.method == "POST" and repeats.HEADER in request.headers:
                    return repeats.once(request, caller.project, lambda: run(request, **arguments))
                return run(request, **arguments)
        except Problem as problem:
            return problem.response()

    return guarded_run


@cache
def api() -> NinjaAPI:
    """The API with the routers of all apps."""
    made = Api(
        title="Prüfstand",
        version="1",
        description=document.INTRODUCTION,
        docs_url=None,
        openapi_url=None,
        urls_namespace="api",
        parser=BoundedParser(),
    )
    made.add_decorator(guarded, mode="view")
    made.add_router("", "portal.api.own.router")
    for config in apps.get_app_configs():
        if router := getattr(config, "api_router", ""):
            made.add_router("", router)
    made.add_exception_handler(Problem, lambda request, error: error.response())
    made.add_exception_handler(Http404, lambda request, error: _missing().response())
    made.add_exception_handler(
        PermissionDenied, lambda request, error: Problem(403, str(error)).response()
    )
    made.add_exception_handler(
        HttpError, lambda request, error: Problem(error.status_code, str(error)).response()
    )
    made.add_exception_handler(ValidationError, _invalid)
    return made


def urls() -> tuple[list[URLPattern], str]:
    """For ``include``: everybody reaches the operations, the guard decides."""
    patterns = [pattern for pattern in api().urls[0] if pattern.name != "api-root"]
    for pattern in patterns:
        pattern.callback.login_required = False
    return patterns, "api"


def operations() -> list[tuple[str, str, Operation]]:
    """Every operation: method, path below the API, and what it is."""
    return [
        (method, path, operation)
        for bound in api()._get_bound_routers()
        for path, view in bound.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    ]


def _missing() -> Problem:
    return Problem(404, str(SENTENCES[404]))


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    if any(each["source"] == "path" for each in error.errors):
        return _missing().response()
    faults = [_fault(each) for each in error.errors]
    detail = _("Some fields cannot be used; “errors” names them.")
    return Problem(422, detail, faults).response()


def _fault(error: dict[str, Any]) -> Fault:
    # The first part is the name of the function's argument, which no caller knows.
    path = [str(part) for part in error["loc"][1:]] or [error["source"]]
    field = ".".join(part for part in path if not part.startswith(("function-", "constrained-")))
    value = error.get("input")
    if HIDDEN & set(path) or error["type"] == "missing" or isinstance(value, dict | list):
        value = None
    if isinstance(value, str):
        value = value[:LONGEST]
    return Fault(field, error["msg"], value)
