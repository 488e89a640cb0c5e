"""Take in what others measured: read, show, keep. It never counts among own results."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from django.db import transaction
from django.utils import timezone

from evals import beside, words
from evals.formats import boards, euroeval, lm_eval_reader
from evals.formats.given import Fault, Result, Unusable, bounded, loads
from evals.models import Benchmark, ExternalResult, Import, ImportedFile
from evals.models.imports import Kind
from portal.accounts import audit
from portal.accounts.models import Project, User

MOST_BYTES = 64 * 1024 * 1024  # of all files of an import
MOST_FILES = 500
MOST_RESULTS = 100_000
SHOWN = 20  # results of a preview
SHOWN_FAULTS = 100
PREVIEW = timedelta(days=1)  # how long files wait to be confirmed
# The arguments of `confirm`, and where an import keeps them.
COLUMN = {"source": "source", "url": "url", "dated": "dated", "columns": "roles"}


class ImportRefused(ValueError):
    """Nothing was taken in; the text says what to put right, ``fields`` where.

    ``fields`` has what was given for each of `confirm`'s arguments that is wrong, or "content".
    ``unusable`` are the first of ``faults`` places of the files that cannot be used.
    """

    def __init__(
        self,
        said: str,
        fields: Mapping[str, Any] | None = None,
        unusable: Sequence[Fault] = (),
        faults: int = 0,
    ) -> None:
        super().__init__(said)
        self.fields = dict(fields or {"content": None})
        self.unusable, self.faults = list(unusable), faults


class KeptAlready(ImportRefused):
    """``known`` holds the same bytes, kept with other facts than those that were given."""

    def __init__(self, known: Import, other: Mapping[str, Any]) -> None:
        stored = ", ".join(f"{name}: {_told(getattr(known, COLUMN[name]))}" for name in other)
        values = {"import": known.pk, "stored": stored, "page": known.get_absolute_url()}
        super().__init__(words.KEPT_ALREADY % values, other)
        self.known = known


class File(NamedTuple):
    name: str
    content: bytes


class Samples(NamedTuple):
    """How many records the samples file of ``task`` has, and how many cannot be used."""

    task: str
    records: int
    faults: int


class Preview(NamedTuple):
    """What a file was understood as. ``table`` is the head of a board, with its roles."""

    results: int
    faults: int
    first: list[Result]
    first_faults: list[Fault]
    models: list[str]
    benchmarks: list[str]
    engines: list[str]
    columns: list[tuple[str, str, list[str]]]
    samples: list[Samples]


@transaction.atomic
def receive(project: Project, files: Iterable[File], *, by: User | None = None) -> Import:
    """``files`` as a preview of ``by``, or the import that holds the same bytes already.

    Of lm-eval one results file with its samples files, or a zip of them; of others one file.
    Raises ImportRefused for files that are empty, too large or do not belong together.
    Previews that nobody confirmed within a day are dropped.
    """
    files, kind, digest = _understood(files)
    mine = Import.objects.in_project(project).filter(sha256=digest)
    if known := mine.confirmed().first() or mine.filter(created_by=by).first():
        return known
    return _stored(project, files, kind, digest, by)


@transaction.atomic
def keep(
    project: Project, files: Iterable[File], *, by: User | None = None, **facts: Any
) -> tuple[Import, bool]:
    """Keep ``files`` without a preview, and whether they are new; ``facts`` as for `confirm`.

    Raises what `receive` and `confirm` raise, and leaves nothing then. Previews that wait for
    somebody stay theirs.
    """
    made = _stored(project, *_understood(files), by)
    kept = confirm(made, by=by, **facts)
    return kept, kept == made


def _understood(files: Iterable[File]) -> tuple[list[File], str, str]:
    """The files without their archive, what they are, and their checksum."""
    found = [member for file in files for member in _members(file)]
    if sum(len(file.content) for file in found) > MOST_BYTES:
        raise ImportRefused(_too_large(found[0].name))
    if not any(file.content.strip() for file in found):
        raise ImportRefused(str(words.FAULTS["empty"]))
    digest = hashlib.sha256(b"\0".join(sorted(file.content for file in found))).hexdigest()
    return found, _kind(found), digest


def _stored(
    project: Project, files: Iterable[File], kind: str, digest: str, by: User | None
) -> Import:
    Import.objects.filter(confirmed_at=None, created_at__lt=timezone.now() - PREVIEW).delete()
    found = Import.objects.create(project=project, kind=kind, sha256=digest, created_by=by)
    ImportedFile.objects.bulk_create(
        ImportedFile(
            source=found,
            name=_name(file.name),
            packed=gzip.compress(file.content, mtime=0),
            size=len(file.content),
        )
        for file in files
    )
    return found


def preview(found: Import, roles: Mapping[str, str] | None = None) -> Preview:
    """What ``found`` holds, with ``roles`` for the columns of a board. Raises ImportRefused."""
    columns: list[tuple[str, str, list[str]]] = []
    if found.kind == Kind.BOARD:
        table = _table(found)
        roles = roles or found.roles or boards.guess(table, first_is_model=True)
        columns = [
            (name, roles.get(name, "ignore"), [cells[at] for _line, cells in table.rows[:3]])
            for at, name in enumerate(table.columns)
        ]
    results: list[Result] = []
    faults: list[Fault] = []
    for item in islice(_read(found, roles or {}), MOST_RESULTS + 1):
        (results if isinstance(item, Result) else faults).append(item)  # type: ignore[arg-type]
    if len(results) + len(faults) > MOST_RESULTS:
        faults.append(Fault(0, "too_many", value=str(MOST_RESULTS)))
    return Preview(
        len(results),
        len(faults),
        results[:SHOWN],
        faults[:SHOWN_FAULTS],
        *([*dict.fromkeys(getattr(r, name) for r in results)] for name in ("model", "benchmark")),
        [*dict.fromkeys(result.engine for result in results if result.engine)],
        columns,
        [_counted(file) for file in found.files.all() if lm_eval_reader.task_of(file.name)],
    )


def samples(
    found: Import, task: str, start: int, count: int
) -> list[lm_eval_reader.Sample | Fault]:
    """Records of the samples file of ``task``, read from the file as it came."""
    for file in found.files.all():
        if lm_eval_reader.task_of(file.name) == task:
            with file.open() as opened:
                return list(islice(lm_eval_reader.samples(bounded(opened)), start, start + count))
    return []


def _counted(file: ImportedFile) -> Samples:
    with file.open() as opened:
        good = [isinstance(each, Fault) for each in lm_eval_reader.samples(bounded(opened))]
    return Samples(lm_eval_reader.task_of(file.name), len(good), sum(good))


def archive(found: Import) -> IO[bytes]:
    """The files as they came, in a zip when they are several."""
    files = list(found.files.all())
    if len(files) == 1:
        return files[0].open()
    made: IO[bytes] = TemporaryFile()  # noqa: SIM115 - the reader closes it
    with ZipFile(made, "w", ZIP_DEFLATED) as into:
        for file in files:
            with file.open() as opened:
                into.writestr(file.name, opened.read())
    made.seek(0)
    return made


@transaction.atomic
def confirm(
    found: Import,
    *,
    source: str = "",
    url: str = "",
    dated: date | None = None,
    roles: Mapping[str, str] | None = None,
    by: User | None = None,
) -> Import:
    """Keep what ``found`` holds; what could not be read is counted. Raises ImportRefused.

    A board needs its source and its date: who says so, and when. Where the project keeps the
    same bytes already, that import is the answer; KeptAlready, where what is given differs.
    """
    # One at a time in a project, so that the same bytes are kept once.
    Project.objects.select_for_update(no_key=True).get(pk=found.project_id)
    found = Import.objects.select_for_update().get(pk=found.pk)
    source = source.strip()
    _check(found, source, dated)
    confirmed = Import.objects.in_project(found.project).confirmed()
    if known := confirmed.filter(sha256=found.sha256).first():
        _compare(known, source=source, url=url, dated=dated, columns=roles)
        if known != found:
            found.delete()
        return known
    if found.kind == Kind.BOARD:
        roles = _chosen(_table(found), roles)
    kept, faults = 0, 0
    unusable: list[Fault] = []
    items = _read(found, roles or {})
    while batch := list(islice(items, 1000)):
        rows = [_row(found, item) for item in batch if isinstance(item, Result)]
        wrong = (item for item in batch if isinstance(item, Fault))
        unusable += islice(wrong, SHOWN_FAULTS - len(unusable))
        ExternalResult.objects.bulk_create(rows)
        kept, faults = kept + len(rows), faults + len(batch) - len(rows)
        if kept > MOST_RESULTS:
            raise ImportRefused(words.fault(Fault(0, "too_many", value=str(MOST_RESULTS))))
    if not kept:
        raise ImportRefused(str(words.NOTHING_FOUND), None, unusable, faults)
    found.source, found.url, found.dated, found.roles = source, url, dated, dict(roles or {})
    entry = audit.record(
        found.project, "result.import", found, by=by, kind=found.kind, results=kept, faults=faults
    )
    found.faults, found.confirmed_at, found.imported_by = (
        faults, timezone.now(), entry.actor_name,
    )  # fmt: skip
    found.save()
    if found.kind == Kind.LM_EVAL:
        beside.judge(found, Benchmark.objects.filter(suite__project=found.project))
    return found


@transaction.atomic
def remove(found: Import, *, by: User | None = None) -> None:
    """Delete files and results of ``found``."""
    if found.confirmed_at:
        audit.record(found.project, "result.remove", found, by=by, kind=found.kind)
    found.delete()


def _check(found: Import, source: str, dated: date | None) -> None:
    """Raise ImportRefused where the source or the date cannot be."""
    given = {"source": source, "dated": dated}
    missing = {name: None for name, value in given.items() if not value}
    if found.kind == Kind.BOARD and missing:
        raise ImportRefused(str(words.SOURCE_NEEDED), missing)
    today = timezone.localdate()
    if dated and dated > today:
        said = words.IN_THE_FUTURE % {"date": dated.isoformat(), "today": today.isoformat()}
        raise ImportRefused(said, {"dated": dated.isoformat()})


def _chosen(table: boards.Table, roles: Mapping[str, str] | None) -> dict[str, str]:
    """``roles``, or what the names of the columns say. Raises ImportRefused.

    Which column the model is, is never guessed here: nobody looks before the rows are kept.
    """
    columns = ", ".join(f"“{name}”" for name in table.columns)
    found = dict(roles or boards.guess(table))
    given = None if roles is None else dict(roles)
    if unknown := next((name for name in found if name not in table.columns), None):
        said = words.NO_SUCH_COLUMN % {"name": unknown, "columns": columns}
        raise ImportRefused(said, {"columns": given})
    if "model" not in found.values():
        raise ImportRefused(words.NO_MODEL_COLUMN % {"columns": columns}, {"columns": given})
    if wrong := boards.faults_of(found, table.columns):
        said = " ".join(words.fault(each) for each in wrong)
        raise ImportRefused(said, {"columns": given})
    return found


def _compare(known: Import, **given: Any) -> None:
    """Raise KeptAlready where something given is not what ``known`` has; nothing given agrees."""
    other = {
        name: value
        for name, value in given.items()
        if value and _plain(value) != _plain(getattr(known, COLUMN[name]))
    }
    if other:
        raise KeptAlready(known, other)


def _plain(value: Any) -> Any:
    """Roles without the columns that are not needed: to leave one out says the same."""
    if isinstance(value, Mapping):
        return {name: role for name, role in value.items() if role != "ignore"}
    return value


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {role}" for name, role in _plain(value).items()) or "–"
    return str(value or "–")


def _members(file: File) -> Iterator[File]:
    """``file``, or what is in it when it is a zip; names lead nowhere, for nothing is unpacked."""
    if len(file.content) > MOST_BYTES:
        raise ImportRefused(_too_large(file.name))
    if not file.content.startswith(b"PK\x03\x04"):
        yield file
        return
    left = MOST_BYTES
    try:
        with ZipFile(io.BytesIO(file.content)) as packed:
            for info in packed.infolist()[:MOST_FILES]:
                if info.is_dir():
                    continue
                with packed.open(info) as opened:
                    content = opened.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise ImportRefused(_too_large(file.name))
                yield File(info.filename, content)
    except (
        BadZipFile,
        OSError,
        RuntimeError,
        NotImplementedError,
        ValueError,
        zlib.error,
    ) as error:
        if isinstance(error, ImportRefused):
            raise
        raise ImportRefused(words.NO_ARCHIVE % {"name": _name(file.name)}) from error


def _too_large(name: str) -> str:
    return words.TOO_LARGE % {"name": _name(name), "size": MOST_BYTES >> 20}


def _kind(files: Sequence[File]) -> str:
    """JSON lines start with a brace, unless all is one JSON; anything else is a table."""
    samples = [file for file in files if lm_eval_reader.task_of(_name(file.name))]
    others = [file for file in files if file not in samples]
    if len(others) == 1 and beside.results(others[0].content) is not None:
        return Kind.LM_EVAL
    for file in others:
        _check_results(file)
    if samples or len(files) > 1:
        raise ImportRefused(str(words.SEVERAL))
    content = files[0].content
    return Kind.EUROEVAL if content.lstrip(b"\xef\xbb\xbf\r\n\t ")[:1] == b"{" else Kind.BOARD


def _check_results(file: File) -> None:
    """Raise ImportRefused for a broken file of lm-eval, unless EuroEval's reader can use it."""
    name = _name(file.name)
    if not (name.startswith("results_") and name.endswith(".json")):
        return
    if any(isinstance(each, Result) for each in euroeval.read(bounded(io.BytesIO(file.content)))):
        return
    try:
        loads(file.content)
        why = str(words.NO_RESULTS)
    except Unusable as error:
        why = words.fault(error.at(0))
    raise ImportRefused(words.LIKE_LM_EVAL % {"name": name, "why": why})


def _read(found: Import, roles: Mapping[str, str]) -> Iterator[Result | Fault]:
    if found.kind == Kind.LM_EVAL:
        yield from lm_eval_reader.totals(beside.results_of(found))
        return
    if found.kind == Kind.EUROEVAL:
        with found.files.get().open() as file:
            yield from euroeval.read(bounded(file))
        return
    table = _table(found)
    if wrong := boards.faults_of(roles, table.columns):
        yield from wrong
    else:
        yield from boards.read(table, roles)


def _table(found: Import) -> boards.Table:
    with found.files.get().open() as file:
        content = file.read()
    try:
        return boards.table(content, MOST_RESULTS)
    except Unusable as error:
        raise ImportRefused(words.fault(error.at(1))) from error


def _row(found: Import, result: Result) -> ExternalResult:
    return ExternalResult(source=found, **vars(result))


def _name(name: str) -> str:
    """The last part of a file's name, without signs that no page shows."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(sign for sign in last if sign.isprintable())[:200] or "file"
