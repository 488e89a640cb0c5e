"""The page that lists the operations of the API, in the portal's own look."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from portal.accounts.models import Role
from portal.accounts.permissions import require
from portal.api import document


@require(Role.VIEWER)
def operations(request: HttpRequest) -> HttpResponse:
    """Every operation by subject: what it does, takes and answers, out of the OpenAPI document."""
    found = document.document()
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            row = _row(method.upper(), path, operation, found["components"]["schemas"])
            groups.setdefault(operation["tags"][0], []).append(row)
    return render(request, "api.html", {"groups": groups})


def _row(
    method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]
) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = schemas.get(body.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
    required = schema.get("required", [])
    fields = [
        {"name": each["name"], "place": each["in"], "required": each["required"],
         "description": each.get("description", "")}
        for each in operation["parameters"]
    ] + [
        {"name": name, "place": "body", "required": name in required,
         "description": each.get("description", "")}
        for name, each in schema.get("properties", {}).items()
    ]  # fmt: skip
    return {
        "id": operation["operationId"],
        "method": method,
        "path": path,
        "description": operation["description"],
        "scope": operation["security"][0]["Bearer"][0],
        "fields": fields,
        "statuses": list(operation["responses"]),
    }
