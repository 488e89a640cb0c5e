"""The EuroEval-style suites through the real stack: control models earn what they must."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from evals import leaderboard, runs, starter_styles, suites
from evals.compare import compare
from evals.engines.euro_style import prepare
from evals.models import Part, Run, Sample, Suite
from evals.styles import templates
from evals.styles.protocols import METHOD
from evals.styles.tasks import TASKS
from evals.words import SHIPPED
from portal.accounts.models import Project
from tests.evals.dummy_server import DummyServer, Table
from tests.evals.making import carry_out, make_candidate

LABELLED = ("sentiment", "acceptability", "knowledge", "commonsense")


def said(suite: Suite, mode: str) -> Table:
    """What a control model says to every question: what is right, or the first thing there is."""
    table = Table({}, {})
    for benchmark in suite.benchmarks.all():
        made = prepare(suites.spec(benchmark))
        for doc_id in range(len(made.asked)):
            item, prompt = made.prompt(doc_id, bool(benchmark.options["chat"]))
            first = item.words[0] if item.words else "no idea"
            table.said[prompt] = item.right if mode == "oracle" else first
    return table


def measured(project: Project, suite: Suite, mode: str, folder: Path) -> Run:
    with DummyServer(said(suite, mode), folder) as server:
        candidate = make_candidate(project, mode, server.base_url, concurrency=16)
        run = carry_out(runs.start(candidate, suite))
    assert (run.state, run.errors) == ("done", 0)
    return run


def scores(run: Run) -> dict[str, dict[str, float]]:
    return {
        part.benchmark.name: {score.metric: score.value for score in part.scores.all()}
        for part in Part.objects.filter(run=run).select_related("benchmark")
    }


def test_making_the_files_again_gives_the_same_bytes(tmp_path):
    starter_styles.write(tmp_path)
    for name in ("style.yaml", "style_chat.yaml"):
        assert (tmp_path / name).read_bytes() == (starter_styles.FOLDER / name).read_bytes()


def test_its_texts_can_be_translated():
    for chat in (True, False):
        made = starter_styles.suite(chat=chat)
        texts = {made["name"], made["description"]} | {b["title"] for b in made["benchmarks"]}
        assert texts <= SHIPPED


def own(name: str) -> dict[str, list[dict[str, Any]]]:
    """The questions of a file that only these suites have, by language."""
    paths = starter_styles.FOLDER.glob(f"{name}_*.jsonl")
    return {
        path.stem.removeprefix(f"{name}_"): [
            json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
        ]
        for path in sorted(paths)
    }


ENTITIES, PASSAGES = own("entities"), own("passages")


def test_every_language_with_prompts_has_questions_of_its_own():
    assert set(ENTITIES) == set(PASSAGES) == set(templates.languages())


@pytest.mark.parametrize("language", ENTITIES)
def test_its_sentences_are_whole_and_name_enough_of_each_kind(language):
    rows = ENTITIES[language]
    assert len({" ".join(row["tokens"]) for row in rows}) == len(rows) == 20
    for row in rows:
        assert row.keys() == {"tokens", "tags"} and len(row["tokens"]) == len(row["tags"])
        assert not any(set(token) & set(" \t\n") for token in row["tokens"])
        assert row["tokens"][-1] in (".", "?")
        for before, tag in pairwise(["O", *row["tags"]]):
            if tag.startswith("I-"):
                assert before[2:] == tag[2:], f"{row['tokens']}: {tag} after {before}"
    found = [tag[2:] for row in rows for tag in row["tags"] if tag.startswith("B-")]
    for kind in ("PER", "LOC", "ORG", "MISC"):
        assert found.count(kind) >= 7, kind
    assert sum(set(row["tags"]) == {"O"} for row in rows) >= 2, "sentences without a name"


@pytest.mark.parametrize("language", PASSAGES)
def test_its_texts_hold_the_answers_and_are_longer_than_their_summaries(language):
    rows = PASSAGES[language]
    assert len({row["text"] for row in rows}) == len({row["question"] for row in rows}) == 20
    for row in rows:
        assert row.keys() == {"text", "summary", "question", "answers"}
        first = row["answers"][0]
        assert first.lower() in row["text"].lower(), first
        assert 1 <= len(first.split()) <= 3, f"{first!r} is longer than the prompt allows"
        assert len(set(row["answers"])) == len(row["answers"])
        assert row["question"].endswith("?")
        assert len(row["summary"]) < len(row["text"]) / 1.5


@pytest.mark.parametrize("slug", ["euro-style", "euro-style-chat"])
def test_who_knows_everything_gets_everything(project, slug, tmp_path):
    suite = suites.install(project, slug)
    found = scores(measured(project, suite, "oracle", tmp_path))
    assert {name.rsplit("_", 2)[-2] for name in found} == set(TASKS)
    for name, mine in found.items():
        metrics = TASKS[name.rsplit("_", 2)[-2]].metrics
        assert {metric: mine[metric] for metric in metrics} == dict.fromkeys(metrics, 1.0), name
        assert mine["extraction_failed"] == 0.0


@pytest.fixture
def chat(project: Project) -> Suite:
    return suites.install(project, "euro-style-chat")


def test_a_constant_answer_earns_chance(project, chat, tmp_path):
    found = scores(measured(project, chat, "constant", tmp_path))
    for name, mine in found.items():
        task = name.rsplit("_", 2)[-2]
        if task in LABELLED:
            assert mine["mcc"] == 0.0, name
            assert mine["extraction_failed"] == 0.0
        elif task == "entities":
            assert mine["extraction_failed"] == 1.0
            assert mine["micro_f1_no_misc"] == 0.0
        else:
            assert mine[TASKS[task].metrics[0]] < 0.1


def test_board_and_comparison_show_the_score_of_the_set(project, chat, tmp_path):
    for mode in ("oracle", "constant"):
        measured(project, chat, mode, tmp_path)
    view = leaderboard.View(language="de")
    board = leaderboard.board(chat, view)
    assert [row.candidate.name for row in board.rows] == ["oracle", "constant"]
    assert [row.rank[0] for row in board.rows] == [1, 2]
    for row in board.rows:
        cells = [cell.value for cell in row.cells.values()]
        assert row.overall[0] == pytest.approx(sum(cells) / len(cells))
    found = compare(chat, [row.candidate for row in reversed(board.rows)])
    for line in found.lines:
        first, other = line.cells
        gap = other.figures.gap
        assert gap.value == pytest.approx(other.score.value - first.score.value), line.benchmark
        assert gap.low <= gap.value <= gap.high
        assert gap.real


def test_a_sample_keeps_what_was_said_and_what_was_read(project, chat, tmp_path):
    run = measured(project, chat, "constant", tmp_path)
    samples = Sample.objects.filter(part__run=run)
    sample = samples.filter(part__benchmark__name__contains="sentiment_de").first()
    assert (sample.raw, sample.answer) == ("positiv", "positiv")
    assert sample.counts in ([0, 0], [1, 0], [2, 0])
    messages = json.loads(sample.prompt)
    assert len(messages) == 2 * 12 + 1
    sample = samples.filter(part__benchmark__name__contains="entities_de").first()
    assert (sample.raw, sample.answer) == ("no idea", "")
    assert json.loads(sample.target).keys() == {"person", "ort", "organisation", "sonstiges"}


@pytest.fixture
def resampled(project: Project, tmp_path: Path) -> Suite:
    """German sentiment and answers from a text, under protocol A."""
    import yaml

    entry = starter_styles.suite(chat=True)
    chosen = [
        benchmark
        for benchmark in entry["benchmarks"]
        if benchmark["name"].endswith(("sentiment_de", "reading_de"))
    ]
    for benchmark in chosen:
        benchmark["options"]["protocol"] = "A"
        name = benchmark["questions"]
        (tmp_path / name).write_bytes((starter_styles.FOLDER / name).read_bytes())
    entry |= {"slug": "resampled", "benchmarks": chosen}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
    return suites.load(project, tmp_path)


def test_protocol_a_asks_ten_resamples_and_says_what_its_interval_is(project, resampled, tmp_path):
    run = measured(project, resampled, "constant", tmp_path)
    sentiment = run.parts.get(benchmark__family="sentiment")
    assert 170 <= sentiment.total <= 210  # 10 × 63 % of 30 questions
    assert sentiment.samples.count() == sentiment.total
    prompts = {json.loads(s.prompt)[0]["content"] for s in sentiment.samples.all()}
    assert len(prompts) > 5, "each resample has examples of its own"
    for score in sentiment.scores.all():
        assert score.method == METHOD
    board = leaderboard.board(resampled, leaderboard.View())
    (row,) = board.rows
    cells = [cell.value for cell in row.cells.values()]
    assert row.overall[0] == pytest.approx(sum(cells) / len(cells))
