"""Boards of others as CSV: a row a model with scores by benchmark, or a row a score. No Django."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from evals.formats.given import LONGEST_NAME, Fault, Result, Unusable, number

# What a column can be. "score" may be several: then its name is the benchmark.
ROLES = ("model", "benchmark", "metric", "language", "score", "low", "high", "samples", "ignore")
ALONE = {"benchmark", "low", "high", "samples"}  # they go with one score column
MOST_COLUMNS = 200
GUESSES = {
    "model": ("model", "modell", "model_name", "name"),
    "benchmark": ("benchmark", "dataset", "task", "test"),
    "metric": ("metric", "mass"),
    "language": ("language", "lang", "sprache"),
    "score": ("score", "value", "wert", "elo", "rating"),
    "low": ("low", "lower", "ci_low"),
    "high": ("high", "upper", "ci_high"),
    "samples": ("n", "samples", "votes"),
}


class Table(NamedTuple):
    """The head and the rows with their line numbers."""

    columns: list[str]
    rows: list[tuple[int, list[str]]]
    faults: list[Fault]


def table(content: bytes, most_rows: int) -> Table:
    """The cells of ``content``; separated by commas, semicolons or tabs. Raises Unusable."""
    try:
        written = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unusable("encoding") from None
    if "\0" in written:
        raise Unusable("wrong", value="NUL")
    head = written.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(written.splitlines(keepends=True), delimiter=separator, strict=True)
    found: list[tuple[int, list[str]]] = []
    faults: list[Fault] = []
    columns: list[str] = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not columns:
                columns = _head(cells)
            elif len(cells) != len(columns):
                faults.append(Fault(reader.line_num, "cells", value=str(len(cells))))
            elif len(found) >= most_rows:
                raise Unusable("too_many", value=most_rows)
            else:
                found.append((reader.line_num, cells))
    except csv.Error as error:
        raise Unusable("not_csv", value=f"{reader.line_num}: {error}") from None
    if not columns:
        raise Unusable("empty")
    return Table(columns, found, faults)


def guess(found: Table, *, first_is_model: bool = False) -> dict[str, str]:
    """A role for each column: by its name, else "score" where half of its cells are numbers.

    ``first_is_model``: where no name says which column the model is, take the first. Only for
    somebody who looks at it before anything is kept.
    """
    roles: dict[str, str] = {}
    for at, name in enumerate(found.columns):
        known = [role for role, names in GUESSES.items() if name.lower() in names]
        role = next((role for role in known if role not in roles.values()), "")
        cells = [cells[at] for _line, cells in found.rows[:50] if cells[at]]
        mostly = bool(cells) and sum(map(_reads, cells)) * 2 >= len(cells)
        roles[name] = role or ("score" if mostly else "ignore")
    if first_is_model and "model" not in roles.values():
        roles[found.columns[0]] = "model"
    scores = [name for name, role in roles.items() if role == "score"]
    if len(scores) > 1 and not ALONE.isdisjoint(roles.values()):
        named = [name for name in scores if name.lower() in GUESSES["score"]]
        kept = (named or scores)[0]
        roles |= {name: "ignore" for name in scores if name != kept}
    return roles


def faults_of(roles: Mapping[str, str], columns: Iterable[str]) -> list[Fault]:
    """What is wrong with the choice of roles."""
    given = [roles.get(column, "ignore") for column in columns]
    found = [Fault(1, "role", value=role) for role in set(given) - set(ROLES)]
    for role in ("model", "benchmark", "metric", "language", "low", "high", "samples"):
        if given.count(role) > 1:
            found.append(Fault(1, "role_twice", value=role))
    found += [Fault(1, "role_missing", value=r) for r in ("model", "score") if r not in given]
    several = given.count("score") > 1
    alone = sorted(ALONE & set(given)) if several else []
    found += [Fault(1, "role_alone", value=role) for role in alone]
    return found


def read(found: Table, roles: Mapping[str, str]) -> Iterator[Result | Fault]:
    """A result for each score; an empty cell is no result. ``roles`` has no `faults_of`.

    Of two rows that give the same score of a model the later one is a fault.
    """
    yield from found.faults
    first: dict[tuple[str, ...], int] = {}
    at = {role: n for n, name in enumerate(found.columns) if (role := roles.get(name)) != "ignore"}
    scores = [n for n, name in enumerate(found.columns) if roles.get(name) == "score"]
    for line, cells in found.rows:
        for column in scores:
            try:
                if not cells[column]:
                    continue
                result = _result(line, cells, at, column, found.columns[column])
                key = (result.model, result.benchmark, result.metric, *result.languages)
                if key in first:
                    raise Unusable("again", result.benchmark, first[key])
                first[key] = line
                yield result
            except Unusable as error:
                yield error.at(line)


def _result(line: int, cells: list[str], at: dict[str, int], column: int, name: str) -> Result:
    def cell(role: str) -> str:
        said = cells[at[role]] if role in at else ""
        if len(said) > LONGEST_NAME or any(sign < " " for sign in said):
            raise Unusable("wrong", role, said[:100])
        return said

    if not cell("model"):
        raise Unusable("missing", "model")
    low, high = (figure(cell(role), role) if cell(role) else None for role in ("low", "high"))
    samples = figure(cell("samples"), "samples") if cell("samples") else None
    if samples is not None and not (samples.is_integer() and 0 <= samples < 2**31):
        raise Unusable("no_number", "samples", cell("samples"))
    language = cell("language")
    if len(language) > 12:
        raise Unusable("wrong", "language", language)
    value = figure(cells[column], name)
    if low is not None and high is not None and low > high:
        raise Unusable("turned", value=f"[{low:g}, {high:g}]")
    if (low is not None and value < low) or (high is not None and value > high):
        ends = ("–" if end is None else f"{end:g}" for end in (low, high))
        raise Unusable("outside", f"{value:g}", f"[{', '.join(ends)}]")
    return Result(
        line,
        model=cell("model"),
        benchmark=cell("benchmark") or name,
        metric=cell("metric")[:80],
        value=value,
        languages=[language] if language else [],
        low=low,
        high=high,
        spread_kind="told" if None not in (low, high) else "",
        samples=None if samples is None else int(samples),
    )


def figure(written: str, name: str) -> float:
    """A number as boards write it: 79.15, 79,15, 79.15 %. Raises Unusable for two meanings."""
    plain = written.removesuffix("%").strip().replace("\u2212", "-")
    if "," in plain:
        whole, _comma, rest = plain.partition(",")
        if "." in plain or "," in rest or (len(rest) == 3 and whole.lstrip("-") not in ("", "0")):
            raise Unusable("two_ways", name, written[:50])
        plain = f"{whole}.{rest}"
    return number(plain, name)


def _reads(written: str) -> bool:
    try:
        figure(written, "")
    except Unusable:
        return False
    return True


def _head(cells: list[str]) -> list[str]:
    if len(cells) > MOST_COLUMNS:
        raise Unusable("too_many_columns", value=MOST_COLUMNS)
    if any(len(cell) > LONGEST_NAME or not cell for cell in cells):
        raise Unusable("head")
    if len(set(cells)) < len(cells):
        raise Unusable("twice", value=next(cell for cell in cells if cells.count(cell) > 1))
    return cells
