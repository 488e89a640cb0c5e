"""Whether log-probabilities, token counts and lists of first tokens can be used."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from . import replies
from .client import SEED, Client, echo_request, first_token_request
from .errors import LLMError
from .preflight import QUESTIONS, SAME_TOKEN, Outcome, native_is_true
from .replies import Malformed
from .transport import Reply
from .witness import Witness

FEWEST_LISTED = 5  # letters of most questions; with fewer, most would be missing
UNSORTED = 1e-3  # half precision may swap two that are as likely


async def native(witness: Witness) -> Outcome:
    """The software's own way to score a prompt, held to the same rule as the echo."""
    route = witness.spec.speaks.native
    if not route:
        return "no_route", {}
    spec = replace(witness.spec, route=route)
    async with Client(spec, witness.client.retry) as client:
        other = Witness(client)
        other.evidence = witness.evidence
        return await native_is_true(other)


async def zero_tokens(witness: Witness) -> Outcome:
    if not witness.spec.speaks.echoes:
        return "not_asked", {"field": "echo"}
    body = echo_request(QUESTIONS[0][0]) | {"max_tokens": 0}
    try:
        reply = await witness.post("completions", body)
    except LLMError as error:
        if error.status is None or error.status >= 500:
            raise
        witness.note("response", error.reply or str(error))
        return "zero_refused", {"error": str(error)}
    if not replies.completion(reply.data).text.startswith(QUESTIONS[0][0]):
        raise Malformed("the reply does not begin with the prompt")
    return "zero_tokens", {}


async def token_ids(witness: Witness) -> Outcome:
    body = {"model": witness.spec.model, "prompt": QUESTIONS[0][0]}
    try:
        data = (await witness.post_root("tokenize", body)).data
    except LLMError as error:
        if error.status is None:
            raise
        return "no_ids", {}
    ids = data.get("tokens") if isinstance(data, dict) else None
    if not isinstance(ids, list) or not ids or not all(type(one) is int for one in ids):
        return "no_ids", {}
    asked = {"prompt": ids, "max_tokens": 1, "temperature": 0.0, "seed": SEED}
    read = replies.completion((await witness.post("completions", asked)).data).prompt_tokens
    if read != len(ids):
        return "ids_differ", {"sent": str(len(ids)), "read": str(read)}
    return "ids_read", {}


async def tokenize(witness: Witness) -> Outcome:
    for prompt, _ in QUESTIONS:
        counted = await witness.client.tokens(prompt)
        if counted is None:
            return "no_count", {}
        body = {"prompt": prompt, "max_tokens": 1, "temperature": 0.0, "seed": SEED}
        read = replies.completion((await witness.post("completions", body)).data).prompt_tokens
        if counted != read:
            return "counts_differently", {"counted": str(counted), "read": str(read)}
    return "counts", {}


async def batch(witness: Witness) -> Outcome:
    context, parts = QUESTIONS[0]
    texts = [context + part for part in parts]
    alone = [(await witness.post("completions", echo_request(text))).data for text in texts]
    singly = [replies.score(replies.echoes(data, 1)[0][0], 1).loglikelihood for data in alone]
    reply = await witness.post("completions", echo_request(texts))
    together = [replies.score(echo, 1).loglikelihood for echo in replies.echoes(reply.data, 2)[0]]
    if any(abs(a - b) > SAME_TOKEN for a, b in zip(singly, together, strict=True)):
        return "batch_differs", {}
    return "batches", {}


async def first_token(witness: Witness) -> Outcome:
    prompts = [prompt for prompt, _ in QUESTIONS]
    return _listing(
        [await witness.post("completions", first_token_request(prompt)) for prompt in prompts]
    )


async def first_of_chat(witness: Witness) -> Outcome:
    talks = [[{"role": "user", "content": prompt}] for prompt, _ in QUESTIONS]
    return _listing(
        [await witness.post("chat/completions", first_token_request("", talk)) for talk in talks]
    )


def _listing(given: list[Reply]) -> Outcome:
    """What the lists of several prompts are worth: a server may make them up."""
    lists = [replies.top_logprobs(reply.data) for reply in given]
    fewest = min(len(top) for top in lists)
    for top in lists:
        values = [value for _, value in top]
        if max(values) - min(values) < UNSORTED:
            return "lists_equal", {}
        if any(after > before + UNSORTED for before, after in pairwise(values)):
            return "lists_unsorted", {}
        if (whole := sum(map(math.exp, values))) > 1 + SAME_TOKEN:
            return "lists_beyond", {"sum": f"{whole:.2f}"}
    if len(set(lists)) == 1:
        return "lists_same", {}
    if fewest < FEWEST_LISTED:
        return "lists_few", {"count": str(fewest), "needed": str(FEWEST_LISTED)}
    return "lists_first", {"count": str(fewest)}
