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
_TALK = _ALL | {"messages"}
_RATED_TALK = _TALK | {"logprobs", "top_logprobs"}
_TOOLS = frozenset({"tools", "tool_choice"})
_FORMED = frozenset({"response_format"})
_COUNTED = frozenset({"stream_options"})
_FULL_TALK = _RATED_TALK | _TOOLS | _FORMED | _COUNTED


@dataclass(frozen=True)
class Dialect:
    """How to ask one kind of server.

    ``completions`` and ``chat`` are the fields sent to either path, None: all. ``version`` is
    a path below the server's own address, "" where it tells none. ``counts``: its token counts
    are true. ``most_logprobs`` bounds ``top_logprobs``. ``sampling``: it heeds a
    temperature only when told to sample.
    """

    label: str
    completions: frozenset[str] | None
    chat: frozenset[str] | None
    version: str = "version"
    counts: bool = True
    most_logprobs: int = 20
    sampling: bool = False

    @property
    def echoes(self) -> bool:
        """Whether it can give log-probabilities of a prompt: the check must still prove it."""
        return self.completions is None or "echo" in self.completions

    def fitted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """``body`` with the fields this server takes at ``path``, within its limits."""
        known = {"completions": self.completions, "chat/completions": self.chat}.get(path)
        sent = {key: value for key, value in body.items() if known is None or key in known}
        if "top_logprobs" in sent:
            sent["top_logprobs"] = min(sent["top_logprobs"], self.most_logprobs)
        if self.sampling and sent.get("temperature"):
            sent["do_sample"] = True
        return sent


GENERIC = "generic"
DIALECTS: dict[str, Dialect] = {
    GENERIC: Dialect("OpenAI-compatible", None, None),
    "vllm": Dialect("vLLM", _ECHOED, _FULL_TALK),
    "sglang": Dialect("SGLang", _ECHOED, _FULL_TALK),
    "nim": Dialect("NVIDIA NIM", _ECHOED, _FULL_TALK, version="v1/version"),
    "tgi": Dialect("TGI", _PLAIN, _FULL_TALK, version=""),
    "llama.cpp": Dialect("llama.cpp", _RATED, _FULL_TALK, version=""),
    "llama-cpp-python": Dialect(
        "llama-cpp-python", _ECHOED, _RATED_TALK | _TOOLS | _FORMED, version=""
    ),
    "ollama": Dialect("Ollama", _RATED, _FULL_TALK - {"tool_choice"}, version="api/version"),
    "tabbyapi": Dialect("TabbyAPI", _RATED, _FULL_TALK, version=""),
    # Without its flag for prompts it echoes the text with empty log-probabilities: the check
    # tells. It samples greedily whatever the temperature unless told to sample.
    "lightllm": Dialect(
        "LightLLM", _ECHOED, _RATED_TALK | _TOOLS | _FORMED, version="", sampling=True
    ),
    # Counts are always 0/0/0: unknown, never a cost of nothing.
    "openai_trtllm": Dialect("openai_trtllm", _PLAIN, _TALK, version="", counts=False),
    # Refuses every request with a field it does not know; echoes text, but scores only answers.
    "trtllm-serve": Dialect("trtllm-serve", _RATED, _FULL_TALK),
    "mlx_lm": Dialect("mlx_lm.server", _PLAIN, _RATED_TALK | _TOOLS, version="", most_logprobs=11),
    "transformers": Dialect("transformers serve", _PLAIN, _TALK, version=""),
    "lmstudio": Dialect("LM Studio", _RATED, _FULL_TALK, version=""),
    "localai": Dialect("LocalAI", _RATED, _FULL_TALK, version=""),
}
