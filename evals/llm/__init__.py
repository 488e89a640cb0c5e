"""Asynchronous client for servers with OpenAI's interface. Knows neither Django nor Celery."""

from __future__ import annotations

from .client import Client, Completion, FirstToken, Loglikelihoods
from .errors import Kind, LLMError
from .findings import SENTENCES, ProbeReport, Verdict
from .gate import Gate
from .knee import Knee
from .pool import pooled
from .probes import CAPABILITIES, PROBE_VERSION, PROBES, check, identity
from .replies import OptionScore
from .retry import Retry
from .spec import EndpointSpec, Other
from .twins import compared

__all__ = [
    "CAPABILITIES",
    "PROBES",
    "PROBE_VERSION",
    "SENTENCES",
    "Client",
    "Completion",
    "EndpointSpec",
    "FirstToken",
    "Gate",
    "Kind",
    "Knee",
    "LLMError",
    "Loglikelihoods",
    "OptionScore",
    "Other",
    "ProbeReport",
    "Retry",
    "Verdict",
    "check",
    "compared",
    "identity",
    "pooled",
]
