"""Questions for a judge, reference answers and prompts, in the shapes that they are published in.

Questions: JSON lines, a JSON list, a JSON object by id, CSV or Parquet, with the field names of
MT-Bench and of its translations. Bad rows are faults with their line or place; the rest is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from evals.formats.given import Fault, Unusable, lines, loads, number
from evals.prompts import judging

MOST_QUESTIONS = 20_000
MOST_TURNS = 9  # places in prompts are numbered with one digit
LONGEST_TEXT = 400_000  # characters of one turn or reference
IDS = ("question_id", "id", "prompt_id", "qid")
TURNS = ("turns", "prompt", "question", "instruction")
REFERENCES = ("reference", "reference_answer", "references", "answer")
TEMPERATURE = "required_temperature"

# Of MT-Bench (FastChat, llm_judge/common.py): how warm a candidate answers, and whether the
# judge sees a reference. Categories of translations are named after those they translate.
WARMTH = {
    "writing": 0.7, "roleplay": 0.7, "extraction": 0.0, "math": 0.0, "coding": 0.0,
    "reasoning": 0.0, "stem": 0.1, "humanities": 0.1,
}  # fmt: skip
OTHERS_WARMTH = 0.7
WITH_REFERENCE = frozenset({"math", "reasoning", "coding"})
ALIASES = {
    "schreiben": "writing", "rollenspiel": "roleplay", "logik": "reasoning",
    "schlussfolgern": "reasoning", "mathematik": "math", "programmieren": "coding",
    "extraktion": "extraction", "mint": "stem", "geisteswissenschaften": "humanities",
    "écriture": "writing", "jeu de rôle": "roleplay", "raisonnement": "reasoning",
    "mathématiques": "math", "codage": "coding", "escritura": "writing",
    "razonamiento": "reasoning", "matemáticas": "math", "programación": "coding",
    "extracción": "extraction", "scrittura": "writing", "ragionamento": "reasoning",
    "matematica": "math", "programmazione": "coding", "estrazione": "extraction",
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    """One question: ``turns`` are said one after the other, ``references`` belong to them.

    ``references`` has as many entries as ``turns``, None where there is none. ``temperature``
    is what the row itself asks for.
    """

    line: int
    ext_id: str
    category: str
    turns: list[str]
    references: list[str | None] = field(default_factory=list)
    temperature: float | None = None

    @property
    def kind(self) -> str:
        """The category of MT-Bench that this one is or translates, else its own in lower case."""
        own = self.category.strip().lower()
        return ALIASES.get(own, own)

    @property
    def warmth(self) -> float:
        """The temperature that MT-Bench answers such a question with."""
        if self.temperature is not None:
            return self.temperature
        return WARMTH.get(self.kind, OTHERS_WARMTH)


class Loaded(NamedTuple):
    questions: list[Question]
    faults: list[Fault]


def questions(content: bytes, name: str) -> Loaded:
    """The questions in ``content``; ``name`` is that of the file. Raises Unusable for no set."""
    found: list[Question] = []
    faults: list[Fault] = []
    seen: set[str] = set()
    for line, row in _rows(content, name):
        if isinstance(row, Unusable):
            faults.append(row.at(line))
            continue
        if len(found) >= MOST_QUESTIONS:
            raise Unusable("too_many", value=MOST_QUESTIONS)
        try:
            question = _question(line, row)
            if question.ext_id in seen:
                raise Unusable("twice", value=question.ext_id)
        except Unusable as error:
            faults.append(error.at(line))
        else:
            seen.add(question.ext_id)
            found.append(question)
    if not found and not faults:
        raise Unusable("empty")
    return Loaded(found, faults)


class Answers(NamedTuple):
    """Texts by question, of one model or of people; in FastChat's form of answers."""

    by_question: dict[str, list[str]]
    model: str
    faults: list[Fault]


def answers(content: bytes, name: str) -> Answers:
    """A file of reference answers (``choices[0].turns``), or of FastEval's (id → texts)."""
    found: dict[str, list[str]] = {}
    faults: list[Fault] = []
    model = ""
    for line, row in _rows(content, name, texts=True):
        try:
            if isinstance(row, Unusable):
                raise row
            key = _identity(line, row)
            if key in found:
                raise Unusable("twice", value=key)
            model = model or str(row.get("model_id") or "")
            found[key] = _texts(_chosen(row), "turns")
        except Unusable as error:
            faults.append(error.at(line))
    if not found and not faults:
        raise Unusable("empty")
    return Answers(found, model, faults)


class Templates(NamedTuple):
    templates: list[judging.Template]
    faults: list[Fault]


def templates(content: bytes, name: str) -> Templates:
    """Prompts of a judge in FastChat's rows; a place that is not known is a fault."""
    found: dict[str, judging.Template] = {}
    faults: list[Fault] = []
    for line, row in _rows(content, name):
        try:
            if isinstance(row, Unusable):
                raise row
            template = _template(row)
            if template.name in found:
                raise Unusable("twice", value=template.name)
            found[template.name] = template
        except Unusable as error:
            faults.append(error.at(line))
    if not found and not faults:
        raise Unusable("empty")
    return Templates(list(found.values()), faults)


def _template(row: dict[str, Any]) -> judging.Template:
    kind = row.get("type")
    if kind not in judging.OUTPUTS:
        raise Unusable("wrong", "type", repr(kind))
    output = row.get("output_format")
    if output not in judging.OUTPUTS[kind]:
        raise Unusable("wrong", "output_format", repr(output))
    template = judging.Template(
        _text(row, "name"), kind, _text(row, "system_prompt", needed=False),
        _text(row, "prompt_template"), output,
    )  # fmt: skip
    try:
        judging.check(template, MOST_TURNS)
    except judging.Unfilled as error:
        raise Unusable("wrong", "prompt_template", ", ".join(error.places)) from None
    return template


def _question(line: int, row: dict[str, Any]) -> Question:
    name = next((name for name in TURNS if row.get(name) not in (None, "", [])), "turns")
    turns = _texts(_several(row, name), name)
    temperature = row.get(TEMPERATURE)
    if temperature is not None:
        temperature = number(temperature, TEMPERATURE)
        if not 0 <= temperature <= 2:
            raise Unusable("wrong", TEMPERATURE, temperature)
    return Question(
        line,
        _identity(line, row),
        _text(row, "category", needed=False) or "general",
        turns,
        _references(row, len(turns)),
        temperature,
    )


def _several(row: dict[str, Any], name: str) -> Any:
    """The field ``name``, or its numbered columns (``turn_1``, ``turn_2``), as CSV has them."""
    if row.get(name) not in (None, "", []):
        return row[name]
    stem = name.removesuffix("s")
    numbered = [row.get(f"{stem}_{turn}") or None for turn in range(1, MOST_TURNS + 1)]
    while numbered and numbered[-1] is None:
        numbered.pop()
    return numbered  # a gap stays one: what follows belongs to its own turn


def _references(row: dict[str, Any], turns: int) -> list[str | None]:
    name = next((name for name in REFERENCES if row.get(name) not in (None, "", [])), "reference")
    given = _several(row, name)
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or len(listed) > turns:
        raise Unusable("wrong", name, repr(given))
    found: list[str | None] = []
    for text in listed:
        if text is not None and not isinstance(text, str):
            raise Unusable("wrong", name, repr(text))
        found.append(_bounded(text, name) if text else None)
    return found + [None] * (turns - len(found))


def _texts(given: Any, name: str) -> list[str]:
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not listed:
        raise Unusable("missing", name)
    if len(listed) > MOST_TURNS or not all(isinstance(text, str) for text in listed):
        raise Unusable("wrong", name, repr(given))
    return [_bounded(text, name) for text in listed]


def _chosen(row: dict[str, Any]) -> Any:
    choices = row.get("choices")
    if choices is None:
        return row.get("turns")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Unusable("wrong", "choices", repr(choices))
    return choices[0].get("turns")


def _identity(line: int, row: dict[str, Any]) -> str:
    given = next((row[name] for name in IDS if row.get(name) not in (None, "")), line)
    if isinstance(given, bool) or not isinstance(given, int | str) or len(str(given)) > 200:
        raise Unusable("wrong", "question_id", repr(given))
    return str(given)


def _text(row: dict[str, Any], name: str, *, needed: bool = True) -> str:
    value = row.get(name)
    if value in (None, ""):
        if needed:
            raise Unusable("missing", name)
        return ""
    if not isinstance(value, str):
        raise Unusable("wrong", name, repr(value))
    return _bounded(value, name)


def _bounded(text: str, name: str) -> str:
    """``text`` as it is, if every database takes it."""
    if len(text) > LONGEST_TEXT:
        raise Unusable("wrong", name, f"{len(text)} > {LONGEST_TEXT}")
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise Unusable("wrong", name, repr(text[:80]))
    return text


Row = dict[str, Any] | Unusable


def _rows(content: bytes, name: str, texts: bool = False) -> Iterator[tuple[int, Row]]:
    """The rows with their line, or their place where the file is one JSON text."""
    readers: dict[str, Callable[[bytes], Iterable[tuple[int, Row]]]] = {
        "csv": _csv, "tsv": _csv, "parquet": _parquet,
    }  # fmt: skip
    reader = readers.get(name.rsplit(".", 1)[-1].lower())
    if reader is not None:
        yield from reader(content)
        return
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    try:
        whole = loads(content) if start in (b"[", b"{") else None
    except Unusable:
        whole = None  # lines of JSON, or broken: then the lines say where
    if isinstance(whole, list):
        for place, row in enumerate(whole, start=1):
            yield place, row if isinstance(row, dict) else Unusable("not_object")
    elif isinstance(whole, dict) and not set(whole) & {*IDS, *TURNS, "name"}:
        for place, (key, row) in enumerate(whole.items(), start=1):
            if texts and isinstance(row, list | str):
                row = {"turns": row}
            yield (
                place,
                {"question_id": key, **row} if isinstance(row, dict) else Unusable("not_object"),
            )
    else:
        yield from _lines(content)


def _lines(content: bytes) -> Iterator[tuple[int, Row]]:
    for line, raw in lines(io.BytesIO(content)):
        try:
            row = loads(raw)
        except Unusable as error:
            yield line, error
        else:
            yield line, row if isinstance(row, dict) else Unusable("not_object")


def _csv(content: bytes) -> Iterator[tuple[int, Row]]:
    try:
        written = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unusable("encoding") from None
    head = written.split("\n", 1)[0]
    csv.field_size_limit(LONGEST_TEXT)
    reader = csv.DictReader(
        io.StringIO(written, newline=""), delimiter=max(",;\t", key=head.count), strict=True
    )
    try:
        for row in reader:
            if None in row or None in row.values():
                yield reader.line_num, Unusable("cells", value=len(row))
            elif any(value.strip() for value in row.values()):
                yield reader.line_num, {key.strip(): value for key, value in row.items()}
    except csv.Error as error:
        raise Unusable("not_csv", value=f"{reader.line_num}: {error}") from None


def _parquet(content: bytes) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise Unusable("not_parquet", value=str(error)[:200]) from None
    yield from enumerate(table.to_pylist(), start=1)
