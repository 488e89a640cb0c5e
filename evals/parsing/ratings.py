"""The rating in the reply of a judge, by FastChat's rule and by a stricter one.

A reply that holds no rating gives None and says why: a missing rating is never a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Status = Literal["ok", "ok_multiple", "no_rating", "out_of_range"]

DOUBLE = re.compile(r"\[\[(\d+\.?\d*)\]\]")
SINGLE = re.compile(r"\[(\d+\.?\d*)\]")
NUMBER = r"[-+]?[0-9]{1,6}(?:[.,][0-9]{1,6})?"
# "[[8]]", "[[ 7,5 ]]", "[[8/10]]", "[[rating: 7]]"; the bounds keep it linear in the text.
MARKED = re.compile(
    rf"\[\[[^\S\n]{{0,9}}(?:[^\W\d_]{{1,30}}[^\S\n]{{0,9}}[:=][^\S\n]{{0,9}})?"
    rf"({NUMBER})[^\S\n]{{0,9}}(?:/[^\S\n]{{0,9}}({NUMBER})[^\S\n]{{0,9}})?\]\]"
)


class Rating(NamedTuple):
    """``value`` on the scale of the prompt, None unless ``status`` is ok or ok_multiple.

    ``ok_multiple``: the reply holds ratings that differ, of which the last one counts.
    """

    value: float | None
    status: Status


NONE = Rating(None, "no_rating")


def fastchat(text: str) -> Rating:
    """The first ``[[x]]``, else the first ``[x]``, whatever its size; as FastChat reads it.

    A number that Python does not take, such as ``08``, ends FastChat with an exception; here it
    is no rating. Source: FastChat, ``fastchat/llm_judge/common.py``, ``run_judge_single``.
    """
    found = DOUBLE.search(text) or SINGLE.search(text)
    if found is None:
        return NONE
    number = found[1]
    zero_led = "." not in number and len(number) > 1 and number[0] == "0" and number.strip("0")
    if zero_led or not number.isascii() or len(number) > 300:
        return NONE
    return Rating(float(number), "ok")


def strict(text: str, low: float = 1, high: float = 10) -> Rating:
    """The last ``[[x]]`` that holds a number, if it lies in ``low`` … ``high``.

    ``text`` is the reply without what the judge thought before it (`evals.llm.thinking`). Also
    read are blanks inside, a decimal comma, a word before the number and ``x/high``; single
    brackets are not, because code and citations have them.
    """
    found = list(_marked(text, high))
    if not found:
        return NONE
    if not low <= found[-1] <= high:
        return Rating(None, "out_of_range")
    return Rating(found[-1], "ok" if len(set(found)) == 1 else "ok_multiple")


def structured(text: str, low: float = 1, high: float = 10) -> Rating:
    """The ``rating`` of a JSON object, which may stand in a fence or in text around it."""
    found = list(objects(text))
    ratings = [number for each in found if (number := _number(each.get("rating"))) is not None]
    if not ratings:
        return NONE
    if not low <= ratings[-1] <= high:
        return Rating(None, "out_of_range")
    return Rating(ratings[-1], "ok" if len(set(ratings)) == 1 else "ok_multiple")


def objects(text: str) -> Iterator[dict[str, object]]:
    """The JSON objects in ``text`` that stand in no other one, in their order."""
    decoder = json.JSONDecoder(parse_constant=lambda _name: None)
    at = text.find("{")
    tries = 0
    while at >= 0 and tries < TRIES:
        tries += 1
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
        else:
            yield value
        at = text.find("{", at)


TRIES = 200  # openings of an object that are looked at in one reply


def _marked(text: str, high: float) -> Iterator[float]:
    for number, scale in MARKED.findall(text):
        if not scale or _float(scale) == high:
            yield _float(number)


def _float(number: str) -> float:
    return float(number.replace(",", "."))


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e9 else None
    if isinstance(value, str) and re.fullmatch(NUMBER, value.strip()):
        return _float(value.strip())
    return None
