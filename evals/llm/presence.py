"""Is the server there at all? Asked only after requests have failed."""

from __future__ import annotations

from dataclasses import replace

from .client import Client
from .errors import Kind, LLMError
from .retry import Retry
from .spec import EndpointSpec

LOOK_SECONDS = 10.0


async def absence(spec: EndpointSpec) -> str:
    """Why ``spec`` cannot be asked just now; empty when it answers, whatever it says.

    Away is: no connection, or HTTP 503, which servers give while they load a model.
    """
    look = replace(spec, timeout=LOOK_SECONDS, gate=None)
    try:
        async with Client(look, Retry(attempts=1, deadline=LOOK_SECONDS)) as client:
            await client.models()
    except LLMError as error:
        if error.kind == Kind.CONNECTION or error.status == 503:
            return str(error)
    return ""
