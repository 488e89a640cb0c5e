"""What a check can find, in sentences, and the form in which findings are kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from evals.sentences import gettext_noop

# Stable code → verdict (None: says nothing about the server) and sentence.
SENTENCES: dict[str, tuple[bool | None, str]] = {
    "not_tried": (None, gettext_noop("Not tried.")),
    "failed": (False, gettext_noop("The request failed: {error}")),
    "malformed": (False, gettext_noop("The reply cannot be used: {error}.")),
    "reachable": (True, gettext_noop("The server answers.")),
    "unreachable": (False, gettext_noop("The server cannot be reached: {error}")),
    "unauthorised": (False, gettext_noop("The server does not accept the key: {error}")),
    "listed": (True, gettext_noop("The server lists the model.")),
    "not_listed": (False, gettext_noop("The server does not list the model. It lists: {models}.")),
    "no_list": (None, gettext_noop("The server gives no list of models: {error}")),
    "chat_works": (True, gettext_noop("Chat works.")),
    "chat_silent": (
        None,
        gettext_noop("The server answers chats; the model said nothing at once."),
    ),
    "chat_empty": (False, gettext_noop("The chat reply holds no text.")),
    "chat_uncounted": (
        False,
        gettext_noop("Chat works, but the reply lacks token counts or a finish reason."),
    ),
    "completions_work": (True, gettext_noop("Completions work.")),
    "completions_empty": (False, gettext_noop("The completions of all prompts are empty.")),
    "echo_true": (
        True,
        gettext_noop("Echoed log-probabilities are true (largest difference {difference})."),
    ),
    "no_logprobs": (False, gettext_noop("The server answers, but without log-probabilities.")),
    "echo_incomplete": (
        False,
        gettext_noop("The echo lacks the log-probability of its last token."),
    ),
    "echo_differs": (
        False,
        gettext_noop(
            "Echoed log-probabilities are wrong: {echoed} for {token}, "
            "which was generated with {generated}."
        ),
    ),
    "echo_blind": (
        False,
        gettext_noop("The continuations “{first}” and “{second}” get the same log-likelihood."),
    ),
    "echo_unsteady": (False, gettext_noop("The same request gives different log-likelihoods.")),
    "echo_undecided": (
        None,
        gettext_noop(
            "Whether echoed log-probabilities are true could not be decided: "
            "the model ends every text at once."
        ),
    ),
    "counts": (True, gettext_noop("The server counts tokens as it reads them.")),
    "counts_differently": (
        False,
        gettext_noop("The server counts {counted} tokens for a text it reads as {read} tokens."),
    ),
    "no_count": (None, gettext_noop("The server has no token count; the echo is used instead.")),
    "lists_first": (True, gettext_noop("The most likely first tokens are listed ({count}).")),
    "lists_few": (
        False,
        gettext_noop("Only {count} most likely first tokens are listed; {needed} are needed."),
    ),
    "batches": (True, gettext_noop("Several prompts in one request work.")),
    "batch_differs": (
        False,
        gettext_noop("Several prompts in one request give other log-likelihoods."),
    ),
    "healthy": (True, gettext_noop("The server says that it is well.")),
    "no_health": (None, gettext_noop("This software tells nothing about its health.")),
    "sick": (False, gettext_noop("The server says that it is not well: {error}")),
    "other_model": (
        False,
        gettext_noop("Another model answers, whatever name is asked for: {models}."),
    ),
    "lists_nothing": (None, gettext_noop("This software has no list of models.")),
    "speaks": (
        None,
        gettext_noop("The server seems to be {label} ({because}). It is asked as {asked}."),
    ),
    "speaks_as_asked": (True, gettext_noop("The server says that it is {label} ({because}).")),
    "speaks_unknown": (None, gettext_noop("The server does not say what software it is.")),
    "chat_uncut": (
        False,
        gettext_noop("Chat works, but an answer that was cut off is told as “{reason}”."),
    ),
    "no_route": (None, gettext_noop("This software has no way of its own for that.")),
    "not_asked": (None, gettext_noop("Not asked: this software does not take {field}.")),
    "zero_tokens": (True, gettext_noop("A text can be scored without generating a token.")),
    "zero_refused": (False, gettext_noop("At least one token has to be generated: {error}")),
    "ids_read": (True, gettext_noop("Prompts may be given as token numbers.")),
    "ids_differ": (
        False,
        gettext_noop("{sent} token numbers are read as {read} tokens."),
    ),
    "no_ids": (None, gettext_noop("The server does not tell the token numbers of a text.")),
    "lists_same": (
        False,
        gettext_noop("Two different prompts get the same list of first tokens: it is made up."),
    ),
    "lists_equal": (
        False,
        gettext_noop("All listed first tokens have the same log-probability: it is made up."),
    ),
    "lists_unsorted": (
        False,
        gettext_noop("The list of first tokens does not begin with the most likely."),
    ),
    "lists_beyond": (
        False,
        gettext_noop("The listed first tokens have a probability of {sum} together."),
    ),
    "structured": (True, gettext_noop("A demanded form of the answer is kept.")),
    "structured_ignored": (False, gettext_noop("A demanded form of the answer is ignored.")),
    "structured_unfinished": (
        None,
        gettext_noop("The answer keeps the demanded form, but did not come to its end."),
    ),
    "tools": (True, gettext_noop("A tool is called with readable arguments.")),
    "tools_ignored": (False, gettext_noop("The answer does not call the tool.")),
    "tools_unfinished": (
        None,
        gettext_noop("The answer begins to call the tool, but did not come to its end."),
    ),
    "tools_unreadable": (False, gettext_noop("The arguments of the tool cannot be read.")),
    "streams": (True, gettext_noop("Answers come piece by piece, with token counts.")),
    "streams_uncounted": (
        None,
        gettext_noop("Answers come piece by piece, but without token counts."),
    ),
    "steady": (True, gettext_noop("The same question got the same answer twice.")),
    "unsteady": (
        False,
        gettext_noop("The same question got two different answers, without chance in it."),
    ),
    "context_found": (
        True,
        gettext_noop("A word at the start of {read} tokens was found again."),
    ),
    "context_read": (
        True,
        gettext_noop("All of a text of {read} tokens was read; the model did not find its word."),
    ),
    "context_cut": (
        False,
        gettext_noop("Of a text of about {sent} tokens only {read} were read: it is cut off."),
    ),
    "context_lost": (
        None,
        gettext_noop("The word at the start of about {sent} tokens was not found again."),
    ),
    "context_unknown": (
        None,
        gettext_noop("The server does not say how long a text may be. Enter it to have it tried."),
    ),
    "thinks_apart": (True, gettext_noop("Thinking comes apart from the answer, in “{where}”.")),
    "thinks_inside": (
        True,
        gettext_noop("Thinking stands in the answer, between {where}."),
    ),
    "thinks_not": (None, gettext_noop("No thinking was seen.")),
    "unknown_ignored": (True, gettext_noop("A field that the server does not know is ignored.")),
    "unknown_refused": (
        None,
        gettext_noop("A field that the server does not know is refused: only the least is sent."),
    ),
    "measured": (True, gettext_noop("{count} figures about its work are told.")),
    "measures_other": (
        False,
        gettext_noop("Its figures are not those of {label}: none begins with “{prefix}”."),
    ),
    "measures_unreadable": (False, gettext_noop("What it tells about its work is unreadable.")),
    "replica_same": (True, gettext_noop("It can do the same, with the same log-probabilities.")),
    "replica_away": (False, gettext_noop("It cannot be used: {error}")),
    "replica_version": (False, gettext_noop("It is {other}, but the first server is {first}.")),
    "replica_able": (False, gettext_noop("What it can do differs in: {what}.")),
    "replica_model": (
        False,
        gettext_noop("The same text is {other} there and {first} here: it is another model."),
    ),
    "measures_nothing": (None, gettext_noop("This software tells no figures about its work.")),
}


@dataclass(frozen=True)
class Verdict:
    """One finding; ``code`` with ``values`` makes ``summary`` in any language.

    ``evidence`` holds excerpts of the deciding ``request`` and ``response``, without the key;
    ``seconds`` is what it took.
    """

    name: str
    ok: bool | None
    summary: str
    evidence: dict[str, str] = field(default_factory=dict)
    code: str = ""
    values: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class ProbeReport:
    """All verdicts in order, the server's name and version, and what runs may rely on."""

    verdicts: tuple[Verdict, ...]
    server: str
    capabilities: dict[str, bool]


def verdict(
    name: str, code: str, values: dict[str, str], evidence: dict[str, str], seconds: float = 0.0
) -> Verdict:
    """What ``code`` says, with its sentence."""
    ok, sentence = SENTENCES[code]
    return Verdict(name, ok, sentence.format(**values), evidence, code, values, seconds)
