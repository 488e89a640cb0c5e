"""Templates that ask a judge for a rating or a verdict, in FastChat's form.

Source of names, roles and places: FastChat, ``llm_judge`` (the texts come from their owners at
run time, or from the portal's own set).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["single", "pairwise"]
Output = Literal["[[rating]]", "[[A]]", "[[A]]+D", "[[rating_a,rating_b]]", "json"]
OUTPUTS: dict[Kind, tuple[Output, ...]] = {
    "single": ("[[rating]]", "json"),
    "pairwise": ("[[A]]", "[[A]]+D", "[[rating_a,rating_b]]"),
}

PLACE = re.compile(r"\{([a-z_0-9]+)\}")
ANSWERS = {"single": ("answer",), "pairwise": ("answer_a", "answer_b")}
# In hardened mode: what the prompt or the reader of the reply would take for its own.
VERDICT = re.compile(r"\[(?=\[)|(?<=\])\]")


class Role(NamedTuple):
    """Which template is used when: for how many turns at once, with or without references."""

    kind: Kind
    turns: int
    reference: bool


class Template(NamedTuple):
    """One prompt: what is said as system and as user, and the form of the reply it asks for."""

    name: str
    kind: Kind
    system: str
    user: str
    output: Output

    @property
    def role(self) -> Role:
        """By the places it has: those of several turns are numbered."""
        places = places_of(self)
        numbered = [re.fullmatch(r"(?:question|answer(?:_[ab])?)_(\d)", place) for place in places]
        numbers = [int(found[1]) for found in numbered if found]
        reference = any(place.startswith("ref_answer_") for place in places)
        return Role(self.kind, max(numbers, default=1), reference)


class Unfilled(ValueError):
    """Places of a template that nothing can be put into."""

    def __init__(self, name: str, places: list[str]) -> None:
        super().__init__(f"The template {name} has places that are not known: {', '.join(places)}.")
        self.places = places


def known_places(kind: Kind, turns: int) -> set[str]:
    """The places a template of this kind can have."""
    several = range(1, turns + 1)
    found = {"question", *ANSWERS[kind]}
    for turn in several:
        found |= {f"question_{turn}", f"ref_answer_{turn}"}
        found |= {f"{answer}_{turn}" for answer in ANSWERS[kind]}
    return found


def places_of(template: Template) -> set[str]:
    return set(PLACE.findall(template.system)) | set(PLACE.findall(template.user))


def check(template: Template, turns: int = 9) -> None:
    """Raises Unfilled for a place that is not known for this kind of template."""
    if unknown := sorted(places_of(template) - known_places(template.kind, turns)):
        raise Unfilled(template.name, unknown)


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with each known place filled once; what was filled in is never looked at again.

    Braces around anything else stay as they are, so code in a template or an answer is safe.
    """
    return PLACE.sub(lambda found: values.get(found[1], found[0]), text)


def messages(template: Template, values: Mapping[str, str]) -> list[dict[str, str]]:
    """What is sent: a system message where the template has one, and the user's."""
    system = (
        [{"role": "system", "content": fill(template.system, values)}] if template.system else []
    )
    return [*system, {"role": "user", "content": fill(template.user, values)}]


class Hardened(NamedTuple):
    """Values in which no answer ends its block or looks like a verdict, and the mark they have."""

    values: dict[str, str]
    mark: str


def hardened(values: Mapping[str, str], mark: str | None = None) -> Hardened:
    """Answers between marks that they cannot know, with double brackets taken apart.

    For the portal's own templates only: an official prompt must stay as it is, byte for byte.
    ``mark`` is drawn anew unless given.
    """
    mark = mark or secrets.token_hex(8)
    found = {
        name: f"<answer {mark}>\n{VERDICT.sub(_apart, value)}\n</answer {mark}>"
        if name.startswith("answer") else value
        for name, value in values.items()
    }  # fmt: skip
    return Hardened(found, mark)


def _apart(found: re.Match[str]) -> str:
    return "[ " if found[0] == "[" else " ]"
