"""What a model thinks before it answers is no part of the answer: left out by one rule.

The rule has a number, which is stored with each run. Rule 1, in this order:

1. What the server gives apart (``reasoning``, ``reasoning_content``) is thinking.
2. Text that begins with ``<think>`` is thinking up to the first ``</think>``; without that
   end all of it is: it was cut off, and there is no answer.
3. Text with ``</think>`` alone is thinking up to it: the chat template had opened it.
4. Blanks between thinking and answer belong to neither.
"""

from __future__ import annotations

from typing import NamedTuple

RULE = 1
OPENED, CLOSED = "<think>", "</think>"


class Thought(NamedTuple):
    """``answer`` is what is scored. ``cut``: the thinking did not come to its end."""

    answer: str
    thinking: str
    cut: bool


def split(text: str) -> Thought:
    """``text`` as its thinking and its answer; without thinking the answer is ``text`` itself."""
    begun = text.lstrip()
    opened = begun.startswith(OPENED)
    if not opened and CLOSED not in text:
        return Thought(text, "", False)
    body = begun[len(OPENED) :] if opened else text
    thinking, closed, answer = body.partition(CLOSED)
    return Thought(answer.lstrip(), thinking.strip(), not closed)


def joined(text: str, reasoning: str, finish_reason: str) -> str:
    """One text out of what a server gives apart, as models write it; ``split`` undoes it.

    Without an answer and ended by its length, the thinking has no end.
    """
    if not reasoning.strip():
        return text
    if not text.strip() and finish_reason == "length":
        return f"{OPENED}{reasoning}"
    # An end mark inside would end it too early.
    inside = reasoning.replace(CLOSED, "")
    return f"{OPENED}{inside}{CLOSED}\n\n{text}"
