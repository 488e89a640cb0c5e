"""The words of a language: one file ``templates/<language>.yaml``, the same shape for each.

::

    language: de
    or: oder                  # joins the last two labels of a list
    tasks:
      sentiment:
        prefix: …             # once, above the examples, for models that continue a text
        base: …               # one question with its {answer}, which comes last
        instruct: …           # one question as a message; {labels}: the words to choose from
        labels:               # internal name → word; only where the task has labels
          positive: positiv

Placeholders are the task's fields, ``{labels}`` (quoted and joined: 'ja' oder 'nein') and, in
``base`` alone, ``{answer}`` at its end. In the two tasks that have options, ``{text}`` already
holds them, a line each ("a. …").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from evals.styles.tasks import TASKS

FOLDER = Path(__file__).parent / "templates"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
TEXTS = ("prefix", "base", "instruct")


class TemplateInvalid(ValueError):
    """A template cannot be used; the text names language, task and field."""


class Template(NamedTuple):
    """One task in one language; ``labels`` maps internal names to words, in the task's order."""

    prefix: str
    base: str
    instruct: str
    labels: dict[str, str]


class Language(NamedTuple):
    code: str
    joiner: str
    templates: dict[str, Template]

    def listed(self, words: list[str]) -> str:
        """``words`` quoted and joined: "'a', 'b' oder 'c'"."""
        quoted = [f"'{word}'" for word in words]
        if len(quoted) < 2:
            return "".join(quoted)
        return f"{', '.join(quoted[:-1])} {self.joiner} {quoted[-1]}"


@cache
def languages() -> tuple[str, ...]:
    """The codes of the languages that have templates."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def language(code: str) -> Language:
    """The templates of one language; TemplateInvalid where there are none or they are faulty."""
    if code not in languages():
        known = ", ".join(languages())
        raise TemplateInvalid(f"There are no templates for language {code!r}, only for {known}.")
    entry = yaml.safe_load((FOLDER / f"{code}.yaml").read_text(encoding="utf-8"))
    for fault in faults(entry, code):
        raise TemplateInvalid(f"{code}.yaml: {fault}")
    made = {
        name: Template(
            **{field: given[field].strip() for field in TEXTS},
            labels={label: given["labels"][label] for label in TASKS[name].labels},
        )
        for name, given in entry["tasks"].items()
    }
    return Language(code, entry["or"], made)


def template(code: str, task: str) -> Template:
    """How ``task`` is put in a language; TemplateInvalid where it is not."""
    found = language(code).templates.get(task)
    if found is None:
        raise TemplateInvalid(f"{code}.yaml has no template for {task!r}.")
    return found


def faults(entry: Any, code: str) -> Iterator[str]:
    """What is wrong with the content of a language's file, in reading order."""
    if not isinstance(entry, dict) or not isinstance(entry.get("tasks"), dict):
        yield "is not a mapping with tasks."
        return
    if entry.get("language") != code:
        yield f"language is {entry.get('language')!r}, but the file is named {code}."
    if not _is_text(entry.get("or")):
        yield "or is missing: the word between the last two labels of a list."
    for name, given in entry["tasks"].items():
        if name not in TASKS:
            yield f"tasks.{name} is no task; there are {', '.join(TASKS)}."
        elif not isinstance(given, dict):
            yield f"tasks.{name} is not a mapping."
        else:
            for fault in _task_faults(name, given):
                yield f"tasks.{name}.{fault}"


def _task_faults(name: str, given: dict[str, Any]) -> Iterator[str]:
    task = TASKS[name]
    for field in TEXTS:
        text = given.get(field)
        if not _is_text(text):
            yield f"{field} is missing."
            continue
        found = set(PLACEHOLDER.findall(text))
        known = {"labels"} | (set(task.fields) | {"answer"} if field != "prefix" else set())
        if field == "instruct":
            known -= {"answer"}
        if wrong := found - known:
            yield f"{field} may not hold {{{sorted(wrong)[0]}}}."
        needed = set(task.fields) if field != "prefix" else set()
        if lacking := needed - found:
            yield f"{field} lacks {{{sorted(lacking)[0]}}}."
    if _is_text(given.get("base")) and not given["base"].rstrip().endswith("{answer}"):
        yield "base must end in {answer}: there the model goes on."
    labels = given.get("labels", {})
    if not isinstance(labels, dict) or set(labels) != set(task.labels):
        yield f"labels must name {', '.join(task.labels) or 'nothing'}."
        return
    if not all(_is_text(word) and word == word.strip() for word in labels.values()):
        yield "labels must be words; quote those that YAML takes for true or false."
        return
    words = [word.casefold() for word in labels.values()]
    for word in words:
        if any(other != word and other.startswith(word) for other in words):
            yield f"labels: {word!r} begins another label, so an answer may mean either."
    if len(set(words)) < len(words):
        yield "labels must all differ."


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with its placeholders filled once: braces inside a value stay as they are."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
