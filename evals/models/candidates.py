"""What can be measured: candidates, where they are served, and what the servers can do."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from evals.llm.dialects import DIALECTS, GENERIC
from portal.accounts.models import Project
from workers.models import Job, JobQuerySet, JobState


class CandidateQuerySet(models.QuerySet["Candidate"]):
    def in_project(self, project: Project) -> CandidateQuerySet:
        return self.filter(project=project)

    def for_list(self) -> CandidateQuerySet:
        """With endpoint and the checks that count now: three queries however many were made."""
        probes = models.Prefetch("endpoint__probes", Probe.objects.newest())
        return self.select_related("endpoint").prefetch_related(probes)


class Candidate(models.Model):
    """A model that could be put to use, in one exact form (weights, quantisation)."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="candidates")
    name = models.CharField(_("name"), max_length=120)
    base_model = models.CharField(_("base model"), max_length=200, blank=True)
    parameters = models.FloatField(
        _("parameters, in billions"), null=True, blank=True, validators=[MinValueValidator(0)]
    )
    quantisation = models.CharField(_("quantisation"), max_length=60, blank=True)
    licence = models.CharField(_("licence"), max_length=120, blank=True)
    languages = models.JSONField(_("languages"), default=list, blank=True)
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CandidateQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                "project",
                "name",
                name="candidate_name_once_per_project",
                violation_error_message=_("A model of this name exists already."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("evals:candidate", args=[self.pk])

    @property
    def facts(self) -> list[str]:
        """The short facts under a name: size, quantisation, licence."""
        size = f"{self.parameters:g}B" if self.parameters else ""
        return [fact for fact in (size, self.quantisation, self.licence) if fact]


class Checked(models.TextChoices):
    """What the newest check of an endpoint as it is now says, in one word."""

    ALL = "all", _("everything works")
    LETTERS = "letters", _("letters and short answers only")
    SHORT = "short", _("short answers only")
    UNUSABLE = "unusable", _("not usable")
    RUNNING = "running", _("being checked")
    FAILED = "failed", _("check failed")
    NOT = "not", _("not checked")


class Endpoint(models.Model):
    """The OpenAI-compatible server that answers for a candidate.

    ``revision`` counts changes after which answers may differ (URL, served name, dialect);
    results carry it, so old and new answers never mix.
    """

    candidate = models.OneToOneField(Candidate, models.CASCADE, related_name="endpoint")
    base_url = models.CharField(_("base URL"), max_length=500)
    served_model = models.CharField(_("served model name"), max_length=300)
    dialect = models.CharField(_("server software"), max_length=30, default=GENERIC)
    key_encrypted = models.TextField(blank=True, editable=False)
    key_last_four = models.CharField(max_length=4, blank=True, editable=False)
    concurrency = models.PositiveSmallIntegerField(
        _("concurrency"),
        default=8,
        validators=[MinValueValidator(1), MaxValueValidator(512)],
    )
    adaptive = models.BooleanField(
        _("find the best number"),
        default=False,
        help_text="Concurrency is the most then, and the number in use is found while asking.",
    )
    found_concurrency = models.PositiveSmallIntegerField(null=True, editable=False)
    context_tokens = models.PositiveIntegerField(_("context length"), null=True, blank=True)
    revision = models.PositiveIntegerField(default=1, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.served_model} @ {self.host}"

    @property
    def software(self) -> str:
        """The name of the server's software."""
        return DIALECTS[self.dialect].label

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    @property
    def price(self) -> Price | None:
        """The price in force (prefetched prices are used); None is unknown, not free."""
        return max(self.prices.all(), key=lambda price: price.pk, default=None)

    @property
    def latest_probe(self) -> Probe | None:
        """The newest check of the endpoint as it is now (prefetched probes are used)."""
        mine = [p for p in self.probes.all() if p.endpoint_revision == self.revision]
        return max(mine, key=lambda p: p.pk, default=None)

    @property
    def checked(self) -> Checked:
        """The state of the check, for filters and order of lists."""
        probe = self.latest_probe
        if probe is None:
            return Checked.NOT
        if not probe.is_finished:
            return Checked.RUNNING
        if probe.state != JobState.DONE:
            return Checked.FAILED
        if probe.can("loglikelihood"):
            return Checked.ALL
        if probe.can("top_logprobs") or probe.can("chat_top_logprobs"):
            return Checked.LETTERS
        usable = probe.can("chat") or probe.can("completions")
        return Checked.SHORT if usable else Checked.UNUSABLE

    @property
    def verified(self) -> Probe | None:
        """The newest *finished* check of the endpoint as it is now."""
        mine = [
            p
            for p in self.probes.all()
            if p.endpoint_revision == self.revision and p.state == JobState.DONE
        ]
        return max(mine, key=lambda p: p.pk, default=None)


class Replica(models.Model):
    """A further server of the same model: it shares the requests once a check found no difference.

    ``finding`` is the verdict of the endpoint's newest check about it, {} before one.
    """

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="replicas")
    base_url = models.CharField(_("base URL"), max_length=500)
    key_encrypted = models.TextField(blank=True, editable=False)
    key_last_four = models.CharField(max_length=4, blank=True, editable=False)
    finding = models.JSONField(default=dict, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint("endpoint", "base_url", name="replica_once_per_endpoint")
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} + {self.host}"

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    @property
    def agrees(self) -> bool:
        return self.finding.get("ok") is True


class Pricing(models.TextChoices):
    """What the owner of a server pays for."""

    TOKEN = "token", _("Per token")
    GPU_HOUR = "gpu_hour", _("Per GPU-hour")


class Price(models.Model):
    """What asking an endpoint costs from ``valid_from`` on; a new price is a new row.

    Per token: prices per million tokens of prompt and answer. Per GPU-hour: price of one GPU
    for one hour, times ``gpus``, for as long as a run works.
    """

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="prices")
    pricing = models.CharField(_("pricing"), max_length=16, choices=Pricing.choices)
    currency = models.CharField(_("currency"), max_length=3, default="EUR")
    per_million_prompt = models.DecimalField(
        _("price per million prompt tokens"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    per_million_answer = models.DecimalField(
        _("price per million answer tokens"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    per_gpu_hour = models.DecimalField(
        _("price per GPU-hour"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    gpus = models.PositiveSmallIntegerField(_("GPUs"), null=True, blank=True)
    valid_from = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    pricing="token",
                    per_million_prompt__gte=0,
                    per_million_answer__gte=0,
                )
                | models.Q(pricing="gpu_hour", per_gpu_hour__gte=0, gpus__gte=1),
                name="price_is_complete",
            )
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.pricing}"


class ProbeQuerySet(JobQuerySet):
    def for_list(self) -> ProbeQuerySet:
        return self.select_related("endpoint__candidate__project")

    def newest(self) -> ProbeQuerySet:
        """Of each endpoint as it is now the newest check and the newest finished one."""
        now = self.filter(endpoint_revision=models.F("endpoint__revision")).order_by()
        done = now.filter(state=JobState.DONE)
        latest, finished = (
            rows.values("endpoint").annotate(newest=models.Max("pk")).values("newest")
            for rows in (now, done)
        )
        return self.filter(models.Q(pk__in=latest) | models.Q(pk__in=finished))


class Probe(Job):
    """One check of an endpoint: a verdict with evidence for each thing it should do."""

    task_name: ClassVar[str] = "evals.check_endpoint"
    project_path: ClassVar[str] = "endpoint__candidate__project"

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="probes")
    endpoint_revision = models.PositiveIntegerField()
    server = models.CharField(max_length=200, blank=True)
    probes_version = models.PositiveSmallIntegerField(default=0)
    verdicts = models.JSONField(default=list)
    capabilities = models.JSONField(default=dict)

    objects = ProbeQuerySet.as_manager()

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return gettext("Check of %(name)s") % {"name": self.endpoint.candidate.name}

    @property
    def project(self) -> Project:
        return self.endpoint.candidate.project

    def get_absolute_url(self) -> str:
        return self.endpoint.candidate.get_absolute_url()

    def can(self, capability: str) -> bool:
        return bool(self.capabilities.get(capability))

    def verdict(self, name: str) -> dict[str, Any] | None:
        return next((verdict for verdict in self.verdicts if verdict["name"] == name), None)

    def failed_verdicts(self) -> list[dict[str, Any]]:
        return [verdict for verdict in self.verdicts if verdict["ok"] is False]

    @property
    def proposal(self) -> dict[str, str] | None:
        """The server software that the check takes it for, where it is asked as another."""
        found = self.verdict("software")
        proposed = found["values"] if found and found.get("code") == "speaks" else {}
        if proposed.get("dialect") not in DIALECTS or proposed["dialect"] == self.endpoint.dialect:
            return None
        return proposed
