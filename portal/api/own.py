"""Operations about the API itself."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from ninja import Field, Router, Schema

from portal.api import document
from portal.api.callers import READ

router = Router(tags=["API"])


class Me(Schema):
    name: str = Field(description="Of the key, or of the person.")
    kind: str = Field(description="`key` or `person`.")
    project: str
    scopes: list[str] = Field(description="`read`, `run`, `ingest`")


@router.get("/me", auth=READ, response=Me, url_name="me", operation_id="me")
def me(request: HttpRequest) -> dict[str, Any]:
    """Who the portal takes the caller for, in which project, and what they may do."""
    caller = request.caller
    return {
        "name": caller.name,
        "kind": "key" if caller.key else "person",
        "project": caller.project.name,
        "scopes": caller.scopes,
    }


@router.get(
    "/openapi.json",
    auth=READ,
    url_name="document",
    operation_id="document",
    response=dict[str, Any],
)
def openapi(request: HttpRequest) -> JsonResponse:
    """This document."""
    return JsonResponse(document.document())
