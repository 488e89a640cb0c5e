"""Candidates, their endpoints, and the checks of what the servers can do."""

from __future__ import annotations

from typing import Annotated, Any

from django.db import transaction
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema, Status
from pydantic import ConfigDict

from evals import candidates
from evals.api.fields import Given, JobFields, Pk, Waiting, job
from evals.forms import KEEP_KEY, CandidateForm
from evals.llm.dialects import DIALECTS, GENERIC
from evals.models import Candidate, Endpoint, Probe
from portal.api.callers import READ, RUN
from portal.api.paging import BIGGEST, Page, Paging, page
from portal.api.problems import Fault, Problem
from portal.api.waiting import unfinished

router = Router(tags=["Models"])
SECRET = "Sent to the server as a bearer token. Stored encrypted and never given back."

Name = Annotated[str, Field(min_length=1, max_length=120, examples=["Alder-7B"])]
Url = Annotated[str, Field(min_length=1, max_length=500, examples=["http://gpu01:8000/v1"])]
Served = Annotated[str, Field(min_length=1, max_length=300, examples=["alder-7b"])]
Concurrency = Annotated[
    int, Field(ge=1, le=512, description="Requests at once, of all runs together.")
]
FINDS = "Find the best number of requests at once while asking; `concurrency` is the most then."
Software = Annotated[
    str, Field(max_length=30, description=f"Server software: {', '.join(DIALECTS)}.")
]
ApiKey = Annotated[
    str, Field(max_length=500, description=SECRET, json_schema_extra={"writeOnly": True})
]
Billions = Annotated[
    float, Field(ge=0, le=1e6, description="Parameters, in billions.", allow_inf_nan=False)
]
Codes = Annotated[list[Annotated[str, Field(min_length=1, max_length=20)]], Field(max_length=50)]

Context = Annotated[int, Field(ge=0, le=100_000_000, description="Tokens; 0 is unknown.")]


class Facts(Given):
    """What is known of a model; all of it can be left out."""

    base_model: str = Field("", max_length=200)
    parameters: Billions | None = None
    quantisation: str = Field("", max_length=60, examples=["fp8"])
    licence: str = Field("", max_length=120, examples=["Apache-2.0"])
    languages: Codes = Field([], examples=[["de", "en"]])
    notes: str = Field("", max_length=10_000)


class NewCandidate(Facts):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Alder-7B",
                    "base_url": "http://127.0.0.1:8000/v1",
                    "served_model": "alder-7b",
                    "parameters": 7,
                    "languages": ["de", "en"],
                }
            ]
        }
    )
    name: Name
    base_url: Url
    served_model: Served
    api_key: ApiKey = ""
    concurrency: Concurrency = 8
    adaptive: bool = Field(False, description=FINDS)
    dialect: Software = GENERIC
    context_tokens: Context | None = None


class CandidateChange(Facts):
    """Only what is given changes."""

    name: Name = ""


class EndpointChange(Given):
    """Where the model is served. ``api_key``: left out keeps the stored one, "" forgets it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"base_url": "http://127.0.0.1:8000/v1", "served_model": "alder-7b"}]
        }
    )
    base_url: Url
    served_model: Served
    api_key: ApiKey | None = None
    concurrency: Concurrency = 8
    adaptive: bool | None = Field(None, description=f"{FINDS} Left out, it stays as it is.")
    dialect: Software | None = None
    context_tokens: Context | None = None


class CheckOut(JobFields):
    """What the server was found able to do, with a verdict for each thing asked."""

    endpoint_revision: int
    server: str = Field(description="What the server says it is.")
    probes_version: int = Field(description="Of the questions asked; older checks are made anew.")
    capabilities: dict[str, bool]
    verdicts: list[dict[str, Any]]


class EndpointOut(Schema):
    base_url: str
    served_model: str
    concurrency: int
    adaptive: bool = Field(description=FINDS)
    found_concurrency: int | None = Field(description="Found last; the next run begins there.")
    dialect: str
    context_tokens: int | None = Field(description="As entered; the check tries it.")
    revision: int = Field(description="Grows when answers may differ; results carry it.")
    has_key: bool
    key_last_four: str
    checked: bool = Field(description="A check of this revision has ended well: it can be run.")


class CandidateOut(Schema):
    id: int
    name: str
    base_model: str
    parameters: float | None
    quantisation: str
    licence: str
    languages: list[str]
    notes: str
    endpoint: EndpointOut | None
    url: str = Field(description="Its page in the portal.")


class Filters(Paging):
    name: str = Field("", max_length=120, description="The model of exactly this name.")


def shown(candidate: Candidate) -> dict[str, Any]:
    fields = ("name", "base_model", "parameters", "quantisation", "licence", "languages", "notes")
    endpoint = getattr(candidate, "endpoint", None)
    return {
        "id": candidate.pk,
        **{name: getattr(candidate, name) for name in fields},
        "endpoint": endpoint and shown_endpoint(endpoint),
        "url": candidate.get_absolute_url(),
    }


def shown_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    """Never the key: its last four signs at most."""
    return {
        "base_url": endpoint.base_url,
        "served_model": endpoint.served_model,
        "concurrency": endpoint.concurrency,
        "adaptive": endpoint.adaptive,
        "found_concurrency": endpoint.found_concurrency,
        "dialect": endpoint.dialect,
        "context_tokens": endpoint.context_tokens,
        "revision": endpoint.revision,
        "has_key": bool(endpoint.key_encrypted),
        "key_last_four": endpoint.key_last_four,
        "checked": endpoint.verified is not None,
    }


def shown_check(probe: Probe) -> dict[str, Any]:
    return {
        **job(probe),
        "endpoint_revision": probe.endpoint_revision,
        "server": probe.server,
        "probes_version": probe.probes_version,
        "capabilities": probe.capabilities,
        "verdicts": probe.verdicts,
    }


def find(request: HttpRequest, pk: int) -> Candidate:
    return get_object_or_404(Candidate.objects.in_project(request.project).for_list(), pk=pk)


def named(request: HttpRequest, wanted: int | str) -> Candidate | None:
    """The candidate with this id or name."""
    mine = Candidate.objects.in_project(request.project).for_list()
    if isinstance(wanted, int):
        return mine.filter(pk=wanted).first() if wanted <= BIGGEST else None
    return mine.filter(name=wanted).first()


@router.get("/candidates", auth=READ, response=Page[CandidateOut], operation_id="candidates")
def candidates_list(request: HttpRequest, filters: Query[Filters]) -> dict[str, Any]:
    """The models of the project, newest first."""
    found = Candidate.objects.in_project(request.project).for_list()
    if filters.name:
        found = found.filter(name=filters.name)
    return page(found, filters, shown)


@router.post("/candidates", auth=RUN, response={201: CandidateOut}, operation_id="register")
def candidate_register(request: HttpRequest, data: NewCandidate, response: HttpResponse) -> Status:
    """Register a model and where it is served; its check starts at once."""
    form = CandidateForm(_as_form(data.model_dump()), project=request.project)
    facts, endpoint = _cleaned(form)
    made = candidates.register(
        request.project,
        by=request.caller.user,
        **facts,
        **{**endpoint, "api_key": endpoint["api_key"] or ""},
    )
    response["Location"] = f"/api/v1/candidates/{made.pk}"
    return Status(201, shown(find(request, made.pk)))


@router.get("/candidates/{candidate}", auth=READ, response=CandidateOut, operation_id="candidate")
def candidate_detail(request: HttpRequest, candidate: Pk) -> dict[str, Any]:
    """One model."""
    return shown(find(request, candidate))


@router.patch(
    "/candidates/{candidate}", auth=RUN, response=CandidateOut, operation_id="change_candidate"
)
def candidate_change(request: HttpRequest, candidate: Pk, data: CandidateChange) -> dict[str, Any]:
    """Change what is known of a model. Where it is served: `PUT …/endpoint`."""
    return shown(_change(request, candidate, data.model_dump(exclude_unset=True)))


@router.get(
    "/candidates/{candidate}/endpoint", auth=READ, response=EndpointOut, operation_id="endpoint"
)
def endpoint_detail(request: HttpRequest, candidate: Pk) -> dict[str, Any]:
    """Where a model is served."""
    return shown_endpoint(find(request, candidate).endpoint)


@router.put(
    "/candidates/{candidate}/endpoint",
    auth=RUN,
    response=EndpointOut,
    operation_id="change_endpoint",
)
def endpoint_change(request: HttpRequest, candidate: Pk, data: EndpointChange) -> dict[str, Any]:
    """Serve a model elsewhere. A stored key is forgotten when scheme, host or port change.

    Another URL, served name or dialect starts a new revision with a new check and cancels
    its runs.
    """
    return shown_endpoint(_change(request, candidate, data.model_dump(exclude_none=True)).endpoint)


@router.post(
    "/candidates/{candidate}/endpoint/check",
    auth=RUN,
    response={202: CheckOut},
    operation_id="start_check",
)
def check_start(request: HttpRequest, candidate: Pk) -> Status:
    """Ask the server what it can do; a check that runs already is returned."""
    found = find(request, candidate)
    return Status(202, shown_check(candidates.check(found.endpoint, by=request.caller.user)))


@router.get(
    "/candidates/{candidate}/endpoint/check", auth=READ, response=CheckOut, operation_id="check"
)
def check_detail(
    request: HttpRequest, candidate: Pk, filters: Query[Waiting], response: HttpResponse
) -> dict[str, Any]:
    """The latest check of the endpoint as it is now; 404 when there is none."""
    probe = find(request, candidate).endpoint.latest_probe
    if probe is None:
        raise Http404
    if not probe.is_finished:
        unfinished(response)
    return shown_check(probe)


@transaction.atomic
def _change(request: HttpRequest, pk: int, given: dict[str, Any]) -> Candidate:
    """The candidate with ``given`` written over what it was."""
    found = find(request, pk)
    kept = shown(found) | shown(found)["endpoint"] | {"api_key": KEEP_KEY}
    form = CandidateForm(_as_form(kept | given), instance=found, project=request.project)
    _facts, endpoint = _cleaned(form)
    form.save()
    candidates.change_endpoint(found.endpoint, by=request.caller.user, **endpoint)
    return find(request, pk)


def _as_form(given: dict[str, Any]) -> dict[str, Any]:
    """As the form of the page sends it, so that both follow the same rules."""
    return given | {
        "languages": ", ".join(given["languages"]),
        "parameters": "" if given["parameters"] is None else given["parameters"],
        "context_tokens": given.get("context_tokens") or "",
    }


def _cleaned(form: ModelForm) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts and endpoint as the verbs take them. Raises Problem for what the form refuses."""
    if not form.is_valid():
        faults = [
            Fault(name if name != "__all__" else "body", str(message), _harmless(form, name))
            for name, messages in form.errors.items()
            for message in messages
        ]
        raise Problem(422, _("Some fields cannot be used; “errors” names them."), faults)
    facts = {name: form.cleaned_data[name] for name in CandidateForm.Meta.fields}
    return facts, form.endpoint_values


def _harmless(form: ModelForm, name: str) -> Any:
    return None if name in ("api_key", "__all__") else form.data.get(name)
