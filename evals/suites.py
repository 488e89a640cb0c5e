"""Bring suites into a project, keep them unchanged once used, write them out again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import CharField
from django.utils import timezone

from evals import checksums, provenance, set_scores
from evals.engines import ENGINES, EXAMPLES_SPLIT, BenchmarkSpec, TaskInvalid, fewshot
from evals.euro.write import Code, dump, utils
from evals.models import Benchmark, QuestionSet, Suite
from evals.models.suites import Scoring
from evals.sentences import Told, gettext_noop
from evals.storable import cleaned
from portal.accounts import audit
from portal.accounts.models import Project, User

SHIPPED = Path(__file__).parent / "data" / "suites"
MOST_FIELDS = 100_000  # of a suite file
LONGEST_FIELD = 80  # characters of the name of a field
HIGHEST_VERSION = 10**6
REQUIRED = ("name", "title", "family", "language", "engine", "scoring", "metric", "questions")
FILES = ("questions", "examples")  # fields that name a file beside the suite's


class SuiteInvalid(Told):
    """A suite's files cannot be used; the text names file, field and the way out."""


MISSING = gettext_noop("{field} is missing.")
NO_TEXT = gettext_noop("{field} is {value!r}; write text in quotes.")
NO_TAGS = gettext_noop("{field} is {value!r}; write a list of words.")
UNREADABLE = gettext_noop("{name} cannot be read: {error}")


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
    return add(project, entry, {name: _text(folder / name) for name in files}, folder.name, by=by)


@transaction.atomic
def add(
    project: Project,
    entry: dict[str, Any],
    texts: Mapping[str, str],
    origin: str,
    *,
    by: User | None = None,
) -> Suite:
    """The suite that ``entry`` describes, with ``texts`` (JSON Lines) by the names in it.

    ``origin`` stands before what is wrong. The same content is stored once: names of files do
    not count, so suites of two portals with one checksum are the same. Raises SuiteInvalid.
    """
    entry = checked(entry, origin)
    digests = {name: _hash(text) for name, text in texts.items()}
    content = _complete(entry, digests)
    digest = checksums.of_suite(content)
    fields = {name: content[name] for name in checksums.SUITE}
    key = {name: fields[name] for name in ("slug", "version")}
    if existing := Suite.objects.filter(project=project, **key).first():
        if existing.sha256 != digest:
            raise SuiteInvalid(
                gettext_noop(
                    "{origin}: version {version} of {slug} is installed with other content. "
                    "Give it a higher version."
                ),
                origin=Told(origin),
                version=existing.version,
                slug=existing.slug,
            )
        return existing
    suite = Suite(project=project, sha256=digest, **fields)
    _fits(suite, origin)
    suite.save()
    stored = {digests[name]: _question_set(text, name) for name, text in texts.items()}
    for position, item in enumerate(content["benchmarks"]):
        rows = {field: stored[item[field]] if item[field] else None for field in FILES}
        benchmark = Benchmark(suite=suite, position=position, **{**item, **rows})
        _fits(benchmark, f"{origin}: benchmarks[{position}]")
        try:
            ENGINES[benchmark.engine].validate(spec(benchmark))
            clusters(benchmark)
        except (TaskInvalid, LookupError) as error:
            raise SuiteInvalid("{origin}: {error}", origin=Told(origin), error=error) from error
        benchmark.save()
    audit.record(project, "suite.install", suite, by=by, version=suite.version, sha256=digest)
    return suite


def describe(suite: Suite) -> dict[str, Any]:
    """``suite`` in canonical form: what its checksum covers (``checksums.of_suite``)."""
    columns = suite.benchmarks.with_questions()
    return {name: getattr(suite, name) for name in checksums.SUITE} | {
        "benchmarks": [
            {name: getattr(column, name) for name in checksums.BENCHMARK if name not in FILES}
            | {
                "questions": column.questions.sha256,
                "examples": column.examples.sha256 if column.examples else None,
            }
            for column in columns
        ]
    }


def spec(benchmark: Benchmark) -> BenchmarkSpec:
    """``benchmark`` as its engine takes it, questions included."""
    return BenchmarkSpec(
        name=benchmark.name,
        scoring=benchmark.scoring,
        metric=benchmark.metric,
        rows=benchmark.questions.rows(),
        examples=list(benchmark.examples.each()) if benchmark.examples else [],
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
    if asked := set_scores.asked_of(benchmark):  # a question is asked several times there
        found = [found[each.row] if found else each.row for each in asked]
    return found if found and len(found) == samples else None


def freeze(suite: Suite) -> None:
    """Mark ``suite`` as used; called when its first run starts."""
    Suite.objects.filter(pk=suite.pk, frozen_at=None).update(frozen_at=timezone.now())


def version_of(benchmark: Benchmark) -> Any:
    """The version of ``benchmark`` in lm-eval's terms: what its task says, else its suite's."""
    return benchmark.task.get("metadata", {}).get("version", benchmark.suite.version)


def write_task_files(suite: Suite, folder: Path) -> list[str]:
    """Write ``suite`` as a folder that lm-eval's own command takes with ``--include_path``.

    Returns the task names. Paths to the question files are absolute, as lm-eval needs them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for benchmark in suite.benchmarks.select_related("suite", "questions", "examples"):
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
        task["metadata"] = {**task.get("metadata", {}), "version": version_of(benchmark)}
        if benchmark.metric == "mc2":  # lm-eval computes it by a function alone
            utils(folder)
            task["process_results"] = Code("utils.results_mc2")
        dump(folder, benchmark.name, task)
        names.append(benchmark.name)
    return names


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or NUL in the name
        raise SuiteInvalid(UNREADABLE, name=path.name, error=error) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        entry = yaml.safe_load(_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise SuiteInvalid(UNREADABLE, name=path.name, error=error) from error
    return checked(entry, f"{path.parent.name}/{path.name}")


def checked(entry: Any, origin: str) -> dict[str, Any]:
    """``entry`` as JSON has it. Raises SuiteInvalid."""
    if _size(entry) > MOST_FIELDS:
        raise SuiteInvalid(
            gettext_noop("{origin} has more than {most} fields, aliases written out."),
            origin=Told(origin), most=MOST_FIELDS,
        )  # fmt: skip
    for fault in _faults(entry):
        raise SuiteInvalid("{origin}: {error}", origin=Told(origin), error=fault)
    try:
        plain = json.loads(json.dumps(entry, allow_nan=False))
        checksums.canonical(plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise SuiteInvalid(
            gettext_noop(
                "{origin} holds what JSON cannot: {error}. Write dates in quotes, and no infinite "
                "numbers."
            ),
            origin=Told(origin), error=error,
        ) from error  # fmt: skip
    if cleaned(plain) != plain:
        raise SuiteInvalid(
            gettext_noop("{origin}: a text holds NUL or half a character. Remove it."),
            origin=Told(origin),
        )
    return plain


def _complete(entry: dict[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """``entry`` with every field of the canonical form; files by checksum."""
    defaults = {"tags": [], "options": {}, "source": {}, "cluster": ""}
    return {
        "slug": entry["slug"],
        "version": entry.get("version", 1),
        "name": entry["name"],
        "description": entry.get("description", ""),
        "licence": entry.get("licence", ""),
        "tags": entry.get("tags", []),
        "benchmarks": [
            {name: item.get(name, defaults.get(name)) for name in checksums.BENCHMARK}
            | {field: digests.get(item.get(field) or "") for field in FILES}
            for item in entry["benchmarks"]
        ],
    }


def _fits(row: Suite | Benchmark, origin: str) -> None:
    """Raise SuiteInvalid where a field is longer than the database takes, or no slug."""
    texts = {field.name for field in row._meta.fields if isinstance(field, CharField)}
    others = [field.name for field in row._meta.fields if field.name not in texts]
    try:
        row.clean_fields(exclude=others)
    except ValidationError as error:
        for name, said in error.message_dict.items():
            value = str(getattr(row, name))[:80]
            raise SuiteInvalid(
                gettext_noop("{origin}.{name} is {value!r}: {said}"),
                origin=Told(origin), name=name, value=value, said=said[0],
            ) from error  # fmt: skip


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


def _faults(entry: Any) -> Iterator[Told]:
    """What is wrong with the fields of a suite file, in reading order."""
    if not isinstance(entry, dict):
        yield Told(gettext_noop("it is not a mapping of fields."))
        return
    for field in ("slug", "name", "benchmarks"):
        if not entry.get(field):
            yield Told(MISSING, field=field)
    for field in ("slug", "name", "description", "licence"):
        if not isinstance(entry.get(field, ""), str):
            yield Told(NO_TEXT, field=field, value=entry[field])
    version = entry.get("version", 1)
    if type(version) is not int or not 1 <= version <= HIGHEST_VERSION:
        yield Told(
            gettext_noop("version is {value!r}; write a whole number from 1 to {most}."),
            value=version, most=HIGHEST_VERSION,
        )  # fmt: skip
    items = entry.get("benchmarks") or []
    if not _are_tags(entry.get("tags", [])):
        yield Told(NO_TAGS, field="tags", value=entry["tags"])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        yield Told(gettext_noop("benchmarks is not a list of mappings."))
        return
    names = [item.get("name") for item in items]
    for index, item in enumerate(items):
        if names.index(item.get("name")) != index:
            yield Told(
                gettext_noop("{field} {value!r} is there already."),
                field=f"benchmarks[{index}].name", value=item.get("name"),
            )  # fmt: skip
        yield from _faults_of(item, f"benchmarks[{index}]")


def _faults_of(item: dict[str, Any], place: str) -> Iterator[Told]:
    """What is wrong with the fields of one benchmark, which stands at ``place``."""
    for field in ("task", "options"):
        if not isinstance(item.get(field, {}), dict):
            yield Told(gettext_noop("{place} is not a mapping."), place=f"{place}.{field}")
    for field in (*REQUIRED, "task"):
        if not item.get(field):
            yield Told(MISSING, field=f"{place}.{field}")
    for field in REQUIRED:
        if not isinstance(item.get(field, ""), str):
            yield Told(NO_TEXT, field=f"{place}.{field}", value=item[field])
    if not _are_tags(item.get("tags", [])):
        yield Told(NO_TAGS, field=f"{place}.tags", value=item["tags"])
    cluster = item.get("cluster", "")
    if not isinstance(cluster, str) or len(cluster) > LONGEST_FIELD:
        yield Told(
            gettext_noop("{field} is {value!r}; write the name of a field."),
            field=f"{place}.cluster", value=cluster,
        )  # fmt: skip
    yield from provenance.faults(item.get("source", {}), f"{place}.source")
    if item.get("scoring") not in Scoring.values:
        yield Told(
            gettext_noop("{field} is {value!r}; write one of {known}."),
            field=f"{place}.scoring", value=item.get("scoring"), known=", ".join(Scoring.values),
        )  # fmt: skip
    for field in FILES:
        name = item.get(field)
        if field in item and (name == ".." or Path(str(name)).name != name):
            yield Told(
                gettext_noop("{field} must be a file name in the suite's folder."),
                field=f"{place}.{field}",
            )


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
            raise SuiteInvalid(
                gettext_noop("{name}, line {number}: not JSON ({error})."),
                name=name, number=number, error=error,
            ) from error  # fmt: skip
        if not isinstance(row, dict):
            raise SuiteInvalid(
                gettext_noop("{name}, line {number}: a question must be a JSON object."),
                name=name, number=number,
            )  # fmt: skip
        count += 1
    found, _ = QuestionSet.objects.get_or_create(
        sha256=_hash(text), defaults={"count": count, "lines": text}
    )
    return found


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
