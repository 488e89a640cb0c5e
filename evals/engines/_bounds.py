"""Templates and patterns of a suite may run for a moment, not for ever.

A suite is data that somebody wrote. Jinja's sandbox keeps its templates from code and files,
but not from endless loops and huge texts; a pattern can take years over a short answer, and
nothing can stop Python's ``re`` meanwhile. Both are judged before they are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from re import _constants as kinds  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import SandboxedEnvironment

LONGEST = 200_000  # characters that one operation of a template may make
MOST_TURNS = 1000  # of one loop over numbers
MOST_NESTED = 2  # loops inside each other
MOST_ASSIGNED = 8
MOST_REPEATS = 3  # unbounded ones in a pattern: each can multiply the time by the text's length
STRETCHING = {"center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"}


class Sandbox(SandboxedEnvironment):
    """Jinja's sandbox without the operations that make much out of little."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        # keep_trailing_newline and StrictUndefined: as lm-eval's own environment.
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True)
        for name in ("lipsum", "namespace", "cycler", "joiner"):
            self.globals.pop(name, None)
        for name in ("center", "format", "indent", "wordwrap"):
            self.filters.pop(name, None)
        self.globals["range"] = bounded_range

    # lm-eval compiles a template anew for each document and field: most of the time it
    # takes to build prompts.
    @lru_cache(maxsize=256)  # noqa: B019  one environment, for as long as the process
    def from_string(self, source: str, *args: Any, **kwargs: Any) -> Any:
        return super().from_string(source, *args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        stretching = isinstance(obj, str) and attr in STRETCHING
        return not stretching and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Any:
        return super().wrap_str_format(value) and _no_format

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise SecurityError(f"{operator} is not available to templates.")
        if operator == "*" and _size(left) * _size(right) > LONGEST:
            raise SecurityError("A template may not make a text that long.")
        if operator == "+" and _size(left) + _size(right) > LONGEST:
            raise SecurityError("A template may not make a text that long.")
        return super().call_binop(context, operator, left, right)


def _no_format(*arguments: Any, **named: Any) -> str:
    raise SecurityError("format is not available to templates.")


def bounded_range(*arguments: int) -> range:
    found = range(*arguments)
    if len(found) > MOST_TURNS:
        raise SecurityError(f"A loop of a template takes at most {MOST_TURNS} turns.")
    return found


def _size(value: Any) -> int:
    """The length of a text or list; of a number itself, as far as it multiplies one."""
    if isinstance(value, str | bytes | list | tuple):
        return len(value)
    return abs(value) if isinstance(value, int) and value.bit_length() < 64 else 1


def faults(task: Any) -> Iterator[str]:
    """``path: what`` for every template and pattern inside ``task`` that could go on for ever."""
    for path, key, text in _texts(task):
        if key == "regex_pattern" or "regexes_to_ignore" in path:
            problem = endless_pattern(text)
        else:
            problem = endless_template(text) if "{" in text else None
        if problem:
            yield f"{path}: {problem}"


def endless_template(source: str) -> str | None:
    """Why ``source`` could take too long, None when it cannot."""
    try:
        tree = Sandbox().parse(source)
    except (TemplateSyntaxError, RecursionError) as error:
        return f"it is no template that can be read ({error})"
    if next(tree.find_all((nodes.Macro, nodes.CallBlock)), None):
        return "macros are not available to templates"
    if any(loop.recursive for loop in tree.find_all(nodes.For)) or _depth(tree) > MOST_NESTED:
        return f"loops may stand at most {MOST_NESTED} deep in each other, and not be recursive"
    assigned = [*tree.find_all((nodes.Assign, nodes.AssignBlock))]
    joined = any(next(each.find_all(nodes.Concat), None) for each in assigned)
    if len(assigned) > MOST_ASSIGNED or joined:
        return f"at most {MOST_ASSIGNED} assignments, and no ~ in them"
    for used in tree.find_all(nodes.Filter):
        if used.name == "regex_replace" and used.args:
            pattern = used.args[0]
            if not isinstance(pattern, nodes.Const):
                return "regex_replace takes its pattern as a plain text"
            if problem := endless_pattern(str(pattern.value)):
                return problem
    return None


def _depth(node: nodes.Node) -> int:
    """How many loops stand in each other below ``node``."""
    below = max((_depth(child) for child in node.iter_child_nodes()), default=0)
    return below + isinstance(node, nodes.For)


def endless_pattern(pattern: str) -> str | None:
    """Why matching ``pattern`` could take too long, None when it cannot."""
    try:
        tree = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"{pattern!r} is no pattern that can be read ({error})"
    repeats = [*_repeats(tree, inside=False)]
    if any(nested for nested in repeats):
        return f"{pattern!r} repeats what repeats or branches already, which can take for ever"
    if len(repeats) > MOST_REPEATS:
        return f"{pattern!r} has more than {MOST_REPEATS} repeats without an end"
    return None


def _repeats(tree: Any, inside: bool) -> Iterator[bool]:
    """For each unbounded repeat whether it, or a branch, stands in another one."""
    for kind, value in tree:
        if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT):
            unbounded = value[1] == kinds.MAXREPEAT or value[1] > MOST_TURNS
            if unbounded:
                yield inside
            yield from _repeats(value[2], inside or unbounded)
        elif kind is kinds.BRANCH:
            if inside:
                yield True
            for branch in value[1]:
                yield from _repeats(branch, inside)
        else:
            for part in value if isinstance(value, tuple | list) else [value]:
                if isinstance(part, parser.SubPattern):
                    yield from _repeats(part, inside)


def _texts(value: Any, path: str = "task", key: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, name of the field, and text of every text inside ``value``."""
    if isinstance(value, str):
        yield path, key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, f"{path}.{name}", str(name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, f"{path}[{number}]", key)
