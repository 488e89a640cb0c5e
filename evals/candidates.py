"""Register candidates, keep their endpoints, check what the servers can really do."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal
from time import sleep
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from evals import llm
from evals.llm.dialects import DIALECTS, GENERIC
from evals.models import Candidate, Endpoint, Price, Pricing, Probe, Replica
from evals.storable import clean, cleaned
from portal import secrets
from portal.accounts import audit
from portal.accounts.models import Project, User
from portal.outbound import OutboundPolicy
from workers import jobs
from workers.progress import JobError, Progress, alongside

CHECK_SECONDS = 300.0
TOO_SLOW = gettext_noop("The server was too slow: the check did not end within five minutes.")


class Choice(NamedTuple):
    """Which models a list shows; "" and None mean all.

    ``smallest`` and ``largest`` in billions of parameters: who tells no size is hidden by either.
    """

    text: str = ""
    smallest: float | None = None
    largest: float | None = None
    licence: str = ""
    quantisation: str = ""
    language: str = ""
    checked: str = ""

    def holds(self, candidate: Candidate) -> bool:
        size = candidate.parameters
        if self.smallest is not None and (size is None or size < self.smallest):
            return False
        if self.largest is not None and (size is None or size > self.largest):
            return False
        said = " ".join((candidate.name, candidate.base_model, candidate.endpoint.served_model))
        return (
            all(word in said.lower() for word in self.text.lower().split())
            and self.licence in ("", candidate.licence)
            and self.quantisation in ("", candidate.quantisation)
            and (not self.language or self.language in candidate.languages)
            and self.checked in ("", candidate.endpoint.checked)
        )


@transaction.atomic
def register(
    project: Project,
    *,
    name: str,
    base_url: str,
    served_model: str,
    api_key: str = "",
    concurrency: int = 8,
    adaptive: bool = False,
    dialect: str = GENERIC,
    context_tokens: int | None = None,
    by: User | None = None,
    **facts: Any,
) -> Candidate:
    """A new candidate with its endpoint; a check is queued at once."""
    candidate = Candidate.objects.create(project=project, name=name, **facts)
    endpoint = Endpoint(
        candidate=candidate,
        base_url=base_url.rstrip("/"),
        served_model=served_model,
        concurrency=concurrency,
        adaptive=adaptive,
        dialect=dialect,
        context_tokens=context_tokens or None,
    )
    _set_key(endpoint, api_key)
    endpoint.save()
    audit.record(project, "candidate.register", candidate, by=by, host=endpoint.host)
    check(endpoint, by=by)
    return candidate


@transaction.atomic
def change_endpoint(
    endpoint: Endpoint,
    *,
    base_url: str,
    served_model: str,
    concurrency: int,
    adaptive: bool | None = None,
    dialect: str | None = None,
    context_tokens: int | None = None,
    api_key: str | None = None,
    by: User | None = None,
) -> bool:
    """Write new values; True when the stored key was dropped.

    A key belongs to the server it was entered for: when scheme, host or port change and
    no new key comes along, it is forgotten rather than sent to somebody else. A change of
    URL, served name or dialect starts a new revision, which needs a new check.
    ``adaptive``, ``dialect``, ``context_tokens``: None keeps it; a context of 0 is unknown.
    ``api_key``: None keeps the key, "" removes it.
    """
    base_url = base_url.rstrip("/")
    before = endpoint.base_url
    moved = _origin(base_url) != _origin(before)
    dialect = dialect or endpoint.dialect
    now = (endpoint.base_url, endpoint.served_model, endpoint.dialect)
    changed = (base_url, served_model, dialect) != now
    dropped = moved and api_key is None and bool(endpoint.key_encrypted)
    longer = context_tokens is not None and (context_tokens or None) != endpoint.context_tokens
    if longer:
        endpoint.context_tokens = context_tokens or None
    endpoint.base_url, endpoint.served_model = base_url, served_model
    endpoint.concurrency, endpoint.dialect = concurrency, dialect
    if adaptive is not None:
        endpoint.adaptive = adaptive
    if api_key is not None or dropped:
        _set_key(endpoint, api_key or "")
    if changed:
        endpoint.revision += 1
        endpoint.found_concurrency = None
    endpoint.save()
    audit.record(
        endpoint.candidate.project, "candidate.change", endpoint.candidate, by=by,
        address=base_url, address_before=before, credential_changed=api_key is not None or dropped,
    )  # fmt: skip
    if changed:  # answers of the new server must not enter runs of the old one
        for run in endpoint.candidate.runs.active():
            jobs.cancel(run)
    if changed or longer or api_key is not None:
        check(endpoint, by=by)
    return dropped


def accept_software(endpoint: Endpoint, *, by: User | None = None) -> bool:
    """Ask the server as the software that its check takes it for; False where it proposes none."""
    probe = endpoint.verified
    proposal = probe.proposal if probe else None
    if not proposal:
        return False
    change_endpoint(
        endpoint,
        base_url=endpoint.base_url,
        served_model=endpoint.served_model,
        concurrency=endpoint.concurrency,
        dialect=proposal["dialect"],
        by=by,
    )
    return True


@transaction.atomic
def add_replica(
    endpoint: Endpoint, *, base_url: str, api_key: str = "", by: User | None = None
) -> Replica:
    """A further server of the same model, used once the check queued now finds no difference.

    ValueError for an address that is known already.
    """
    base_url = base_url.rstrip("/")
    if base_url == endpoint.base_url or endpoint.replicas.filter(base_url=base_url).exists():
        raise ValueError("This server is known already.")
    replica = Replica(endpoint=endpoint, base_url=base_url)
    _set_key(replica, api_key)
    replica.save()
    candidate = endpoint.candidate
    audit.record(candidate.project, "candidate.add_server", candidate, by=by, address=base_url)
    check(endpoint, by=by)
    return replica


@transaction.atomic
def remove_replica(replica: Replica, *, by: User | None = None) -> None:
    """Runs that have begun may ask it until they end."""
    candidate = replica.endpoint.candidate
    address = replica.base_url
    replica.delete()
    audit.record(candidate.project, "candidate.remove_server", candidate, by=by, address=address)


def check(endpoint: Endpoint, *, by: User | None = None) -> Probe:
    """Queue a check of ``endpoint``; one that is already waiting or running is returned."""
    mine = Probe.objects.filter(endpoint=endpoint, endpoint_revision=endpoint.revision)
    running = mine.active().first()
    if running:
        return running
    probe = Probe.objects.create(
        endpoint=endpoint,
        endpoint_revision=endpoint.revision,
        created_by=by,
        total=1,
    )
    jobs.enqueue(probe)
    audit.record(endpoint.candidate.project, "candidate.check", endpoint.candidate, by=by)
    return probe


PRICED_BY = {
    Pricing.TOKEN: ("per_million_prompt", "per_million_answer"),
    Pricing.GPU_HOUR: ("per_gpu_hour", "gpus"),
}


@transaction.atomic
def set_price(
    endpoint: Endpoint,
    *,
    pricing: str,
    currency: str,
    by: User | None = None,
    **figures: Decimal | int | None,
) -> Price:
    """The price of ``endpoint`` from now on; earlier prices stay for the runs that had them.

    ``figures`` holds what `PRICED_BY` names for ``pricing``; ValueError where one is missing.
    A price that is in force already is returned as it is.
    """
    used = {name: figures.get(name) for name in PRICED_BY[Pricing(pricing)]}
    if None in used.values():
        raise ValueError(f"A price {pricing} needs {', '.join(used)}.")
    values = {"pricing": pricing, "currency": currency, **used}
    current = endpoint.price
    if current and all(getattr(current, name) == value for name, value in values.items()):
        return current
    price = Price.objects.create(endpoint=endpoint, created_by=by, **values)
    candidate = endpoint.candidate
    told = {name: str(value) for name, value in values.items()}
    audit.record(candidate.project, "candidate.price", candidate, by=by, **told)
    return price


def run_check(probe: Probe, progress: Progress, *beside: Progress) -> None:
    """Ask the server and store verdicts, evidence and capabilities on ``probe``.

    Jobs ``beside`` it that wait for it are kept alive meanwhile.
    """
    endpoint = probe.endpoint
    replicas = list(endpoint.replicas.all())
    others = [_other(replica) for replica in replicas]
    report, findings = _report(spec(endpoint), others, endpoint.context_tokens, progress, *beside)
    progress.advance(done=1)
    with transaction.atomic():
        progress.fence()
        Probe.objects.filter(pk=probe.pk).update(
            server=clean(report.server)[:200],
            probes_version=llm.PROBE_VERSION,
            verdicts=cleaned([asdict(verdict) for verdict in report.verdicts]),
            capabilities=report.capabilities,
        )
        for replica, finding in zip(replicas, findings, strict=True):
            Replica.objects.filter(pk=replica.pk).update(finding=cleaned(asdict(finding)))


def renewed(endpoint: Endpoint, waiting: Progress) -> Probe | None:
    """A check made for the job ``waiting``, where the last one no longer counts; else None.

    It counts for ``CHECK_HOURS``, and as long as server and probes keep their versions.
    """
    if not _outdated(endpoint):
        return None
    probe = check(endpoint)
    while not probe.is_finished:
        if progress := jobs.claim(Probe, probe.pk):
            jobs.perform(progress, lambda job, held: run_check(job, held, waiting))
        else:  # another worker is at it
            sleep(1)
        waiting.beat()
        probe.refresh_from_db()
    return probe


def _outdated(endpoint: Endpoint) -> bool:
    probe = endpoint.verified
    if probe is None or probe.probes_version != llm.PROBE_VERSION:
        return True
    age = timezone.now() - (probe.finished_at or probe.created_at)
    if age > timedelta(hours=settings.CHECK_HOURS):
        return True
    now = clean(async_to_sync(llm.identity)(spec(endpoint)))[:200]
    return bool(now) and now != probe.server


@async_to_sync
async def _report(
    endpoint: llm.EndpointSpec,
    others: list[llm.Other],
    context: int | None,
    *jobs_held: Progress,
) -> tuple[llm.ProbeReport, list[llm.Verdict]]:
    async def asked() -> tuple[llm.ProbeReport, list[llm.Verdict]]:
        alone = replace(endpoint, others=())
        report = await llm.check(alone, context)
        return report, [await llm.compared(alone, report, other, context) for other in others]

    work = asked()
    for held in jobs_held:
        work = alongside(work, held)
    try:
        async with asyncio.timeout((CHECK_SECONDS + endpoint.speaks.warm_up) * (1 + len(others))):
            return await work
    except TimeoutError as error:
        raise JobError(TOO_SLOW) from error


def outbound_policy() -> OutboundPolicy:
    """Where the portal may connect to, from the settings."""
    return OutboundPolicy(
        allow=tuple(settings.OUTBOUND_ALLOW), max_bytes=settings.OUTBOUND_MAX_BYTES
    )


def spec(endpoint: Endpoint) -> llm.EndpointSpec:
    """``endpoint`` as the client takes it, key decrypted: never store or log it."""
    verified = endpoint.verified
    native = verified and verified.can("native_logprobs") and not verified.can("echo_logprobs")
    others = tuple(_other(replica) for replica in endpoint.replicas.all() if replica.agrees)
    return llm.EndpointSpec(
        base_url=endpoint.base_url,
        model=endpoint.served_model,
        api_key=_key(endpoint),
        policy=outbound_policy(),
        concurrency=endpoint.concurrency * (1 + len(others)),
        others=others,
        batch_prompts=bool(verified and verified.can("batch_prompts")),
        dialect=endpoint.dialect,
        route=DIALECTS[endpoint.dialect].native if native else "echo",
        minimal=bool(verified and verified.can("strict")),
        structured=bool(verified and verified.can("structured_output")),
    )


def _other(replica: Replica) -> llm.Other:
    return llm.Other(replica.base_url.rstrip("/"), _key(replica))


def _key(endpoint: Endpoint | Replica) -> str:
    if not endpoint.key_encrypted:
        return ""
    try:
        return secrets.from_settings().decrypt(endpoint.key_encrypted)
    except secrets.SecretUnreadable as error:
        raise JobError(str(error)) from error


def _set_key(endpoint: Endpoint | Replica, api_key: str) -> None:
    endpoint.key_encrypted = secrets.from_settings().encrypt(api_key) if api_key else ""
    endpoint.key_last_four = secrets.last_four(api_key) if api_key else ""


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
