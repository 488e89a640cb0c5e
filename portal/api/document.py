"""The OpenAPI document: what ninja knows, and what the guard does around each operation."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from typing import Any

from ninja.openapi import get_schema

from portal.api.problems import MEDIA_TYPE

INTRODUCTION = """\
Measure models from scripts and CI.

- **Keys**: `Authorization: Bearer pst_…`. A key belongs to one project and sees nothing else.
  Its scopes are `read` (results) and `run` (register models, start runs); neither includes
  the other.
- **Errors** are `application/problem+json`: `detail` says what is wrong and the way out,
  `errors` names the fields.
- **Lists** have `items` and `next`: give `next` as `cursor` for the page after, until it is null.
- **Sent twice?** Give a POST an `Idempotency-Key`. For 24 hours the same request with the same
  key is answered as the first time and done once.
- **Waiting**: `GET /runs/{run}?wait=30` answers when the run has ended, or after 30 seconds.
"""
ERRORS = {
    400: "The body is no JSON, or the request cannot be understood.",
    401: "No key, or one that is unknown, expired or revoked.",
    403: "The key lacks the scope, or the person's role is too small.",
    404: "No such thing in this project.",
    409: "The first request with this Idempotency-Key is still being worked on, or what is there "
    "already contradicts it; `detail` says what.",
    413: "The body is larger than 1 MiB, or the file than 32 MiB.",
    415: "The body is not sent as application/json, or the file not as application/zip.",
    422: "A field cannot be used, or the portal refuses; `detail` and `errors` say why.",
    429: "Too many requests within a minute; `Retry-After` tells when to go on.",
}
PROBLEM = {
    "type": "object",
    "title": "Problem",
    "required": ["title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and the way out."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "message": {"type": "string"},
                    "value": {"description": "What was sent, unless it is secret."},
                },
            },
        },
        "faults": {
            "type": "integer",
            "description": "Of an import: how many places of the file cannot be used.",
        },
        "unusable": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["line", "message"],
                "properties": {"line": {"type": "integer"}, "message": {"type": "string"}},
            },
            "description": "The first of those places.",
        },
        "evidence": {
            "type": "array",
            "items": {"type": "object"},
            "description": "What the last check of the server found.",
        },
    },
    "example": {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "Some fields cannot be used; “errors” names them.",
        "errors": [
            {
                "field": "limit",
                "value": "0",
                "message": "Input should be greater than or equal to 1",
            }
        ],
    },
}
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    "description": "Your own text, such as a UUID: the request is done once, however often sent.",
}


def document() -> dict[str, Any]:
    """A copy of the document, to be read and changed freely."""
    return deepcopy(_document())


@cache
def _document() -> dict[str, Any]:
    from portal.api.site import MOUNT, api, operations

    made: dict[str, Any] = dict(get_schema(api(), path_prefix=MOUNT))
    made["components"]["schemas"]["Problem"] = PROBLEM
    made["components"]["responses"] = {
        f"Error{status}": {
            "description": text,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, text in ERRORS.items()
    }
    scopes = {op.operation_id: op.auth_callbacks[0].scope for _method, _path, op in operations()}
    for path in made["paths"].values():
        for method, operation in path.items():
            _complete(method, operation, scopes[operation["operationId"]])
    schemas, text = made["components"]["schemas"], json.dumps(made)
    for name in [name for name in schemas if f'schemas/{name}"' not in text]:
        del schemas[name]  # of parameters, which stand in the operations
    made["servers"] = [{"url": "/"}]
    return made


def _complete(method: str, operation: dict[str, Any], scope: str) -> None:
    """Add security, the shared header, and every error the guard can answer with."""
    operation["security"] = [{"Bearer": [scope]}, {"Session": [scope]}]
    parameters = operation["parameters"]
    for parameter in parameters:  # what can be left out cannot be null in an address
        choices = parameter["schema"].pop("anyOf", [])
        parameter["schema"] |= next((each for each in choices if each["type"] != "null"), {})
    statuses = {401, 403, 429}
    if any(each["in"] == "path" or each["name"] == "suite" for each in parameters):
        statuses.add(404)
    if any(each["in"] == "query" for each in parameters):
        statuses.add(422)
    if body := operation.get("requestBody"):
        schema = body["content"].get("application/json", {}).get("schema", {})
        body["required"] = "default" not in schema  # one that may be left out has a default
        if not body["required"]:
            body["content"]["application/json"]["schema"] = schema["allOf"][0]
        statuses |= {400, 413, 415, 422}
    if method == "post":
        parameters.append(IDEMPOTENCY)
        statuses |= {409, 413, 422}
    for status in sorted(statuses):
        operation["responses"].setdefault(status, {"$ref": f"#/components/responses/Error{status}"})
    operation["responses"] = {
        str(status): details for status, details in sorted(operation["responses"].items())
    }
