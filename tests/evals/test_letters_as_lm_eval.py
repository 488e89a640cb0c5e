"""Asked once by letter, a model gets the accuracy that lm-eval gets by asking for each option."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals import suites
from evals.demo import corpus
from evals.demo.servers import ModelServer, running
from evals.models import Part, Suite
from portal.accounts.models import Project
from tests.evals.lettered import DIGITS, LETTERS
from tests.evals.making import letter, make_suite
from tests.evals.reference import measured, reference
from tests.real import PYTHON, ROOT, Served

pytestmark = [pytest.mark.vllm, pytest.mark.django_db(transaction=True)]
SHOTS = {"en": 0, "de": 2, "da": 3, "sv": 5}
QUESTIONS = 20  # of each language
SAME = 1e-4  # nats: the server computes a prompt and the token after it in other batches


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PYTHON.exists():
        pytest.skip("no model environment: run manage.py test without arguments")
    made = tmp_path_factory.mktemp("lettered")
    command = [str(PYTHON), "-m", "tests.evals.lettered", "--out", str(made)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    return made


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    """The model of ``lettered`` behind a real vLLM, which lists twenty tokens at most."""
    log = folder.parent / "lettered.log"
    server = ModelServer(python=PYTHON, model=folder, name="lettered", log=log)
    with running([server]):
        yield Served(server.name, server.base_url)


def rows(language: str, options: int) -> list[dict[str, Any]]:
    rng = random.Random(language)
    facts = corpus.facts(language)
    made = []
    for fact in facts[:QUESTIONS]:
        pool = sorted({other.answer for other in facts if other.kind == fact.kind} - {fact.answer})
        choices = [*rng.sample(pool, options - 1), fact.answer]
        rng.shuffle(choices)
        question = corpus.reworded(fact.kind, language).format(s=fact.subject)
        made.append(
            {"question": question, "choices": choices, "answer": choices.index(fact.answer)}
        )
    return made


def asked(language: str, signs: str, shots: int) -> dict[str, Any]:
    """A benchmark by letter with ``signs`` before the options."""
    found = letter(
        f"{'letters' if signs == LETTERS else 'digits'}_{language}",
        rows=rows(language, len(signs)),
        language=language,
        options={"num_fewshot": shots},
    )
    text = (
        f"{corpus.QUESTION[language]}: {{{{question}}}}\n{{% for c in choices %}}"
        f"{{{{'{signs}'[loop.index0]}}}}. {{{{c}}}}\n{{% endfor %}}{corpus.ANSWER[language]}:"
    )
    found["task"] |= {"doc_to_text": text, "doc_to_choice": list(signs)}
    return found


@pytest.fixture
def suite(project: Project) -> Suite:
    letters = [asked(language, LETTERS, shots) for language, shots in SHOTS.items()]
    return make_suite(project, *letters, asked("en", DIGITS, 0))


def test_it_has_lm_evals_accuracy_on_every_question(
    project: Project, suite: Suite, served: Served, tmp_path: Path
) -> None:
    suites.write_task_files(suite, tmp_path)
    names = [benchmark.name for benchmark in suite.benchmarks.all()]
    theirs = reference(tmp_path, names, served)
    run = measured(project, served, suite)
    *letters, digits = run.parts.order_by("benchmark__position")

    largest, answers = 0.0, Counter[str]()
    for part in letters:
        acc = part.scores.get(metric="acc")
        assert acc.value == theirs["results"][part.benchmark.name]["acc,none"]
        assert (acc.answered, part.scores.get(metric="letter_missing").value) == (QUESTIONS, 0)
        for mine, logs, right in paired(part, theirs):
            largest = max(
                largest, *(abs(a - b) for a, b in zip(mine.loglikelihoods, logs, strict=True))
            )
            assert mine.metrics["acc"] == right
            answers[mine.answer] += 1
    print(f"{answers.total()} questions, answers {dict(answers)}, largest difference {largest:.1e}")
    assert largest < SAME
    assert min(answers.values(), default=0) > 0 and len(answers) >= 3  # not one letter for all

    missing = Counter[int]()
    for mine, logs, right in paired(digits, theirs):
        kept = json.loads(mine.raw)
        missing[len(kept["floored"])] += 1
        for sign, log in zip(DIGITS, logs, strict=True):
            if sign in kept["floored"]:
                assert log <= kept["floor"] + SAME  # the floor is the most that it can be
        if mine.metrics["no_letter"]:
            assert (mine.answer, mine.metrics["acc"], mine.loglikelihoods) == ("", 0.0, [])
        else:
            assert (mine.answer, mine.metrics["acc"]) == (DIGITS[logs.index(max(logs))], right)
    print(f"questions by digits that are not in the list: {dict(sorted(missing.items()))}")
    # Some lists lack one, several and all of them: each case is met.
    assert missing[len(DIGITS)] and len(missing) >= 3
    ours, unread = (digits.scores.get(metric=name).value for name in ("acc", "no_letter"))
    assert ours <= theirs["results"][digits.benchmark.name]["acc,none"] <= ours + unread


def paired(part: Part, theirs: dict[str, Any]) -> Iterator[tuple[Any, list[float], float]]:
    """Each of our samples with the log-likelihoods and the accuracy that lm-eval has for it."""
    ours = {sample.doc_id: sample for sample in part.samples.all()}
    samples = theirs["samples"][part.benchmark.name]
    assert len(samples) == len(ours) == QUESTIONS
    for sample in samples:
        mine = ours[sample["doc_id"]]
        assert mine.prompt == sample["arguments"]["gen_args_0"]["arg_0"]
        yield mine, [float(pair[0]) for pair in sample["filtered_resps"]], sample["acc"]
