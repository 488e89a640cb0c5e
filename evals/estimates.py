"""What a run will take, before it starts: requests, tokens, time, cost. No Django.

Tokens come from earlier runs of the same benchmarks where there are any; otherwise from the
characters of the questions, by a rule of thumb that pages tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from evals.costs import Cost, Rate, Usage, cost

# Characters of one token: English about 4, as vocabularies are made mostly of it; other
# languages fewer. Within a factor of two for the models people serve.
CHARACTERS = {"en": 4.0}
CHARACTERS_ELSEWHERE = 3.0


class Earlier(NamedTuple):
    """Token counts of samples of the same benchmark that were asked before."""

    samples: int
    prompt_tokens: int
    answer_tokens: int


class Plan(NamedTuple):
    """One benchmark to be asked.

    ``prompts``: prompts sent for one question (one for each choice, else 1). ``characters`` of
    one prompt of each of its questions, examples included. ``longest_answer``: at most as many
    tokens are asked for.
    """

    questions: int
    prompts: int
    characters: int
    language: str
    longest_answer: int
    earlier: Earlier | None = None


class Pace(NamedTuple):
    """How fast the candidate answered before."""

    samples: int
    seconds: float


class Estimate(NamedTuple):
    """``guessed``: some tokens come from characters; then answers are counted at their longest.

    ``seconds`` is None without an earlier run of the candidate.
    """

    questions: int
    requests: int
    prompt_tokens: int
    answer_tokens: int
    guessed: bool
    seconds: float | None
    cost: Cost


def estimate(
    plans: Sequence[Plan],
    *,
    pace: Pace | None = None,
    price: Rate | None = None,
    batched: bool = False,
    share: float = 1.0,
) -> Estimate:
    """What asking ``plans`` takes.

    ``batched``: the server takes all choices of a question in one request. ``share``: how much
    of it is still to be asked (a run that is resumed), from 0 to 1.
    """
    questions = sum(plan.questions for plan in plans)
    requests = sum(plan.questions * (1 if batched else plan.prompts) for plan in plans)
    prompt = ceil(share * sum(_prompt_tokens(plan) for plan in plans))
    answer = ceil(share * sum(_answer_tokens(plan) for plan in plans))
    left = ceil(share * questions)
    seconds = left * pace.seconds / pace.samples if pace and pace.samples else None
    return Estimate(
        questions=left,
        requests=ceil(share * requests),
        prompt_tokens=prompt,
        answer_tokens=answer,
        guessed=any(not plan.earlier for plan in plans),
        seconds=seconds,
        cost=cost(price, Usage(prompt, answer, seconds=seconds)),
    )


def _prompt_tokens(plan: Plan) -> float:
    if plan.earlier:
        return plan.questions * plan.earlier.prompt_tokens / plan.earlier.samples
    return plan.characters * plan.prompts / CHARACTERS.get(plan.language, CHARACTERS_ELSEWHERE)


def _answer_tokens(plan: Plan) -> float:
    if plan.earlier:
        return plan.questions * plan.earlier.answer_tokens / plan.earlier.samples
    return plan.questions * plan.longest_answer
