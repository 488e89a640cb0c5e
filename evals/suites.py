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

from evals import provenance
from evals.engines import ENGINES, EXAMPLES_SPLIT, BenchmarkSpec, TaskInvalid, fewshot
from evals.models import Benchmark, QuestionSet, Suite
from evals.models.suites import Scoring
from portal.accounts import audit
from portal.accounts.models import Project, User

SHIPPED = Path(__file__).parent / "data" / "suites"
MOST_FIELDS = 100_000  # of a suite file
LONGEST_FIELD = 80  # characters of the name of a field
REQUIRED = ("name", "title", "family", "language", "engine", "scoring", "metric", "questions")
FILES = ("questions", "examples")  # fields that name a file beside the suite's


class SuiteInvalid(ValueError):
    """A suite's files cannot be used; the text names file, field and the way out."""


class Shipped(NamedTuple):
    """A suite that comes with the portal, and its file."""

    slug: str
    version: int
    path: Path
    name: str
    description: str
    languages: tuple[str, ...]


@cache
def shipped() -> tuple[Shipped, ...]:
    """The suites that come with the portal, by slug."""
    return tuple(sorted(_shipped(path) for path in SHIPPED.glob("*/*.yaml")))


def _shipped(path: Path) -> Shipped:
    entry = _read(path)
    return Shipped(
        entry["slug"],
        int(entry.get("version", 1)),
        path,
        entry["name"],
        entry.get("description", ""),
        tuple(dict.fromkeys(item["language"] for item in entry["benchmarks"])),
    )


def install(project: Project, slug: str, *, by: User | None = None) -> Suite:
    """The shipped suite ``slug`` in ``project``, imported when this version is not there yet.

    Raises LookupError for a slug that does not come with the portal.
    """
    for entry in shipped():
        if entry.slug == slug:
            return load(project, entry.path, by=by)
    raise LookupError(f"No suite {slug!r} comes with the portal.")


@transaction.atomic
def load(project: Project, path: Path, *, by: User | None = None) -> Suite:
    """Import the suite file ``path`` with its question files; the same content is imported once.

    ``path`` may be the folder of a ``suite.yaml``. Raises SuiteInvalid when a field is missing
    or wrong, or when the version exists with other content: a version that may have been run
    never changes, so raise its number.
    """
    path = path / "suite.yaml" if path.is_dir() else path
    folder = path.parent
    entry = _read(path)
    files = {item[field] for item in entry["benchmarks"] for field in FILES if item.get(field)}
    questions = {name: _text(folder / name) for name in files}
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
        tags=entry.get("tags", []),
        sha256=digest,
    )
    stored = {name: _question_set(text, name) for name, text in questions.items()}
    for position, item in enumerate(entry["benchmarks"]):
        benchmark = Benchmark(
            suite=suite,
            position=position,
            questions=stored[item["questions"]],
            examples=stored.get(item.get("examples")),
            tags=item.get("tags", []),
            options=item.get("options", {}),
            cluster=item.get("cluster", ""),
            source=item.get("source", {}),
            task=item["task"],
            **{field: item[field] for field in REQUIRED if field != "questions"},
        )
        try:
            ENGINES[benchmark.engine].validate(spec(benchmark))
            clusters(benchmark)
        except (TaskInvalid, LookupError) as error:
            raise SuiteInvalid(f"{folder.name}: {error}") from error
        benchmark.save()
    audit.record(project, "suite.install", suite, by=by, version=version, sha256=digest)
    return suite


def spec(benchmark: Benchmark) -> BenchmarkSpec:
    """``benchmark`` as its engine takes it, questions included."""
    return BenchmarkSpec(
        name=benchmark.name,
        scoring=benchmark.scoring,
        metric=benchmark.metric,
        rows=benchmark.questions.rows(),
        examples=benchmark.examples.rows() if benchmark.examples else [],
        task=benchmark.task,
        options=benchmark.options,
    )


def clusters(benchmark: Benchmark) -> list[int] | None:
    """The number of the text that each question belongs to, by doc_id.

    None where no field is named, or where every question has a text of its own: then the
    samples are independent. Raises TaskInvalid for a question without the field.
    """
    if not benchmark.cluster:
        return None
    numbers: dict[str, int] = {}
    found = []
    for place, row in enumerate(benchmark.questions.each(), start=1):
        if benchmark.cluster not in row:
            raise TaskInvalid(
                f"{benchmark.name}: question {place} has no field {benchmark.cluster!r}, "
                "which cluster names."
            )
        text = json.dumps(row[benchmark.cluster], sort_keys=True)
        found.append(numbers.setdefault(text, len(numbers)))
    return found if len(numbers) < len(found) else None


def texts_of(benchmark: Benchmark, samples: int) -> list[int] | None:
    """`clusters` where they fit ``samples``: a result brought in from elsewhere may not."""
    found = clusters(benchmark)
    return found if found and len(found) == samples else None


def freeze(suite: Suite) -> None:
    """Mark ``suite`` as used; called when its first run starts."""
    Suite.objects.filter(pk=suite.pk, frozen_at=None).update(frozen_at=timezone.now())


def write_task_files(suite: Suite, folder: Path) -> list[str]:
    """Write ``suite`` as a folder that lm-eval's own command takes with ``--include_path``.

    Returns the task names. Paths to the question files are absolute, as lm-eval needs them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for benchmark in suite.benchmarks.select_related("questions", "examples"):
        files = {"test": benchmark.questions}
        if benchmark.examples:
            files[EXAMPLES_SPLIT] = benchmark.examples
        paths = {}
        for split, rows in files.items():
            path = (folder / f"{benchmark.name}_{split}.jsonl").resolve()
            path.write_text(rows.lines, encoding="utf-8")
            paths[split] = str(path)
        task = {
            "task": benchmark.name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": paths},
            "test_split": "test",
            **fewshot(benchmark.options, bool(benchmark.examples)),
            **benchmark.task,
        }
        text = yaml.safe_dump(task, allow_unicode=True, sort_keys=False)
        (folder / f"{benchmark.name}.yaml").write_text(text, encoding="utf-8")
        names.append(benchmark.name)
    return names


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or NUL in the name
        raise SuiteInvalid(f"{path.name} cannot be read: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        entry = yaml.safe_load(_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise SuiteInvalid(f"{path.name} cannot be read: {error}") from error
    if _size(entry) > MOST_FIELDS:
        raise SuiteInvalid(f"{path.name} has more than {MOST_FIELDS} fields, aliases written out.")
    for message in _faults(entry):
        raise SuiteInvalid(f"{path.parent.name}/{path.name}: {message}")
    return entry


def _size(value: Any) -> int:
    """How many values stand in ``value``; counting ends above ``MOST_FIELDS``.

    A few aliases of YAML can stand for billions of values, or for a list inside itself.
    """
    count, waiting = 0, [value]
    while waiting and count <= MOST_FIELDS:
        item = waiting.pop()
        count += 1
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return count


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
    if not _are_tags(entry.get("tags", [])):
        yield f"tags is {entry['tags']!r}; write a list of words."
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
        if not _are_tags(item.get("tags", [])):
            yield f"benchmarks[{index}].tags is {item['tags']!r}; write a list of words."
        cluster = item.get("cluster", "")
        if not isinstance(cluster, str) or len(cluster) > LONGEST_FIELD:
            yield f"benchmarks[{index}].cluster is {cluster!r}; write the name of a field."
        for fault in provenance.faults(item.get("source", {})):
            yield f"benchmarks[{index}].source{fault}"
        if item.get("scoring") not in Scoring.values:
            yield (
                f"benchmarks[{index}].scoring is {item.get('scoring')!r}; "
                f"write one of {', '.join(Scoring.values)}."
            )
        for field in FILES:
            name = item.get(field)
            if field in item and (name == ".." or Path(str(name)).name != name):
                yield f"benchmarks[{index}].{field} must be a file name in the suite's folder."


def _are_tags(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(tag, str) and tag for tag in value)


def _question_set(text: str, name: str) -> QuestionSet:
    count = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
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
