"""The European task set: lm-eval loads each file, and its wording is the one it claims."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evals.engines import BenchmarkSpec
from evals.engines.lm_eval import ENGINE, prepare
from evals.euro import rows
from evals.euro.tasks import FAMILIES, PRESETS, catalogue, template
from evals.euro.write import table, write

DOCS = Path(__file__).parents[3] / "docs" / "euro-tasks.md"
LETTERS = "ABCD"


def _raw(family: str, number: int) -> dict:
    """A row with the columns that the data set has on the hub."""
    options = [f"choice {number} {letter}" for letter in LETTERS]
    named = {f"option_{x}": text for x, text in zip("abcd", options, strict=True)}
    asked = f"Question number {number}?"
    return {
        "arc": {
            "id": str(number), "instruction": f"{asked} [sic]", **named, "option_e": None,
            "answer": LETTERS[number % 4],
        },
        "mmlu": {"instruction": f" {asked} ", **named, "answer": LETTERS[number % 4]},
        "hellaswag": {
            "activity_label": "Baking", "ctx_a": f"[header] Step {number}  begins.",
            "ctx_b": "then she", "endings": [f"[step] {text}" for text in options],
            "label": str(number % 4),
        },
        "belebele": {
            "flores_passage": f"Passage {number}.", "question": asked,
            **{f"mc_answer{i}": text for i, text in enumerate(options, start=1)},
            "correct_answer_num": str(number % 4 + 1),
        },
        "leolm_arc": {
            "question_de": asked, "choices_de": {"text": options, "label": [*LETTERS]},
            "answerKey": LETTERS[number % 4],
        },
    }[family]  # fmt: skip


def _raw_rows(family: str, start: int, count: int = 40) -> list[dict]:
    return [_raw(family, number) for number in range(start, start + count)]


@pytest.fixture
def hub(monkeypatch):
    """``datasets.load_dataset`` over local rows: one split of questions, others for shots."""
    import datasets

    families = {family.repo: family for family in FAMILIES.values()}

    def load_dataset(path, name=None, **_):
        family = families[path]
        splits = ("test", "train", "val", "validation")
        return datasets.DatasetDict({
            split: datasets.Dataset.from_list(_raw_rows(family.name, 1000 * i))
            for i, split in enumerate(splits)
        })  # fmt: skip

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)


def _manager(*folders: Path):
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=False, include_path=[str(folder) for folder in folders])


def _load(manager, name: str):
    loaded = manager.load([name])["tasks"][name]
    loaded.set_fewshot_seed(1234)
    return loaded


def _prompt(task, shots: int) -> str:
    (_, doc), *_ = task.doc_iterator(rank=0, world_size=1, limit=None)
    return task.fewshot_context(doc, num_fewshot=shots)


def test_it_loads_each_task_in_lm_eval_with_the_shots_of_the_preset(hub, tmp_path):
    write(tmp_path)
    manager = _manager(tmp_path)
    for task in catalogue():
        if task.language not in ("de", "en", "nb", "bg"):
            continue
        loaded = _load(manager, task.name)
        shots = PRESETS["open-llm-v1"][task.family.name]
        assert loaded.config.num_fewshot == shots
        prompt = _prompt(loaded, shots)
        marks = len(re.findall(r"(?:number|Step|Passage) \d+", prompt))
        assert marks == (shots + 1) * (2 if task.family.name == "belebele" else 1), task.name


def test_it_knows_every_task_and_group_by_its_file(tmp_path):
    names = set(write(tmp_path))
    known = set(_manager(tmp_path).all_tasks)
    assert names <= known
    assert {"euro_de_fork", "euro_de_native", "euro_bg_upstream"} <= known


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("euro_arc_de_upstream", "arc_de"),
        ("euro_hellaswag_de_upstream", "hellaswag_de"),
        ("euro_mmlu_de_upstream", "m_mmlu_de"),
        ("euro_belebele_de_upstream", "belebele_deu_Latn"),
    ],
)
def test_it_asks_in_the_upstream_wording_what_lm_eval_asks(hub, tmp_path, ours, theirs):
    import lm_eval

    write(tmp_path)
    shipped = Path(lm_eval.__file__).parent / "tasks"
    manager = _manager(tmp_path, shipped / "okapi", shipped / "belebele")
    mine, reference = _load(manager, ours), _load(manager, theirs)
    for shots in (0, 3):
        assert _prompt(mine, shots) == _prompt(reference, shots)


@pytest.mark.parametrize(
    "name", sorted({task.name for task in catalogue() if task.language == "de"})
)
def test_it_asks_through_the_portal_what_lm_eval_asks(hub, tmp_path, name):
    import datasets

    task = next(task for task in catalogue() if task.name == name)
    write(tmp_path, "zero-shot")
    convert = getattr(rows, task.rows)
    raw = datasets.Dataset.from_list(_raw_rows(task.family.name, 0))
    if task.family.splits[0] != "test":
        raw = datasets.load_dataset(task.family.repo)[task.family.splits[0]]
    spec = BenchmarkSpec(
        name=name, scoring="options", metric=task.family.metric, rows=convert(raw).to_list(),
        examples=[], task=template(task), options={},
    )  # fmt: skip
    ENGINE.validate(spec)
    _, documents = prepare(spec)
    assert documents[0].requests[0].args[0] == _prompt(_load(_manager(tmp_path), name), 0)


def test_it_asks_in_german_words_where_the_wording_is_native():
    task = next(task for task in catalogue() if task.name == "euro_belebele_de_native")
    text = template(task)["doc_to_text"]
    assert text.startswith("Text: {{text}}\nFrage: {{question}}\nAntwortmöglichkeiten:\nA: ")
    assert text.endswith("\nAntwort:")


def test_its_documented_table_is_the_one_of_the_code():
    assert table() in DOCS.read_text(encoding="utf-8")
