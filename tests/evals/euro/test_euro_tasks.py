"""The European task set: lm-eval loads each file, and its wording is the one it claims."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evals.euro.references import Reference
from evals.euro.tasks import PRESETS, catalogue, template
from evals.euro.write import everything, groups, table, write

DOCS = Path(__file__).parents[3] / "docs" / "euro-tasks.md"


def _manager(*folders: Path):
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=False, include_path=[str(folder) for folder in folders])


def _load(manager, name: str):
    loaded = manager.load([name])["tasks"][name]
    loaded.set_fewshot_seed(1234)
    return loaded


def _prompt(task, shots: int) -> str | list[str]:
    (_, doc), *_ = task.doc_iterator(rank=0, world_size=1, limit=None)
    return task.fewshot_context(doc, num_fewshot=shots)


@pytest.mark.parametrize("language", sorted({task.language for task in everything()}))
def test_each_file_loads_in_lm_eval_and_renders_a_prompt_with_the_shots_of_the_preset(
    hub, tmp_path, language
):
    write(tmp_path / "tasks", mirror=hub)
    manager = _manager(tmp_path / "tasks")
    for task in everything():
        if task.language != language:
            continue
        loaded = _load(manager, task.name)
        shots = PRESETS["open-llm-v1"].get(task.family.name, 0)
        assert loaded.config.num_fewshot == shots
        prompt = _prompt(loaded, shots)
        (_, doc), *_ = loaded.doc_iterator(rank=0, world_size=1, limit=None)
        asked = f"{prompt}{loaded.doc_to_choice(doc) if loaded.config.doc_to_choice else ''}"
        if isinstance(task, Reference) and not shots:
            assert re.search(r"[Nn]umber \d+", asked), task.name
        else:
            marks = len(re.findall(r"(?:[Nn]umber|Step|Passage) \d+", str(prompt)))
            assert marks == (shots + 1) * (2 if task.family.name == "belebele" else 1), task.name


def test_it_knows_every_task_and_group_by_its_file(tmp_path):
    names = set(write(tmp_path))
    known = set(_manager(tmp_path).all_tasks)
    assert names <= known
    assert {"euro_de_fork", "euro_de_native", "euro_bg_upstream", "euro_de", "euro_all"} <= known


def test_a_language_is_the_plain_mean_of_five_families():
    assert groups()["euro_de"] == [
        "euro_arc_de_fork", "euro_hellaswag_de_upstream", "euro_mmlu_de_fork",
        "euro_truthfulqa_mc2_de_upstream", "euro_belebele_de_fork",
    ]  # fmt: skip
    assert [name.split("_")[1] for name in groups()["euro_en"]] == [
        "arc", "hellaswag", "mmlu", "truthfulqa", "belebele"
    ]  # fmt: skip
    assert "euro_truthfulqa_mc2_de_fork" in groups()["euro_de_fork"]
    assert set(groups()["euro_it"]) < set(groups()["euro_all"])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("euro_arc_de_upstream", "arc_de"),
        ("euro_arc_en_upstream", "arc_challenge"),
        ("euro_hellaswag_de_upstream", "hellaswag_de"),
        ("euro_hellaswag_en_upstream", "hellaswag"),
        ("euro_mmlu_de_upstream", "m_mmlu_de"),
        ("euro_truthfulqa_mc1_de_upstream", "truthfulqa_de_mc1"),
        ("euro_truthfulqa_mc2_de_upstream", "truthfulqa_de_mc2"),
        ("euro_truthfulqa_mc2_en_upstream", "truthfulqa_mc2"),
        ("euro_belebele_de_upstream", "belebele_deu_Latn"),
    ],
)
def test_it_asks_in_the_upstream_wording_what_lm_eval_asks(
    hub, tmp_path, monkeypatch, ours, theirs
):
    import datasets
    import lm_eval

    load = datasets.load_dataset
    write(tmp_path / "tasks", mirror=hub)
    shipped = Path(lm_eval.__file__).parent / "tasks"
    folders = ("okapi", "belebele", "arc", "hellaswag", "truthfulqa")
    manager = _manager(tmp_path / "tasks", *(shipped / folder for folder in folders))
    mine = _load(manager, ours)
    monkeypatch.setattr(
        datasets, "load_dataset", lambda path, **more: load(str(hub / path), **more)
    )
    reference = _load(manager, theirs)
    for shots in (0, 3):
        assert _prompt(mine, shots) == _prompt(reference, shots)
    documents = zip(mine.eval_docs, reference.eval_docs, strict=True)
    for own, other in documents:
        assert mine.doc_to_choice(own) == reference.doc_to_choice(other)


def test_it_asks_in_german_words_where_the_wording_is_native():
    texts = {task.name: template(task)["doc_to_text"] for task in catalogue()}
    belebele = texts["euro_belebele_de_native"]
    assert belebele.startswith("Text: {{text}}\nFrage: {{question}}\nAntwortmöglichkeiten:\nA: ")
    assert belebele.endswith("\nAntwort:")
    assert texts["euro_truthfulqa_mc2_de_native"] == "Frage: {{question}}\nAntwort:"


def test_its_documented_table_is_the_one_of_the_code():
    assert table() in DOCS.read_text(encoding="utf-8")
