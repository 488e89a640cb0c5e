"""Suites as signed files, to and from other portals."""

from __future__ import annotations

from io import BytesIO
from tempfile import TemporaryFile
from typing import Any

from django.db.models import Count
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Router, Status

from evals import packs, suites, words
from evals.api.fields import Pk
from evals.api.suites import SuiteOut, in_project, shown
from portal.api.bodies import FILE
from portal.api.callers import RUN
from portal.api.problems import Problem, invalid
from portal.secrets import SecretUnreadable

router = Router(tags=["Suites"])
BINARY = {FILE: {"schema": {"type": "string", "format": "binary"}}}


@router.get(
    "/suites/{suite}/pack",
    auth=RUN,
    operation_id="export_pack",
    openapi_extra={"responses": {200: {"description": "A data pack, signed.", "content": BINARY}}},
)
def pack_export(request: HttpRequest, suite: Pk) -> FileResponse:
    """One version of a suite with its questions, as a signed file for another portal."""
    found = get_object_or_404(in_project(request), pk=suite)
    made = TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        packs.export(found, made, by=request.caller.user)
    except SecretUnreadable as error:
        said = _("The key that signs packs cannot be read. Ask the operators.")
        raise Problem(409, said) from error
    made.seek(0)
    name = packs.file_name(found)
    return FileResponse(made, as_attachment=True, filename=name, content_type=FILE)


@router.post(
    "/packs",
    auth=RUN,
    response={200: SuiteOut, 201: SuiteOut},
    operation_id="import_pack",
    openapi_extra={"requestBody": {"required": True, "content": BINARY}},
)
def pack_import(request: HttpRequest, response: HttpResponse) -> Status:
    """Bring the suite of a data pack into the project; 200 when it is there already.

    The pack is the body. It must be signed by this portal or by one that the project trusts.
    """
    before = set(in_project(request).values_list("pk", flat=True))
    try:
        pack = packs.read(BytesIO(request.body))
        made = packs.install(request.project, pack, by=request.caller.user)
    except packs.PackInvalid as error:
        raise invalid("body", words.told(error)) from error
    except suites.SuiteInvalid as error:
        raise Problem(409, words.told(error)) from error
    response["Location"] = f"/api/v1/suites/{made.pk}"
    found: dict[str, Any] = shown(
        in_project(request).annotate(count=Count("benchmarks")).get(pk=made.pk)
    )
    return Status(200 if made.pk in before else 201, found)
