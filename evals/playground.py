"""Ask one thing of up to three candidates, and keep answers worth keeping."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async
from django.core import signing
from django.core.cache import cache
from django.db import connections, transaction
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from evals import candidates, llm
from evals.costs import Usage, cost
from evals.llm import streaming
from evals.models import Candidate, KeptQuestion, Price
from evals.storable import clean, cleaned
from evals.templatetags.evals import amount
from evals.words import word
from portal.accounts import audit
from portal.accounts.models import Project, User
from portal.outbound import OutboundRefused
from portal.ui.templatetags.ui import decimal, duration
from workers.progress import JobError

MOST = 3
PER_MINUTE = 60  # answers that one person may ask for
SEALED_SECONDS = 24 * 3600
SALT = "evals.playground"

FAILURES = {
    llm.Kind.CONNECTION: gettext_lazy("The server cannot be reached, or it hung up."),
    llm.Kind.TIMEOUT: gettext_lazy("The server takes too long, so the portal hung up."),
    llm.Kind.RATE: gettext_lazy("The server is overloaded. Try again in a moment."),
    llm.Kind.SERVER: gettext_lazy("The server failed."),
    llm.Kind.REQUEST: gettext_lazy("The server refuses this request."),
    llm.Kind.NOT_FOUND: gettext_lazy("The server does not know this model or address."),
    llm.Kind.UNAUTHORISED: gettext_lazy("The server refuses the stored API key, or wants one."),
    llm.Kind.MALFORMED: gettext_lazy("The server's reply cannot be read."),
    llm.Kind.TOO_LARGE: gettext_lazy("The prompt is too large for the server."),
}


class Question(NamedTuple):
    """One prompt for one candidate: all that is needed to ask without the database."""

    candidate: Candidate
    spec: llm.EndpointSpec | None
    prompt: streaming.Prompt
    by: User
    language: str
    price: Price | None = None
    obstacle: str = ""
    """Why it cannot be asked, in words."""


class Answer(NamedTuple):
    """A whole answer, for pages without a script."""

    candidate: Candidate
    text: str
    reasoning: str
    figures: list[tuple[str, str]]
    sealed: str
    failure: str
    detail: str


def question(candidate: Candidate, prompt: streaming.Prompt, *, by: User) -> Question:
    """``prompt`` for ``candidate``, everything read from the database that asking takes."""
    spec, obstacle = None, ""
    try:
        spec = candidates.spec(candidate.endpoint)
    except JobError as error:
        obstacle = _(str(error))
    language = translation.get_language() or "en"
    price = candidate.endpoint.price
    return Question(candidate, spec, prompt, by, language, price, obstacle)


def allowed(person: User) -> bool:
    """Count one more answer; False when ``person`` has asked for too many within this minute."""
    key = f"playground:{person.pk}:{int(time.time() // 60)}"
    cache.add(key, 0, timeout=120)
    return cache.incr(key) <= PER_MINUTE


async def events(asked: Question) -> AsyncIterator[dict[str, Any]]:
    """What happens, fit for JSON: ``text`` and ``reasoning`` as they come, then one last event.

    The last one is ``end`` with figures and the sealed answer, or ``failed`` with words.
    Holds no database connection.
    """
    await sync_to_async(_let_go)()
    if asked.spec is None:
        yield {"kind": "failed", "failure": asked.obstacle, "detail": ""}
        return
    texts: list[str] = []
    try:
        async with aclosing(streaming.stream(asked.spec, asked.prompt)) as pieces:
            async for piece in pieces:
                if isinstance(piece, streaming.Ending):
                    yield _end(asked, "".join(texts), piece)
                    continue
                texts.append(piece.text)
                if piece.reasoning:
                    yield {"kind": "reasoning", "text": piece.reasoning}
                if piece.text:
                    yield {"kind": "text", "text": piece.text}
    except (OutboundRefused, llm.LLMError) as error:
        yield _failed(asked, error)


async def whole(asked: Question) -> Answer:
    """The complete answer."""
    parts: dict[str, list[str]] = {"text": [], "reasoning": []}
    last: dict[str, Any] = {}
    async for event in events(asked):
        if event["kind"] in parts:
            parts[event["kind"]].append(event["text"])
        else:
            last = event
    return Answer(
        asked.candidate, "".join(parts["text"]), "".join(parts["reasoning"]),
        last.get("figures", []), last.get("sealed", ""),
        last.get("failure", ""), last.get("detail", ""),
    )  # fmt: skip


def unseal(project: Project, sealed: str) -> dict[str, Any] | None:
    """What a model of ``project`` answered within the last day; None for anything else."""
    try:
        found = signing.loads(sealed, salt=SALT, max_age=SEALED_SECONDS)
    except signing.BadSignature:
        return None
    return found if found["project"] == project.pk else None


@transaction.atomic
def keep(project: Project, answered: dict[str, Any], *, note: str, by: User) -> KeptQuestion:
    """The answer as a sample question; one that is kept already only gets the new note."""
    candidate = Candidate.objects.in_project(project).filter(pk=answered["candidate"]).first()
    what = {
        "candidate": candidate,
        "messages": cleaned(answered["messages"]),
        "answer": clean(answered["answer"]),
        "served_model": answered["served_model"],
    }
    kept, new = KeptQuestion.objects.get_or_create(
        project=project, **what, created_by=by, defaults={"note": clean(note)}
    )
    if new:
        audit.record(project, "question.keep", kept, by=by, model=str(candidate or ""))
    elif note:
        kept.note = clean(note)
        kept.save(update_fields=["note"])
    return kept


@transaction.atomic
def forget(kept: KeptQuestion, *, by: User) -> None:
    """Delete a kept question."""
    audit.record(kept.project, "question.delete", kept, by=by)
    kept.delete()


def records(kept: Iterable[KeptQuestion], kind: str) -> list[dict[str, Any]]:
    """Kept questions as records of a file; in a table the messages are one cell of JSON."""
    flat = kind not in ("json", "jsonl")
    return [
        {
            "id": one.pk,
            "kept_at": one.created_at.isoformat(),
            "system": one.system,
            "prompt": one.prompt,
            "messages": json.dumps(one.messages, ensure_ascii=False) if flat else one.messages,
            "answer": one.answer,
            "model": one.candidate.name if one.candidate else None,
            "served_model": one.served_model,
            "note": one.note,
        }
        for one in kept
    ]


def figures(asked: Question, ending: streaming.Ending) -> list[tuple[str, str]]:
    """What is told under an answer, label and value in the reader's notation."""
    told = [
        (_("First token after"), duration(ending.first_seconds)),
        (_("Tokens per second"), _number(ending.tokens_per_second, 1)),
        (_("Prompt tokens"), _number(ending.prompt_tokens)),
        (_("Answer tokens"), _number(ending.completion_tokens)),
        (_("Time in all"), duration(ending.seconds)),
        (_("Ended by"), ending.finish_reason or "–"),
    ]
    usage = Usage(ending.prompt_tokens, ending.completion_tokens, seconds=ending.seconds)
    paid = cost(asked.price, usage)
    if paid.amount is not None:
        written = f"{amount(paid.amount)} {paid.currency}"
        told.append((_("Cost at least") if paid.at_least else _("Cost"), written))
    return told


def _end(asked: Question, text: str, ending: streaming.Ending) -> dict[str, Any]:
    answered = {
        "project": asked.candidate.project_id,
        "candidate": asked.candidate.pk,
        "served_model": asked.candidate.endpoint.served_model,
        "messages": asked.prompt.messages,
        "answer": text,
    }
    sealed = signing.dumps(answered, salt=SALT, compress=True) if text.strip() else ""
    with translation.override(asked.language):
        return {"kind": "end", "figures": figures(asked, ending), "sealed": sealed}


def _failed(asked: Question, error: OutboundRefused | llm.LLMError) -> dict[str, Any]:
    with translation.override(asked.language):
        if isinstance(error, OutboundRefused):
            return {"kind": "failed", "failure": f"{_(error.reason)} {_(error.hint)}", "detail": ""}
        failure = str(FAILURES.get(error.kind, word(error.kind)))
        return {"kind": "failed", "failure": failure, "detail": str(error)}


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else decimal(value, digits)


def _let_go() -> None:
    """Close this request's database connections: an answer may take minutes."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
