"""What tells one inference server from another: which fields it takes, what it really answers.

A server may refuse a field it does not know, or answer 200 and ignore it. So only the fields
listed here are sent, and what a server is known to make up is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_ALL = frozenset({"model", "max_tokens", "temperature", "seed", "stop", "stream"})
_PLAIN = _ALL | {"prompt"}
_RATED = _PLAIN | {"logprobs"}
_ECHOED = _RATED | {"echo"}
_PROMPT_RATED = frozenset({"prompt_logprobs"})
_TALK = _ALL | {"messages"}
_RATED_TALK = _TALK | {"logprobs", "top_logprobs"}
_TOOLS = frozenset({"tools", "tool_choice"})
_FORMED = frozenset({"response_format"})
_COUNTED = frozenset({"stream_options"})
_FULL_TALK = _RATED_TALK | _TOOLS | _FORMED | _COUNTED


@dataclass(frozen=True)
class Dialect:
    """How to ask one kind of server.

    ``completions`` and ``chat`` are the fields sent to either path, None: all. ``version``,
    ``health`` and ``metrics`` are paths below the server's own address, "" where it has none
    ("/" is the address itself); its figures begin with ``measures``. ``counts``: its token
    counts are true. ``most_logprobs`` bounds ``top_logprobs``, ``most_stops`` the stop texts of
    one request (None: no bound). ``sampling``: it heeds a temperature only when told to sample.
    ``flags_logprobs``: it is told by yes or no whether to give log-probabilities.

    ``lists`` says where the name of the model is found: "models" (the list holds it), "reply"
    (the list holds every model of the disk, the reply names the loaded one), "name" (a path of
    its own), "" (nowhere). ``native`` is a route of ``evals.llm.native`` for log-probabilities
    of a prompt. ``schema`` is its form of a demanded JSON schema. ``busy`` are HTTP errors
    below 500 after which asking again may help. The first answer may take ``warm_up`` seconds.
    """

    label: str
    completions: frozenset[str] | None
    chat: frozenset[str] | None
    version: str = ""
    health: str = ""
    metrics: str = ""
    measures: str = ""
    counts: bool = True
    most_logprobs: int = 20
    most_stops: int | None = None
    sampling: bool = False
    flags_logprobs: bool = False
    lists: str = "models"
    native: str = ""
    schema: str = "openai"
    busy: frozenset[int] = frozenset()
    warm_up: float = 0.0

    @property
    def echoes(self) -> bool:
        """Whether it can give log-probabilities of a prompt: the check must still prove it."""
        return self.completions is None or "echo" in self.completions

    def takes(self, path: str, field: str) -> bool:
        """Whether ``field`` is sent to ``path``."""
        known = self._fields(path)
        return known is None or field in known

    def fitted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """``body`` with the fields this server takes at ``path``, within its limits."""
        sent = {key: value for key, value in body.items() if self.takes(path, key)}
        if self.flags_logprobs and type(sent.get("logprobs")) is int:
            sent |= {"logprobs": True, "top_logprobs": sent["logprobs"]}
        for field in ("logprobs", "top_logprobs"):
            if type(sent.get(field)) is int:
                sent[field] = min(sent[field], self.most_logprobs)
        if self.most_stops is not None and "stop" in sent:
            sent["stop"] = sent["stop"][: self.most_stops]
        if self.sampling and sent.get("temperature"):
            sent["do_sample"] = True
        return sent

    def response_format(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        """The field that demands an answer of this JSON schema."""
        if self.schema == "tgi":
            return {"type": "json", "value": schema}
        if self.schema in ("flat", "object"):
            kind = "json_schema" if self.schema == "flat" else "json_object"
            return {"type": kind, "schema": schema}
        named = {"name": name, "schema": schema, "strict": True}
        return {"type": "json_schema", "json_schema": named}

    def _fields(self, path: str) -> frozenset[str] | None:
        return {"completions": self.completions, "chat/completions": self.chat}.get(path)


GENERIC = "generic"
DIALECTS: dict[str, Dialect] = {
    GENERIC: Dialect("OpenAI-compatible", None, None, version="version"),
    "vllm": Dialect(
        "vLLM", _ECHOED | _PROMPT_RATED, _FULL_TALK, version="version", health="health",
        metrics="metrics", measures="vllm:", native="prompt_logprobs",
    ),
    "sglang": Dialect(
        "SGLang", _ECHOED, _FULL_TALK, version="version", health="health", metrics="metrics",
        measures="sglang:",
    ),
    "nim": Dialect(
        "NVIDIA NIM", _ECHOED | _PROMPT_RATED, _FULL_TALK, version="v1/version",
        health="v1/health/ready", metrics="v1/metrics", native="prompt_logprobs",
    ),
    # Chat alone gives log-probabilities; a prompt is scored by its own interface only.
    "tgi": Dialect(
        "TGI", _PLAIN, _FULL_TALK, version="info", health="health", metrics="metrics",
        measures="tgi_", native="prefill", schema="tgi", most_stops=4,
    ),
    "llama.cpp": Dialect(
        "llama.cpp", _RATED, _FULL_TALK, version="props", health="health", metrics="metrics",
        measures="llamacpp:",
    ),
    "llama-cpp-python": Dialect(
        "llama-cpp-python", _ECHOED, _RATED_TALK | _TOOLS | _FORMED, schema="object"
    ),
    "ollama": Dialect(
        "Ollama", _RATED, _FULL_TALK - {"tool_choice"}, version="api/version", health="/"
    ),
    "tabbyapi": Dialect("TabbyAPI", _RATED, _FULL_TALK, health="health", lists="reply"),
    # Without its flag for prompts it echoes the text with empty log-probabilities: the check
    # tells. It samples greedily whatever the temperature unless told to sample. Every error,
    # that of a full queue too, is a 417.
    "lightllm": Dialect(
        "LightLLM", _ECHOED, _RATED_TALK | _TOOLS | _FORMED, health="health", metrics="metrics",
        measures="lightllm_", sampling=True, lists="name", native="lightllm", schema="flat",
        busy=frozenset({417}),
    ),
    # Counts are always 0/0/0: unknown, never a cost of nothing.
    "openai_trtllm": Dialect(
        "openai_trtllm", _PLAIN, _TALK, health="health_check", counts=False, lists=""
    ),
    # Refuses every request with a field it does not know; echoes text, but scores only answers.
    "trtllm-serve": Dialect(
        "trtllm-serve", _RATED, _FULL_TALK, version="version", health="health", metrics="metrics"
    ),
    # Lists what lies on the disk; its log-probabilities are a yes or no, at most eleven.
    "mlx_lm": Dialect(
        "mlx_lm.server", _RATED | {"top_logprobs"}, _RATED_TALK | _TOOLS, health="health",
        most_logprobs=11, flags_logprobs=True,
    ),
    # Loads the model when the first request comes.
    "transformers": Dialect("transformers serve", _PLAIN, _TALK, warm_up=600.0),
    "lmstudio": Dialect("LM Studio", _RATED, _FULL_TALK),
    "localai": Dialect("LocalAI", _RATED, _FULL_TALK),
}  # fmt: skip
