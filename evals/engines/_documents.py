"""The rows of a benchmark as lm-eval sees them, read when they are needed.

lm-eval holds all documents, and all of them once more as examples. Here a row is read from
``BenchmarkSpec.rows`` each time; only a number for each is kept where examples are drawn.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, overload

import pyarrow as pa
from lm_eval.api.samplers import ContextSampler

from evals.compact import AT_ONCE

Row = dict[str, Any]


class Typed(Sequence[Row]):
    """``rows`` as ``datasets.Dataset.from_list`` gives them: all fields in each, one type a field.

    Raises pyarrow.ArrowInvalid or ArrowTypeError where the values of a field have no common type.
    A field inside a field that holds numbers and truth values is among them, although pyarrow
    makes ``False`` there ``0.0`` if it meets both at once, and refuses it elsewhere.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self.schema = pa.schema([])
        for chunk in _chunks(rows):
            self.schema = pa.unify_schemas(
                [self.schema, _table(chunk).schema], promote_options="permissive"
            )

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        if isinstance(at, slice):
            return self.at(range(*at.indices(len(self))))
        return self.at([at])[0]

    def __iter__(self) -> Iterator[Row]:
        for chunk in _chunks(self._rows):
            yield from self._typed(chunk)

    def at(self, places: Iterable[int]) -> list[Row]:
        return self._typed([self._rows[place] for place in places])

    def _typed(self, rows: list[Row]) -> list[Row]:
        found: list[Row] = pa.Table.from_pylist(rows, schema=self.schema).to_pylist()
        return found


class Drawn(ContextSampler):  # type: ignore[misc]
    """Draws what lm-eval's default sampler draws from all of ``rows``, without holding them.

    ``marks`` holds a hash of each row: equal ones are left out where lm-eval leaves them out.
    """

    def __init__(self, rows: Typed) -> None:
        super().__init__(rows)
        self.rows = rows
        self.marks = array("q", map(_mark, rows))

    def sample(self, n: int, eval_doc: Row | None = None, **_: Any) -> list[Row]:
        return self.rows.at(self.draw(n, _mark(eval_doc))) if n else []

    def draw(self, n: int, mark: int) -> list[int]:
        """The places of the ``n`` examples for the row with ``mark``."""
        drawn = self.rnd.sample(range(len(self.marks)), n + 1)
        found = [place for place in drawn if self.marks[place] != mark][:n]
        if len(found) < n:  # equal rows were drawn
            others = [place for place, other in enumerate(self.marks) if other != mark]
            found = self.rnd.sample(others, n)
        return found


class First(ContextSampler):  # type: ignore[misc]
    """Takes what lm-eval's ``first_n`` takes from ``rows``, and reads no further."""

    def sample(self, n: int, eval_doc: Row | None = None, **_: Any) -> list[Row]:
        found = list(islice((row for row in self.df if row != eval_doc), n))
        if len(found) < n:
            raise ValueError(f"{n} examples are asked for, but there are only {len(found)}.")
        return found


SAMPLERS = {"default": Drawn, "first_n": First}


def _chunks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    each = iter(rows)
    while chunk := list(islice(each, AT_ONCE)):
        yield chunk


def _table(rows: list[Row]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.Table.from_pydict({name: [row.get(name) for row in rows] for name in names})


def _mark(row: Row | None) -> int:
    return hash(json.dumps(row))
