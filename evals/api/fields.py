"""Types that several operations share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Field, Path, Schema
from pydantic import ConfigDict

from portal.api.paging import BIGGEST

Pk = Annotated[int, Path(ge=1, le=BIGGEST, description="Its `id`.", example=1)]
Key = Annotated[int, Field(ge=1, le=BIGGEST)]
Wait = Annotated[
    int,
    Field(0, ge=0, le=60, description="Wait up to so many seconds for the end before answering."),
]
State = Literal["queued", "running", "done", "failed", "cancelled", "stopped"]
Scoring = Literal["options", "letter", "generate"]


class Given(Schema):
    """A body: unknown fields are told rather than ignored, and types are not guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)


class Waiting(Schema):
    wait: Wait = 0


class JobFields(Schema):
    """How far something is that takes longer than a request."""

    state: State
    finished: bool = Field(description="It has ended: done, failed, cancelled or stopped.")
    message: str = Field(description="Why it failed or stopped; empty otherwise.")
    done: int
    errors: int
    total: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def job(row: Any) -> dict[str, Any]:
    """The fields of ``JobFields``."""
    return {
        "state": row.state,
        "finished": row.is_finished,
        "message": row.message,
        "done": row.done,
        "errors": row.errors,
        "total": row.total,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }
