"""What a server tells about itself: health, models, software, figures."""

from __future__ import annotations

import re
from typing import Any

from . import replies
from .dialects import DIALECTS
from .errors import Kind, LLMError
from .preflight import Outcome
from .replies import Malformed
from .witness import Witness

# One line of the Prometheus text format: name, labels, value.
SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{.*\})? +[^ ]+(?: +-?\d+)?")
# How figures begin, and who calls himself the owner of the models listed.
PREFIXES = {
    "vllm:": "vllm", "sglang:": "sglang", "tgi_": "tgi", "llamacpp:": "llama.cpp",
    "lightllm_": "lightllm",
}  # fmt: skip
OWNERS = {
    "vllm": "vllm", "sglang": "sglang", "llamacpp": "llama.cpp", "library": "ollama",
    "tabbyapi": "tabbyapi", "tensorrt_llm": "trtllm-serve", "organization_owner": "lmstudio",
}  # fmt: skip


async def reachable(witness: Witness) -> Outcome:
    try:
        witness.models = (await witness.get(f"{witness.spec.base_url}/models")).data
    except LLMError as error:
        witness.note("response", error.reply or str(error))
        if error.kind == Kind.UNAUTHORISED:
            return "unauthorised", {"error": str(error)}
        if error.status is None:
            return "unreachable", {"error": str(error)}
        # It speaks HTTP: some servers have no list of models and work all the same.
    return "reachable", {}


async def health(witness: Witness) -> Outcome:
    path = witness.spec.speaks.health
    if not path:
        return "no_health", {}
    try:
        await witness.text(path.removeprefix("/"))
    except LLMError as error:
        witness.note("response", error.reply or str(error))
        return "sick", {"error": str(error)}
    return "healthy", {}


async def listed(witness: Witness) -> Outcome:
    """Whether the model asked for is the one that answers, where the software tells it."""
    model, lists = witness.spec.model, witness.spec.speaks.lists
    if not lists:
        return "lists_nothing", {}
    if lists == "name":
        data = (await witness.get(f"{witness.spec.root}/get_model_name")).data
        name = data.get("model_name") if isinstance(data, dict) else None
        if not isinstance(name, str):
            raise Malformed("'model_name' is missing")
        same = name.rstrip("/").rpartition("/")[2] == model.rpartition("/")[2]
        return ("listed", {}) if same else ("not_listed", {"models": name[:300]})
    if lists == "reply":
        return await _answers(witness)
    try:
        reply = await witness.get(f"{witness.spec.base_url}/models")
        models = replies.model_ids(reply.data)
    except (LLMError, Malformed) as error:
        if isinstance(error, LLMError):
            witness.note("response", error.reply or str(error))
        return "no_list", {"error": str(error)}
    if model in models:
        return "listed", {}
    return "not_listed", {"models": ", ".join(models[:20])[:300] or "–"}


async def _answers(witness: Witness) -> Outcome:
    body = {"prompt": "Hello", "max_tokens": 1, "temperature": 0.0}
    data = (await witness.post("completions", body)).data
    name = data.get("model") if isinstance(data, dict) else None
    if name == witness.spec.model:
        return "listed", {}
    return "other_model", {"models": str(name)[:300]}


async def metrics(witness: Witness) -> Outcome:
    dialect = witness.spec.speaks
    if not dialect.metrics:
        return "measures_nothing", {}
    names = samples(await witness.text(dialect.metrics))
    if not names:
        return "measures_unreadable", {}
    if dialect.measures and not any(name.startswith(dialect.measures) for name in names):
        return "measures_other", {"label": dialect.label, "prefix": dialect.measures}
    return "measured", {"count": str(len(names))}


def samples(text: str) -> list[str]:
    """The names of a Prometheus text, [] where a line is none of that format."""
    names = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            found = SAMPLE.fullmatch(line.strip())
            if not found:
                return []
            names.append(found[1])
    return names


async def software(witness: Witness) -> Outcome:
    """Which dialect the server seems to speak, by what it tells unasked."""
    key, because = await _seems(witness)
    if not key:
        return "speaks_unknown", {}
    values = {"dialect": key, "label": DIALECTS[key].label, "because": because}
    if key == witness.spec.dialect:
        return "speaks_as_asked", values
    return "speaks", values | {"asked": witness.spec.speaks.label}


async def _seems(witness: Witness) -> tuple[str, str]:
    owner = _owner(witness.models).lower()
    if owner in OWNERS:
        return OWNERS[owner], f"owned_by {owner}"
    # The most telling paths first: several servers answer /version and /metrics.
    for path, field, key in (
        ("get_model_name", "model_name", "lightllm"),
        ("info", "max_total_tokens", "tgi"),
        ("props", "default_generation_settings", "llama.cpp"),
        ("api/version", "version", "ollama"),
        ("v1/metadata", "modelInfo", "nim"),
    ):
        data = await _told(witness, path)
        if isinstance(data, dict) and field in data:
            return key, f"/{path}: {field}"
    try:
        names = samples(await witness.text("metrics"))
    except LLMError:
        return "", ""
    for prefix, key in PREFIXES.items():
        if any(name.startswith(prefix) for name in names):
            return key, f"/metrics: {prefix}"
    return "", ""


async def _told(witness: Witness, path: str) -> Any:
    try:
        return (await witness.get(f"{witness.spec.root}/{path}")).data
    except LLMError:
        return None


def _owner(models: Any) -> str:
    """Who owns the first model of a list, as servers call themselves there."""
    entries = models.get("data") if isinstance(models, dict) else None
    first = entries[0] if isinstance(entries, list) and entries else None
    owner = first.get("owned_by") if isinstance(first, dict) else None
    return owner if isinstance(owner, str) else ""


async def server(witness: Witness) -> str:
    """Name and version as the server states them, as far as it does."""
    try:
        version = await witness.client.server_version()
    except LLMError:
        version = ""
    return " ".join(part for part in (_owner(witness.models), version) if part)[:100]
