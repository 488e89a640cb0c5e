"""Where and how to ask one model."""

from __future__ import annotations

from dataclasses import dataclass, field

from portal.outbound import OutboundPolicy

from .dialects import DIALECTS, GENERIC, Dialect
from .gate import Gate


@dataclass(frozen=True)
class Other:
    """A further server of the same model."""

    base_url: str
    api_key: str = field(default="", repr=False)


@dataclass(frozen=True)
class EndpointSpec:
    """One served model, as plain values.

    ``base_url`` ends in ``/v1`` as a rule; ``concurrency`` bounds requests in flight;
    ``timeout`` is in seconds for one attempt; ``batch_prompts`` says that the server takes
    several prompts in one request; ``dialect`` is a key of ``DIALECTS``; ``route`` is how a
    prompt is scored: "echo" or a route of ``evals.llm.native``; ``minimal``: fields without
    which a question can be asked are not sent; ``others`` share the requests; ``structured``:
    it keeps to a JSON schema demanded of a chat; ``gate`` is shared with others who ask the same
    server. Raises ``ValueError`` for a key no header can carry.
    """

    base_url: str
    model: str
    policy: OutboundPolicy
    api_key: str = field(default="", repr=False)
    concurrency: int = 8
    timeout: float = 120.0
    batch_prompts: bool = True
    dialect: str = GENERIC
    route: str = "echo"
    minimal: bool = False
    others: tuple[Other, ...] = ()
    structured: bool = False
    gate: Gate | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ValueError("The key holds characters that cannot be sent in a header.")
        if self.concurrency < 1 or self.timeout <= 0:
            raise ValueError("Concurrency and timeout must be above zero.")

    @property
    def speaks(self) -> Dialect:
        """What the server takes and tells."""
        return DIALECTS[self.dialect]

    @property
    def root(self) -> str:
        """The server's own address, where routes outside the OpenAI interface live."""
        return self.base_url.removesuffix("/v1")
