"""The demo's questions: what is committed is what the corpus gives, and nothing leaks."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import yaml

from evals.demo import corpus, documents, suite
from evals.engines import lm_eval
from evals.engines._base import BenchmarkSpec


def test_making_the_files_again_gives_the_same_bytes(tmp_path: Path) -> None:
    suite.write(tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_bytes() for path in suite.FOLDER.iterdir()}
    assert made == kept


def test_it_covers_every_family_in_every_language() -> None:
    found = yaml.safe_load((suite.FOLDER / "suite.yaml").read_text())
    pairs = {(one["family"], one["language"]) for one in found["benchmarks"]}
    assert pairs == set(itertools.product(suite.FAMILIES, ("en", "de", "da", "sv")))
    assert len(found["benchmarks"]) == 16


@pytest.mark.parametrize("language", corpus.LANGUAGES)
def test_no_training_document_holds_a_reworded_question(language: str) -> None:
    made = itertools.islice(documents.documents(seed=0), 6000)
    text = "\n".join(segment.text for document in made for segment in document)
    rows = suite.questions("choice_reworded", language)
    assert [row["question"] for row in rows if row["question"] in text] == []
    taught = suite.questions("choice_taught", language)
    assert sum(row["question"] in text for row in taught) > len(taught) * 0.9


@pytest.mark.parametrize("family", ["choice_taught", "choice_reworded"])
@pytest.mark.parametrize("language", corpus.LANGUAGES)
def test_every_choice_has_four_different_options_and_one_right_one(
    family: str, language: str
) -> None:
    rows = suite.questions(family, language)
    assert len(rows) == 78
    for row in rows:
        assert len(set(row["choices"])) == 4
        assert row["choices"][row["answer"]] == row["target"]


@pytest.mark.parametrize("language", corpus.LANGUAGES)
def test_the_right_answer_is_at_every_place(language: str) -> None:
    places = [row["answer"] for row in suite.questions("choice_reworded", language)]
    assert all(places.count(place) >= 10 for place in range(4))


def test_a_question_has_one_right_answer() -> None:
    for language in corpus.LANGUAGES:
        answers: dict[str, str] = {}
        for fact in corpus.facts(language):
            for wording in corpus.WORDINGS[fact.kind][language]:
                question = wording.format(s=fact.subject)
                assert answers.setdefault(question, fact.answer) == fact.answer


def test_the_engine_takes_every_benchmark() -> None:
    found = yaml.safe_load((suite.FOLDER / "suite.yaml").read_text())
    for one in found["benchmarks"]:
        lines = (suite.FOLDER / one["questions"]).read_text().splitlines()
        lm_eval.ENGINE.validate(
            BenchmarkSpec(
                name=one["name"],
                scoring=one["scoring"],
                metric=one["metric"],
                rows=[json.loads(line) for line in lines],
                task=one["task"],
                options=one["options"],
            )
        )
