"""The starter suite: what is committed is whole, fair to every answer, and solvable."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom

from evals import runs, starter, suites
from evals.models import Part, Suite
from evals.words import SHIPPED
from portal.accounts.models import Project
from tests.evals.dummy_server import MODES, DummyServer, table_of
from tests.evals.making import carry_out, make_candidate

SIZES = {"knowledge": 32, "reading": 24, "sentiment": 30, "acceptability": 32, "commonsense": 28}
OPTIONS = {"knowledge": 4, "reading": 4, "sentiment": 3, "acceptability": 2, "commonsense": 4}
PAIRS = list(itertools.product(starter.FAMILIES, starter.LANGUAGES))


def rows(family: str, language: str, kind: str = "") -> list[dict[str, Any]]:
    path = starter.FOLDER / f"{family}_{language}{kind}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def asked(row: dict[str, Any]) -> str:
    return str(row.get("question") or row.get("text") or row["context"])


def test_making_the_files_again_gives_the_same_bytes(tmp_path: Path) -> None:
    starter.write(tmp_path)
    for name in ("suite.yaml", "chat.yaml"):
        assert (tmp_path / name).read_bytes() == (starter.FOLDER / name).read_bytes()


@pytest.mark.parametrize(("family", "language"), PAIRS)
def test_every_benchmark_is_whole_and_balanced(family: str, language: str) -> None:
    found = rows(family, language)
    assert len(found) == SIZES[family]
    places = Counter(row["answer"] for row in found)
    assert len(places) == OPTIONS[family]
    assert len(set(places.values())) == 1, "a constant answer must earn exactly chance"
    for row in found:
        if "choices" in row:
            assert len(set(row["choices"])) == len(row["choices"]) == 4
            assert all(choice == choice.strip() and choice for choice in row["choices"])


def test_its_texts_can_be_translated() -> None:
    made = (starter.suite(), starter.chat_suite())
    texts = {one[field] for one in made for field in ("name", "description")}
    assert texts | {family.title for family in starter.FAMILIES.values()} <= SHIPPED


@pytest.mark.parametrize(("family", "language"), PAIRS)
def test_examples_and_questions_do_not_overlap(family: str, language: str) -> None:
    examples = rows(family, language, "_examples")
    assert len(examples) == starter.FAMILIES[family].shots
    texts = [asked(row) for row in (*rows(family, language), *examples)]
    # The same short question may stand under two different passages.
    keyed = [(row.get("passage", ""), asked(row)) for row in (*rows(family, language), *examples)]
    assert len(set(keyed)) == len(texts)


@pytest.mark.parametrize("language", starter.LANGUAGES)
def test_the_right_choice_is_not_to_be_told_by_its_length(language: str) -> None:
    """Always taking the longest, or the shortest, earns no more than half of the points."""
    for family in ("knowledge", "reading", "commonsense"):
        found = rows(family, language)
        lengths = [sorted((len(c), i) for i, c in enumerate(row["choices"])) for row in found]
        for name, place, rest in (("longest", -1, -2), ("shortest", 0, 1)):
            told = sum(
                each[place][1] == row["answer"] and each[place][0] != each[rest][0]
                for each, row in zip(lengths, found, strict=True)
            )
            assert told <= len(found) / 2, (family, name)


@pytest.fixture
def installed(project: Project) -> dict[str, Suite]:
    return {slug: suites.install(project, slug) for slug in ("starter", "starter-chat")}


def test_it_is_installed_with_its_use_cases_licence_and_checksum(
    installed: dict[str, Suite],
) -> None:
    for suite in installed.values():
        assert (suite.licence, len(suite.sha256)) == ("CC0-1.0", 64)
        assert "coarsely" in suite.description
        benchmarks = list(suite.benchmarks.all())
        assert {(b.family, b.language) for b in benchmarks} == set(PAIRS)
        assert all(b.tags and b.examples for b in benchmarks)


@pytest.mark.parametrize("slug", ["starter", "starter-chat"])
@pytest.mark.parametrize("mode", MODES)
def test_control_models_earn_what_they_must(
    project: Project, installed: dict[str, Suite], slug: str, mode: str, tmp_path: Path
) -> None:
    """Oracle 100 %, constant exactly 1/K, random within the 99.9 % interval (Bonferroni) of 1/K."""
    suite = installed[slug]
    specs = [suites.spec(benchmark) for benchmark in suite.benchmarks.all()]
    with DummyServer(table_of(specs, mode), tmp_path) as server:
        candidate = make_candidate(project, mode, server.base_url, concurrency=16)
        run = carry_out(runs.start(candidate, suite))
    assert (run.state, run.errors) == ("done", 0)
    for part in Part.objects.filter(run=run).select_related("benchmark"):
        family, n = part.benchmark.family, SIZES[part.benchmark.family]
        assert part.values is not None and None not in part.values
        right, chance = sum(part.values), 1 / OPTIONS[family]
        if mode == "oracle":
            assert right == n, part.benchmark.name
        elif mode == "constant":
            assert right == pytest.approx(n * chance), part.benchmark.name
        else:
            low, high = binom.interval(1 - 0.001 / len(PAIRS), n, chance)
            assert low <= right <= high, part.benchmark.name
