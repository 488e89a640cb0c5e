"""Bring suites into a project, keep them unchanged once used, write them out again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from django.db import transaction
from django.utils import timezone

from evals.engines import ENGINES, BenchmarkSpec, TaskInvalid
from evals.models import Benchmark, QuestionSet, Suite
from evals.models.suites import Scoring
from portal.accounts.models import Project

SHIPPED = Path(__file__).parent / "data" / "suites"
REQUIRED = ("name", "title", "family", "language", "engine", "scoring", "metric", "questions")


class SuiteInvalid(ValueError):
    """A suite's files cannot be used; the text names file, field and the way out."""


class Shipped(NamedTuple):
    """A suite that comes with the portal; ``slug`` is also its folder."""

    slug: str
    version: int


@cache
def shipped() -> tuple[Shipped, ...]:
    """The suites that come with the portal, by slug."""
    found = (_read(path) for path in sorted(SHIPPED.glob("*/suite.yaml")))
    return tuple(Shipped(entry["slug"], int(entry.get("version", 1))) for entry in found)


@transaction.atomic
def install(project: Project, slug: str) -> Suite:
    """The shipped suite ``slug`` in ``project``, imported when this version is not there yet."""
    return load(project, SHIPPED / slug)


@transaction.atomic
def load(project: Project, folder: Path) -> Suite:
    """Import ``folder``/suite.yaml with its question files; the same content is imported once.

    Raises SuiteInvalid when a field is missing or wrong, or when the version exists with
    other content: a version that may have been run never changes, so raise its number.
    """
    entry = _read(folder / "suite.yaml")
    questions = {
        item["questions"]: _text(folder / item["questions"]) for item in entry["benchmarks"]
    }
    digest = _digest(entry, questions)
    version = int(entry.get("version", 1))
    existing = Suite.objects.filter(project=project, slug=entry["slug"], version=version).first()
    if existing:
        if existing.sha256 != digest:
            raise SuiteInvalid(
                f"{folder.name}: version {version} is installed with other content. "
                "Write a higher version into suite.yaml."
            )
        return existing
    suite = Suite.objects.create(
        project=project,
        slug=entry["slug"],
        version=version,
        name=entry["name"],
        description=entry.get("description", ""),
        licence=entry.get("licence", ""),
        sha256=digest,
    )
    for position, item in enumerate(entry["benchmarks"]):
        benchmark = Benchmark(
            suite=suite,
            position=position,
            questions=_question_set(questions[item["questions"]], item["questions"]),
            options=item.get("options", {}),
            task=item["task"],
            **{field: item[field] for field in REQUIRED if field != "questions"},
        )
        try:
            ENGINES[benchmark.engine].validate(spec(benchmark))
        except (TaskInvalid, LookupError) as error:
            raise SuiteInvalid(f"{folder.name}: {error}") from error
        benchmark.save()
    return suite


def spec(benchmark: Benchmark) -> BenchmarkSpec:
    """``benchmark`` as its engine takes it, questions included."""
    return BenchmarkSpec(
        name=benchmark.name,
        scoring=benchmark.scoring,
        metric=benchmark.metric,
        rows=benchmark.questions.rows(),
        task=benchmark.task,
        options=benchmark.options,
    )


def freeze(suite: Suite) -> None:
    """Mark ``suite`` as used; called when its first run starts."""
    Suite.objects.filter(pk=suite.pk, frozen_at=None).update(frozen_at=timezone.now())


def write_task_files(suite: Suite, folder: Path) -> list[str]:
    """Write ``suite`` as a folder that lm-eval's own command takes with ``--include_path``.

    Returns the task names. Paths to the question files are absolute, as lm-eval needs them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for benchmark in suite.benchmarks.select_related("questions"):
        rows = (folder / f"{benchmark.name}.jsonl").resolve()
        rows.write_text(benchmark.questions.lines, encoding="utf-8")
        shots = int(benchmark.options.get("num_fewshot", 0))
        task = {
            "task": benchmark.name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(rows)}},
            "test_split": "test",
            "num_fewshot": shots,
            **({"fewshot_split": "test"} if shots else {}),
            **benchmark.task,
        }
        text = yaml.safe_dump(task, allow_unicode=True, sort_keys=False)
        (folder / f"{benchmark.name}.yaml").write_text(text, encoding="utf-8")
        names.append(benchmark.name)
    return names


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteInvalid(f"{path.name} cannot be read: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        entry = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise SuiteInvalid(f"{path.name} cannot be read: {error}") from error
    for message in _faults(entry):
        raise SuiteInvalid(f"{path.parent.name}/{path.name}: {message}")
    return entry


def _faults(entry: Any) -> Iterator[str]:
    """What is wrong with the fields of a suite file, in reading order."""
    if not isinstance(entry, dict):
        yield "is not a mapping of fields."
        return
    for field in ("slug", "name", "benchmarks"):
        if not entry.get(field):
            yield f"{field} is missing."
    version = entry.get("version", 1)
    if not isinstance(version, int) or version < 1:
        yield f"version is {version!r}; write a whole number from 1."
    items = entry.get("benchmarks") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        yield "benchmarks is not a list of mappings."
        return
    names = [item.get("name") for item in items]
    for index, item in enumerate(items):
        if names.index(item.get("name")) != index:
            yield f"benchmarks[{index}].name {item.get('name')!r} is there already."
        for field in ("task", "options"):
            if not isinstance(item.get(field, {}), dict):
                yield f"benchmarks[{index}].{field} is not a mapping."
        for field in (*REQUIRED, "task"):
            if not item.get(field):
                yield f"benchmarks[{index}].{field} is missing."
        if item.get("scoring") not in Scoring.values:
            yield (
                f"benchmarks[{index}].scoring is {item.get('scoring')!r}; "
                f"write one of {', '.join(Scoring.values)}."
            )
        questions = item.get("questions")
        if questions == ".." or Path(str(questions)).name != questions:
            yield f"benchmarks[{index}].questions must be a file name in the suite's folder."


def _question_set(text: str, name: str) -> QuestionSet:
    count = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise SuiteInvalid(f"{name}, line {number}: not JSON ({error}).") from error
        if not isinstance(row, dict):
            raise SuiteInvalid(f"{name}, line {number}: a question must be a JSON object.")
        count += 1
    digest = hashlib.sha256(text.encode()).hexdigest()
    found, _ = QuestionSet.objects.get_or_create(
        sha256=digest, defaults={"count": count, "lines": text}
    )
    return found


def _digest(entry: dict[str, Any], questions: dict[str, str]) -> str:
    content = json.dumps([entry, questions], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(content.encode()).hexdigest()
