from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from evals.formats import question_sets
from evals.formats.given import Unusable
from tests import conformance

ROWS = [
    {"question_id": 81, "category": "Schreiben", "turns": ["Écris.", "Noch mal."], "reference": []},
    {"question_id": "82_DE", "category": "math", "turns": ["2 + 2?", "+ 1?"], "reference": ["4"]},
]


def as_lines(rows: list[dict]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def as_parquet(rows: list[dict]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(
        pa.Table.from_pylist([{**row, "question_id": str(row["question_id"])} for row in rows]), out
    )
    return out.getvalue()


def as_csv(rows: list[dict]) -> bytes:
    out = io.StringIO()
    names = ["id", "category", "turn_1", "turn_2", "reference_1"]
    writer = csv.DictWriter(out, names, delimiter=";")
    writer.writeheader()
    for row in rows:
        turns = dict(zip(names[2:4], row["turns"], strict=True))
        reference = (row.get("reference") or [""])[0]
        writer.writerow(
            {"id": row["question_id"], "category": row["category"], **turns,
             "reference_1": reference}
        )  # fmt: skip
    return out.getvalue().encode("utf-8-sig")


SHAPES = {
    "question.jsonl": as_lines(ROWS),
    "with-bom.jsonl": b"\xef\xbb\xbf" + as_lines(ROWS) + b"\n\n",
    "list.json": json.dumps(ROWS).encode(),
    "by_id.json": json.dumps({str(row["question_id"]): row for row in ROWS}, indent=2).encode(),
    "table.parquet": as_parquet(ROWS),
    "table.csv": as_csv(ROWS),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_set_is_the_same_in_every_shape(name: str) -> None:
    loaded = question_sets.questions(SHAPES[name], name)
    assert loaded.faults == []
    first, second = loaded.questions
    assert (first.ext_id, first.turns, first.references) == ("81", ROWS[0]["turns"], [None, None])
    assert (first.kind, first.warmth) == ("writing", 0.7)
    assert (second.ext_id, second.references, second.warmth) == ("82_DE", ["4", None], 0.0)


def test_the_official_questions_and_references_are_read() -> None:
    folder = "judge/fastchat"
    content = conformance.path(f"{folder}/question.jsonl").read_bytes()
    loaded = question_sets.questions(content, "question.jsonl")
    assert (len(loaded.questions), loaded.faults) == (80, [])
    assert sum(any(question.references) for question in loaded.questions) == 39
    content = conformance.path(f"{folder}/reference_answer/gpt-4.jsonl").read_bytes()
    found = question_sets.answers(content, "gpt-4.jsonl")
    assert (found.model, len(found.by_question), found.faults) == ("gpt-4", 30, [])
    content = conformance.path(f"{folder}/judge_prompts.jsonl").read_bytes()
    assert len(question_sets.templates(content, "judge_prompts.jsonl").templates) == 8


@pytest.mark.parametrize("name", ["questions.json", "questions_de.json"])
def test_fastevals_questions_and_answers_by_id_are_read(name: str) -> None:
    content = conformance.path(f"judge/fasteval_mtbench/{name}").read_bytes()
    loaded = question_sets.questions(content, name)
    assert (len(loaded.questions), loaded.faults) == (80, [])
    assert sum(any(question.references) for question in loaded.questions) == 30
    model = "mistralai--Mistral-7B-Instruct-v0.1"
    content = conformance.path(f"judge/fasteval_mtbench/{model}/answers.json").read_bytes()
    found = question_sets.answers(content, "answers.json")
    assert len(found.by_question) == 80
    assert all(len(texts) == 2 for texts in found.by_question.values())


FAULTY = [
    ({"question_id": 1, "turns": []}, "missing", "turns"),
    ({"question_id": 1, "turns": ["a", 2]}, "wrong", "turns"),
    ({"question_id": 1, "turns": ["a"] * 10}, "wrong", "turns"),
    ({"question_id": 1.5, "turns": ["a"]}, "wrong", "question_id"),
    ({"question_id": 1, "turns": ["a"], "reference": ["x", "y"]}, "wrong", "reference"),
    ({"question_id": 1, "turns": ["a\0"]}, "wrong", "turns"),
    ({"question_id": 1, "turns": ["a"], "category": 3}, "wrong", "category"),
    ({"question_id": 1, "turns": ["a"], "required_temperature": 9}, "wrong",
     "required_temperature"),
    ({"question_id": "81", "turns": ["a"]}, "twice", ""),
]  # fmt: skip


@pytest.mark.parametrize(("row", "code", "field"), FAULTY)
def test_a_bad_row_is_named_by_its_line_and_the_rest_is_read(row, code, field) -> None:
    loaded = question_sets.questions(as_lines([*ROWS, row]), "q.jsonl")
    assert len(loaded.questions) == 2
    assert [(fault.line, fault.code, fault.field) for fault in loaded.faults] == [(3, code, field)]


def test_a_line_that_is_no_json_is_named() -> None:
    loaded = question_sets.questions(as_lines(ROWS) + b"\n{oops\n[1]\n", "q.jsonl")
    assert [(fault.line, fault.code) for fault in loaded.faults] == [
        (3, "not_json"),
        (4, "not_object"),
    ]


def test_a_reference_of_the_second_turn_alone_stays_with_it() -> None:
    content = b"id,turn_1,turn_2,reference_2\n1,a,b,c\n"
    (question,) = question_sets.questions(content, "q.csv").questions
    assert question.references == [None, "c"]


def test_one_question_as_one_text_has_one_turn() -> None:
    rows = [{"prompt": "Why?", "reference": "Because."}, {"prompt": ["Who?", "When?"]}]
    loaded = question_sets.questions(as_lines(rows), "q.jsonl")
    assert [(q.ext_id, q.turns, q.references) for q in loaded.questions] == [
        ("1", ["Why?"], ["Because."]), ("2", ["Who?", "When?"], [None, None]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "q.jsonl", "empty"),
        (b"PAR1", "q.parquet", "not_parquet"),
        (b"\xff", "q.csv", "encoding"),
    ],
)
def test_what_is_no_set_at_all_is_refused(content: bytes, name: str, code: str) -> None:
    with pytest.raises(Unusable) as refused:
        question_sets.questions(content, name)
    assert refused.value.code == code


@given(st.binary(max_size=200), st.sampled_from(["q.jsonl", "q.json", "q.csv", "q.parquet"]))
def test_no_file_breaks_the_reading(content: bytes, name: str) -> None:
    for read in (question_sets.questions, question_sets.answers, question_sets.templates):
        try:
            read(content, name)
        except Unusable as refused:
            assert refused.code


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "triple"}, "type"),
        ({"output_format": "[[A]]"}, "output_format"),
        ({"prompt_template": "{question} {answer} {mood}"}, "prompt_template"),
        ({"prompt_template": ""}, "prompt_template"),
        ({"name": None}, "name"),
    ],
)
def test_a_template_that_cannot_be_filled_or_read_is_named(change, field) -> None:
    row = {
        "name": "own", "type": "single", "system_prompt": "", "output_format": "[[rating]]",
        "prompt_template": "{question} {answer}",
    }  # fmt: skip
    assert question_sets.templates(as_lines([row]), "p.jsonl").faults == []
    (fault,) = question_sets.templates(as_lines([row | change]), "p.jsonl").faults
    assert fault.field == field
