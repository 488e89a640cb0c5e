"""What files of other tools say about results, and what in them cannot be used. No Django.

Everything here comes from outside: lines are bounded, JSON is read strictly, and a fault
names the place rather than end the reading.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

LONGEST_LINE = 16 * 1024 * 1024  # bytes
LONGEST_NAME = 300  # characters of a name of a model, data set or metric


class Fault(NamedTuple):
    """What cannot be used, and where: ``code`` is a key of `evals.words.FAULTS`."""

    line: int
    code: str
    field: str = ""
    value: str = ""


@dataclass(frozen=True)
class Result:
    """One number of a file, in the file's own scale.

    ``spread`` is what ``spread_kind`` says: see `SPREADS`. None is "not told", never 0.
    ``replicates`` is the value in each resampling, [] where the file does not tell it.
    """

    line: int
    model: str
    benchmark: str
    metric: str
    value: float
    task: str = ""
    languages: list[str] = field(default_factory=list)
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    spread_kind: str = ""
    samples: int | None = None
    failed: int | None = None
    few_shot: bool | None = None
    split: str = ""
    engine: str = ""
    measured_at: str = ""
    replicates: list[float] = field(default_factory=list)


# What a spread or an interval is. The sentences stand in evals.words.
SPREADS = ("resampling", "stderr", "told")


class Unusable(ValueError):
    """A fault that ends the reading of a record."""

    def __init__(self, code: str, field: str = "", value: object = "") -> None:
        super().__init__(code, field, value)
        self.code, self.field, self.value = code, _whole(field[:200]), _whole(str(value)[:200])

    def at(self, line: int) -> Fault:
        return Fault(line, self.code, self.field, self.value)


def lines(file: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of ``file`` with their numbers, blank ones left out.

    Of an open file take `bounded`, so that no line fills the memory.
    """
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield number, line


def bounded(file: Any) -> Iterator[bytes]:
    """The lines of a binary file, each cut above `LONGEST_LINE`, so that none fills the memory."""
    while line := file.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            if not (line := file.readline(LONGEST_LINE + 1)):
                return


def loads(raw: bytes) -> Any:
    """JSON as it must be: UTF-8, each key once, not too deep. Raises Unusable.

    NaN and Infinity come as floats: `number` refuses them where one is read.
    """
    if len(raw) > LONGEST_LINE:
        raise Unusable("too_long", value=LONGEST_LINE)
    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise Unusable("encoding") from None
    except RecursionError:
        raise Unusable("too_deep") from None
    except Unusable:
        raise
    except ValueError as error:  # malformed, or a number of thousands of digits
        raise Unusable("not_json", value=error) from None


def record(raw: bytes) -> dict[str, Any]:
    found = loads(raw)
    if not isinstance(found, dict):
        raise Unusable("not_object")
    return found


def text(found: dict[str, Any], name: str, *, needed: bool = True) -> str:
    """The text ``name``, as every database takes it. Raises Unusable."""
    value = found.get(name)
    if value in (None, "") and not needed:
        return ""
    if value in (None, ""):
        raise Unusable("missing", name)
    if not isinstance(value, str) or len(value) > LONGEST_NAME or _is_odd(value):
        raise Unusable("wrong", name, repr(value))
    return value


def number(value: Any, name: str) -> float:
    """``value`` as a finite number; texts that hold one are taken. Raises Unusable."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unusable("no_number", name, repr(value))
    try:
        found = float(str(value).replace("_", "?"))  # Python's own digit groups are no number here
    except (ValueError, OverflowError):
        raise Unusable("no_number", name, repr(value)) from None
    if not math.isfinite(found):
        raise Unusable("no_number", name, repr(value))
    return found


def mapping(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    if value is None:
        raise Unusable("missing", name)
    if not isinstance(value, dict):
        raise Unusable("wrong", name, repr(value))
    return value


def codes(value: Any, name: str) -> list[str]:
    """A list of language codes. Raises Unusable."""
    value = value or []
    short = isinstance(value, list) and len(value) <= 200
    if not short or not all(
        isinstance(c, str) and 0 < len(c) <= 12 and not _is_odd(c) for c in value
    ):
        raise Unusable("wrong", name, repr(value))
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unusable("twice", value=twice)
    return found


def _whole(said: str) -> str:
    """Without half characters, which no page can show."""
    return said.encode("utf-8", "replace").decode()


def _is_odd(value: str) -> bool:
    return any(sign < " " or "\ud800" <= sign <= "\udfff" for sign in value)
