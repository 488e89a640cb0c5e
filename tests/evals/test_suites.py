from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals import suites
from evals.engines.lm_eval import prepare
from evals.models import Benchmark, QuestionSet, Suite
from portal.accounts.models import Project
from tests.evals.making import answer, answer_rows, choice, choice_rows, make_suite, write_suite

pytestmark = pytest.mark.django_db


def refusal(project: Project, folder: Path) -> str:
    with pytest.raises(suites.SuiteInvalid) as refused:
        suites.load(project, folder)
    assert not Suite.objects.exists() and not Benchmark.objects.exists()
    return str(refused.value)


def test_it_loads_benchmarks_with_their_questions(project: Project, tmp_path: Path) -> None:
    rows = choice_rows(5)
    suite = suites.load(project, write_suite(tmp_path, [choice(rows=rows), answer()]))
    first, second = suite.benchmarks.all()
    assert (first.name, first.position, first.questions.count) == ("colours", 0, 5)
    assert list(first.questions.each()) == list(suites.spec(first).rows) == rows
    assert (second.scoring, second.metric) == ("generate", "exact_match")


def test_the_same_content_is_installed_once(project: Project, tmp_path: Path) -> None:
    write_suite(tmp_path, [choice()])
    assert suites.load(project, tmp_path) == suites.load(project, tmp_path)
    assert Suite.objects.count() == QuestionSet.objects.count() == 1


def test_equal_questions_are_stored_once(project: Project) -> None:
    make_suite(project, choice(), slug="one")
    make_suite(project, choice("other"), slug="two")
    assert QuestionSet.objects.count() == 1


@pytest.mark.parametrize("what", ["a question", "a prompt", "a title"])
def test_other_content_under_the_same_version_is_refused(
    project: Project, tmp_path: Path, what: str
) -> None:
    suite = suites.load(project, write_suite(tmp_path, [choice()]))
    changed = {
        "a question": choice(rows=choice_rows(9)),
        "a prompt": choice(task=choice()["task"] | {"doc_to_text": "{{question}}"}),
        "a title": choice(title="Better words"),
    }[what]
    write_suite(tmp_path, [changed])
    with pytest.raises(suites.SuiteInvalid, match="higher version"):
        suites.load(project, tmp_path)
    assert suite.benchmarks.get().questions.count == 8

    write_suite(tmp_path, [changed], version=2)
    assert suites.load(project, tmp_path).version == 2
    assert Suite.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slug": ""}, "slug is missing"),
        ({"benchmarks": []}, "benchmarks is missing"),
        ({"benchmarks": "many"}, "benchmarks is not a list"),
        ({"benchmarks": ["one"]}, "benchmarks is not a list"),
        ({"version": "two"}, "version is 'two'"),
        ({"version": 0}, "version is 0"),
    ],
)
def test_it_names_what_is_wrong_with_the_suite(
    project: Project, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    assert words in refusal(project, write_suite(tmp_path, [choice()], **change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metric": ""}, "benchmarks[0].metric is missing"),
        ({"task": {}}, "benchmarks[0].task is missing"),
        ({"task": ["x"]}, "benchmarks[0].task is not a mapping"),
        ({"options": 3}, "benchmarks[0].options is not a mapping"),
        (
            {"scoring": "guess"},
            "benchmarks[0].scoring is 'guess'; write one of options, letter, generate",
        ),
        ({"engine": "abacus"}, "abacus"),
        ({"rows": []}, "empty"),
        ({"metric": "f1"}, "metric_list"),
    ],
)
def test_it_names_what_is_wrong_with_a_benchmark(
    project: Project, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    assert words in refusal(project, write_suite(tmp_path, [choice(**change), answer()]))


def test_it_refuses_two_benchmarks_of_one_name(project: Project, tmp_path: Path) -> None:
    folder = write_suite(tmp_path, [choice(), choice()])
    assert "benchmarks[1].name 'colours' is there already" in refusal(project, folder)


@pytest.mark.parametrize("name", ["../other.jsonl", "/etc/passwd", "..", "sub/rows.jsonl"])
def test_it_reads_no_file_outside_the_folder(project: Project, tmp_path: Path, name: str) -> None:
    folder = write_suite(tmp_path, [choice()])
    text = (folder / "suite.yaml").read_text()
    (folder / "suite.yaml").write_text(text.replace("colours.jsonl", name))
    assert "must be a file name in the suite's folder" in refusal(project, folder)


def test_it_names_a_question_file_that_is_missing(project: Project, tmp_path: Path) -> None:
    write_suite(tmp_path, [choice()])
    (tmp_path / "colours.jsonl").unlink()
    assert "colours.jsonl cannot be read" in refusal(project, tmp_path)


@pytest.mark.parametrize(("line", "words"), [("{oops", "not JSON"), ("[1]", "a JSON object")])
def test_it_names_the_line_of_a_bad_question(
    project: Project, tmp_path: Path, line: str, words: str
) -> None:
    write_suite(tmp_path, [choice()])
    path = tmp_path / "colours.jsonl"
    path.write_text(path.read_text() + f"\n{line}\n")
    found = refusal(project, tmp_path)
    assert "colours.jsonl, line 10" in found and words in found


def test_it_runs_no_code_from_a_suite_file(project: Project, tmp_path: Path) -> None:
    write_suite(tmp_path, [choice()])
    path = tmp_path / "suite.yaml"
    place = tmp_path / "escaped"
    for tag in (f"!!python/object/apply:os.system ['touch {place}']", "!function utils.x"):
        path.write_text(f"{path.read_text()}\nextra: {tag}\n")
        assert "suite.yaml cannot be read" in refusal(project, tmp_path)
    assert not place.exists()


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_questions_come_back_as_they_were_written(texts: list[str]) -> None:
    rows = [{"question": text, "number": number} for number, text in enumerate(texts)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    assert list(suites._question_set(lines, "rows.jsonl").each()) == rows


def test_every_shipped_suite_can_be_installed(project: Project) -> None:
    assert "demo" in {entry.slug for entry in suites.shipped()}
    for slug in (entry.slug for entry in suites.shipped()):
        suite = suites.install(project, slug)
        assert suite.slug == slug and suite.benchmarks.count() > 0


def test_another_project_has_a_suite_of_its_own(project: Project) -> None:
    other = Project.objects.create(name="Another")
    assert make_suite(project, choice()).pk != make_suite(other, choice()).pk


def test_lm_eval_loads_the_files_it_writes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = answer_rows(3)
    rows[1]["question"] = "Wie heißt das? \u2028 “Zeile”"
    suite = make_suite(project, choice(options={"num_fewshot": 2}), answer(rows=rows))
    names = suites.write_task_files(suite, tmp_path / "tasks")
    assert names == ["colours", "words"]
    manager = TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False)
    loaded = manager.load(names)["tasks"]
    assert loaded["colours"].config.num_fewshot == 2
    questions = [doc["question"] for doc in loaded["words"].eval_docs]
    assert questions == [row["question"] for row in rows]


def test_examples_of_their_own_are_shown_in_their_order(project: Project, tmp_path: Path) -> None:
    shots = [{"question": f"Shown {n}", "choices": ["yes", "no"], "answer": n % 2} for n in (1, 2)]
    (tmp_path / "shots.jsonl").write_text("\n".join(map(json.dumps, shots)), encoding="utf-8")
    entry = choice(examples="shots.jsonl", options={"num_fewshot": 2}, tags=["knowledge"])
    suite = suites.load(project, write_suite(tmp_path, [entry], tags=["own"]))
    benchmark = suite.benchmarks.get()
    assert (suite.tags, benchmark.tags) == (["own"], ["knowledge"])
    first = next(prepare(suites.spec(benchmark)).documents())
    prompt = first.requests[0].args[0]
    assert prompt.startswith(
        "Question: Shown 1\nAnswer: no\n\nQuestion: Shown 2\nAnswer: yes\n\nQuestion: No 0"
    )


def test_more_examples_than_there_are_cannot_be_asked_for(project: Project, tmp_path: Path) -> None:
    (tmp_path / "shots.jsonl").write_text('{"question": "?", "choices": ["a", "b"], "answer": 0}')
    entry = choice(examples="shots.jsonl", options={"num_fewshot": 2})
    with pytest.raises(suites.SuiteInvalid, match="only 1 examples"):
        suites.load(project, write_suite(tmp_path, [entry]))


def by_text(count: int, of: int = 1) -> list[dict[str, Any]]:
    """Questions of which ``of`` after each other share a text."""
    rows = choice_rows(count)
    return [row | {"text": {"number": at // of}} for at, row in enumerate(rows)]


def test_questions_that_share_a_text_are_numbered_by_it(project: Project) -> None:
    suite = make_suite(project, choice(rows=by_text(6, of=2), cluster="text"))
    [benchmark] = suite.benchmarks.all()
    assert suites.clusters(benchmark) == [0, 0, 1, 1, 2, 2]
    assert suites.texts_of(benchmark, samples=5) is None  # a result from elsewhere


def test_texts_of_one_question_each_change_nothing(project: Project) -> None:
    suite = make_suite(project, choice(rows=by_text(6), cluster="text"))
    [benchmark] = suite.benchmarks.all()
    assert benchmark.cluster == "text" and suites.clusters(benchmark) is None


def test_a_question_without_its_text_is_refused(project: Project, tmp_path: Path) -> None:
    rows = [*by_text(3), choice_rows(1)[0]]
    write_suite(tmp_path, [choice(rows=rows, cluster="text")])
    assert "question 4 has no field 'text'" in refusal(project, tmp_path)


@pytest.mark.parametrize("name", [["text"], 7, "x" * 81])
def test_a_cluster_that_is_no_name_of_a_field_is_refused(
    project: Project, tmp_path: Path, name: Any
) -> None:
    write_suite(tmp_path, [choice(cluster=name)])
    assert "benchmarks[0].cluster is" in refusal(project, tmp_path)
