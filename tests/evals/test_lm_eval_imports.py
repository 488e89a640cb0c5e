"""Files of lm-eval come in, can be looked at, and go out as they were."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals import exports, imports, suites
from evals.formats import lm_eval, lm_eval_reader
from evals.formats.given import Fault, bounded
from evals.models import ExternalResult, Import, Score
from portal.accounts.models import Project
from tests.evals.making import answer, choice, make_candidate, make_run, make_suite, write_suite

pytestmark = pytest.mark.django_db
PATIENT = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def read(text: str) -> list[Any]:
    return list(lm_eval_reader.samples(bounded(io.BytesIO(text.encode()))))


def kept(found: Import) -> dict[str, bytes]:
    with ZipFile(imports.archive(found)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


@pytest.fixture
def written(project: Project, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """What lm-eval itself writes after a run of two tasks of ours, and what it holds."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    tasks = tmp_path / "tasks"
    plain = answer(options={"num_fewshot": 0})
    suites.write_task_files(suites.load(project, write_suite(tmp_path, [choice(), plain])), tasks)
    found = simple_evaluate(
        model="dummy", tasks=["colours", "words"], log_samples=True, num_fewshot=0,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
    )  # fmt: skip
    samples = found.pop("samples")
    held = json.loads(json.dumps({"results": found["results"], "samples": samples}, default=str))
    tracker = EvaluationTracker(output_path=str(tmp_path / "out"))
    tracker.general_config_tracker.model_name = "our/model"
    tracker.general_config_tracker.model_name_sanitized = "our__model"
    tracker.save_results_aggregated(results=found, samples=samples)
    for task, rows in samples.items():
        tracker.save_results_samples(task_name=task, samples=rows)
    return tmp_path / "out", held


def test_what_lm_eval_writes_is_understood_and_comes_back_byte_for_byte(
    as_erik: Client, project: Project, written: tuple[Path, dict[str, Any]]
) -> None:
    place, held = written
    files = [imports.File(p.name, p.read_bytes()) for p in sorted(place.rglob("*.json*"))]
    assert len(files) == 3
    found = imports.confirm(imports.receive(project, files))
    totals = {(r.benchmark, r.metric): r for r in ExternalResult.objects.all()}
    for task, row in held["results"].items():
        for metric in ("acc", "acc_norm") if task == "colours" else ("exact_match",):
            result = totals[task, metric]
            assert result.value == row[f"{metric},none"]
            assert (result.spread, result.spread_kind) == (row[f"{metric}_stderr,none"], "stderr")
            assert (result.samples, result.few_shot) == (8, False)
            assert result.engine.startswith("lm-eval 0.4.")
    for mine, theirs in zip(
        imports.samples(found, "colours", 0, 50), held["samples"]["colours"], strict=True
    ):
        assert mine.loglikelihoods == [float(pair[0]) for pair in theirs["filtered_resps"]]
        assert mine.target == mine.choices[int(theirs["target"])]
        assert mine.metrics["acc"] == float(theirs["acc"])
    assert kept(found) == {file.name: file.content for file in files}
    address = reverse("evals:import_samples", args=[found.pk])
    assert "repeat tree" in as_erik.get(address, {"task": "words"}).text
    assert as_erik.get(address).url == found.get_absolute_url()  # no task, no samples
    assert str(found).startswith("results_") and str(found).endswith(".json and 2 more")
    assert "standard error" in as_erik.get(reverse("evals:external")).text


def test_a_run_of_ours_goes_out_and_comes_in_with_all_its_records(project: Project) -> None:
    values = {"colours": [1.0, 0.0, None, 1.0], "words": [1.0, 0.0]}
    run = make_run(make_candidate(project, "Alder"), make_suite(project), values)
    content = exports.lm_eval_files(run).read()
    found = imports.confirm(imports.receive(project, [imports.File("run.zip", content)]))
    with ZipFile(io.BytesIO(content)) as packed:
        exported = {name.rsplit("/", 1)[-1]: packed.read(name) for name in packed.namelist()}
    assert kept(found) == exported
    for score in Score.objects.filter(part__run=run, value__isnull=False):
        name = score.part.benchmark.name
        result = ExternalResult.objects.get(benchmark=name, metric=score.metric)
        assert (result.model, result.value) == ("Alder", score.value)
    ours = list(run.parts.get(benchmark__name="colours").samples.order_by("doc_id"))
    for mine, record in zip(ours, imports.samples(found, "colours", 0, 10), strict=True):
        assert (record.prompt, record.target) == (mine.prompt, mine.target)
        assert (record.metrics, record.error) == (mine.metrics, mine.error)


@PATIENT
@given(
    TEXT,
    TEXT,
    st.lists(
        st.tuples(TEXT, st.floats(-99, 0)),
        min_size=2,
        max_size=4,
        unique_by=(lambda pair: pair[0], lambda pair: pair[1]),
    ),
    st.integers(0, 1),
    st.floats(0, 1),
    st.booleans(),
)
def test_any_record_that_is_written_is_read_with_all_it_holds(
    prompt: str, reply: str, options: list[tuple[str, float]], right: int, value: float, asks: bool
) -> None:
    choices = [text for text, _ in options] if asks else []
    numbers = [number for _, number in options] if asks else []
    best = choices[numbers.index(max(numbers))] if asks else reply
    target = choices[right] if asks else reply
    metrics = {"acc": value, "f1": 1.0}
    question = lm_eval.Question(7, prompt, target, best, best, choices, numbers, metrics)
    (found,) = read(lm_eval.Task("task", "Task", 1, 0, {}, []).line(question))
    assert (found.doc_id, found.prompt, found.target, found.answer) == (7, prompt, target, best)
    assert (found.choices, found.loglikelihoods) == (choices, numbers)
    assert found.metrics == metrics


def test_older_shapes_are_read() -> None:
    old = {
        "doc_id": 0, "doc": {"q": "?"}, "target": 1,
        "arguments": [["Q", " a"], ["Q", " b"]],
        "resps": [[[-2.0, False]], [[-1.0, True]]],
        "filtered_resps": [[-2.0, False], [-1.0, True]], "acc": 1.0,
    }  # fmt: skip
    (found,) = read(json.dumps(old))
    assert (found.prompt, found.target, found.answer) == ("Q", " b", " b")
    assert found.metrics == {"acc": 1.0}
    results = {
        "results": {"arc": {"acc": 0.5, "acc_stderr": 0.1, "bits": "N/A", "odd": float("inf")}},
        "versions": {"arc": 0},
        "config": {"model": "hf-causal", "model_args": "pretrained=org/old,dtype=float16"},
    }
    first, fault = lm_eval_reader.totals(results)
    assert (first.model, first.metric, first.value, first.spread) == ("org/old", "acc", 0.5, 0.1)
    assert isinstance(fault, Fault) and fault.code == "no_number"


FIELDS = ["doc_id", "target", "arguments", "resps", "metrics", "filtered_resps", "filter", "acc"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
)


@PATIENT
@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_nothing_in_a_record_ends_the_reading(mixed: dict[str, Any]) -> None:
    assert len(read(json.dumps({"doc_id": 1} | mixed) + "\n{}")) == 2
    odd = {"n-shot": mixed, "n-samples": {"task": mixed}, "config": mixed, "date": mixed}
    list(lm_eval_reader.totals({"results": {"task": mixed}, "model_name": "m"} | odd))


def zipped(*members: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with ZipFile(made, "w") as packed:
        for name, content in members:
            packed.writestr(name, content)
    return made.getvalue()


def test_names_in_an_archive_lead_nowhere(project: Project) -> None:
    results = {"results": {"t": {"acc,none": 1.0}}, "versions": {}, "model_name": "m"}
    content = zipped(("../../etc/results_1.json", json.dumps(results).encode()))
    found = imports.receive(project, [imports.File("x.zip", content)])
    assert [file.name for file in found.files.all()] == ["results_1.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04broken",
        zipped(("a.csv", b"a,b"), ("b.csv", b"a,b")),
        zipped(("samples_t_2026-01-01T00-00-00.jsonl", b"{}")),
        zipped(("results_1.json", b'{"results": {' + b"[" * 100_000)),
        zipped(),
    ],
)
def test_archives_that_hold_no_results_are_refused(project: Project, content: bytes) -> None:
    with pytest.raises(imports.ImportRefused):
        imports.confirm(imports.receive(project, [imports.File("x.zip", content)]))


def test_an_archive_that_grows_too_large_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zipfile import ZIP_DEFLATED

    made = io.BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as packed:
        packed.writestr("results_1.json", b" " * 1_000_000)
    monkeypatch.setattr(imports, "MOST_BYTES", 100_000)
    with pytest.raises(imports.ImportRefused, match=r"x\.zip"):
        imports.receive(project, [imports.File("x.zip", made.getvalue())])
