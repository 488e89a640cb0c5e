"""Asynchronous client for servers with OpenAI's interface. Knows neither Django nor Celery."""

from __future__ import annotations

from .client import Client, Completion, FirstToken, Loglikelihoods
from .errors import Kind, LLMError
from .pool import pooled
from .probes import SENTENCES, ProbeReport, Verdict, check
from .replies import OptionScore
from .retry import Retry
from .spec import EndpointSpec

__all__ = [
    "SENTENCES",
    "Client",
    "Completion",
    "EndpointSpec",
    "FirstToken",
    "Kind",
    "LLMError",
    "Loglikelihoods",
    "OptionScore",
    "ProbeReport",
    "Retry",
    "Verdict",
    "check",
    "pooled",
]
