"""Write the whole database into one file, and read such a file into an empty database.

The file is a zip: one JSON Lines file a table and a manifest with row counts, checksums and
the state of the migrations. It does not depend on the kind of database, so a laptop's SQLite
can be restored into a team's PostgreSQL, and an older version's backup into a newer portal:
rows are read into the tables as they were then, and migrated afterwards.

Not in it: sessions, counters of failed sign-ins, uploaded data packs that wait for a decision,
and the keys that stored secrets are encrypted with.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from django.apps import apps as present_apps
from django.apps.registry import Apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from portal import secrets

FORMAT = 1
CANARY = "pruefstand"
MANIFEST = "manifest.json"
LEFT_OUT = {"sessions.session", "evals.waitingpack"}
APPS_LEFT_OUT = {"axes"}
ROWS_AT_ONCE = 500
Report = Callable[[str], None]


class BackupError(Exception):
    """The file cannot be written or used; the text says why and what to do."""


class Summary(NamedTuple):
    tables: int
    rows: int


def write(path: Path, report: Report = lambda line: None) -> Summary:
    """Everything at one moment into ``path``, which must not exist; work goes on meanwhile."""
    if path.exists():
        raise BackupError(f"{path} exists already. Choose another name.")
    draft = path.with_name(f".{path.name}.part")
    try:
        with (
            zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as file,
            _snapshot(),
        ):
            tables = {}
            for model in _tables(present_apps):
                tables[model._meta.label_lower] = _write_table(file, model)
                report(f"{model._meta.label_lower}: {tables[model._meta.label_lower]['rows']} rows")
            manifest = {
                "format": FORMAT,
                "written_at": timezone.now().isoformat(),
                "migrations": sorted(MigrationRecorder(connection).applied_migrations()),
                "canary": secrets.encrypt(CANARY),
                "tables": tables,
            }
            file.writestr(MANIFEST, json.dumps(manifest, indent=1))
        with open(draft, "rb") as written:
            os.fsync(written.fileno())
        draft.chmod(0o600)
        draft.rename(path)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return Summary(len(tables), sum(table["rows"] for table in tables.values()))


def restore(
    path: Path,
    *,
    replace: bool = False,
    forget_keys: bool = False,
    report: Report = lambda line: None,
) -> Summary:
    """Read ``path`` into this installation's database and bring it up to date.

    Everything is checked before anything is written. A database that holds people is only
    overwritten with ``replace``. Where the encryption keys of the backup are not among the
    present ones, stored endpoint keys could not be read: BackupError unless ``forget_keys``.
    """
    try:
        file = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise BackupError(f"{path} is not a backup that can be read: {error}.") from error
    with file:
        manifest = _manifest(file, path)
        _check_rows(file, manifest)
        targets = _migrations(manifest)
        if not forget_keys:
            _check_keys(manifest)
        tables = set(connection.introspection.table_names())
        if _holds_people(tables) and not replace:
            raise BackupError(
                "The database holds people already. Restore into an empty one, "
                "or add --replace to overwrite everything in it."
            )
        _drop(tables)
        report("Making the tables as they were")
        then = _migrate_to(targets)
        rows = 0
        with transaction.atomic():
            # The migrations have put in rows of their own, such as kinds of content.
            _empty(then)
            for model in _tables(then):
                name = model._meta.label_lower
                if name in manifest["tables"]:
                    count = _read_table(file, model)
                    report(f"{name}: {count} rows")
                    rows += count
            with connection.cursor() as cursor:
                for statement in connection.ops.sequence_reset_sql(no_style(), list(_tables(then))):
                    cursor.execute(statement)
        call_command("migrate", interactive=False, verbosity=0)
    return Summary(len(manifest["tables"]), rows)


@contextmanager
def _snapshot() -> Iterator[None]:
    """All reads inside see the same moment, and nobody who writes has to wait."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
        return
    if connection.in_atomic_block:
        yield
        return
    # Not atomic(): that takes SQLite's only write lock for as long as the backup lasts.
    with connection.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def _tables(apps: Apps) -> Iterator[type[models.Model]]:
    """The tables to keep, also those of many-to-many fields."""
    for model in apps.get_models(include_auto_created=True):
        meta = model._meta
        if not meta.managed or meta.proxy or meta.app_label in APPS_LEFT_OUT:
            continue
        if meta.label_lower not in LEFT_OUT:
            yield model


def _write_table(file: zipfile.ZipFile, model: type[models.Model]) -> dict[str, Any]:
    names = [field.attname for field in model._meta.concrete_fields]
    digest, count = hashlib.sha256(), 0
    found = model._base_manager.order_by("pk").values_list(*names)
    size = _batch(model._meta.concrete_fields)
    with file.open(f"{model._meta.label_lower}.jsonl", "w", force_zip64=True) as out:
        for row in found.iterator(chunk_size=size):
            values = dict(zip(names, row, strict=True))
            line = json.dumps(values, cls=_Exact, ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            out.write(line)
            count += 1
    return {"rows": count, "sha256": digest.hexdigest()}


class _Exact(DjangoJSONEncoder):
    """Moments with all their digits (Django's own encoder cuts at milliseconds), bytes as base64.

    ``BinaryField.to_python`` reads base64.
    """

    def default(self, o: Any) -> Any:
        if isinstance(o, bytes | memoryview):
            return b64encode(o).decode()
        return o.isoformat() if hasattr(o, "isoformat") else super().default(o)


def _lines(file: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with file.open(f"{name}.jsonl") as lines:
        yield from lines


def _manifest(file: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read(MANIFEST))
        found = manifest["format"]
    except (KeyError, ValueError) as error:
        raise BackupError(f"{path} holds no manifest of a backup.") from error
    if found != FORMAT:
        raise BackupError(f"{path} has format {found}; this version reads {FORMAT}.")
    return manifest


def _check_rows(file: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
    for name, expected in manifest["tables"].items():
        digest, count = hashlib.sha256(), 0
        try:
            for line in _lines(file, name):
                digest.update(line)
                count += 1
        except (KeyError, zipfile.BadZipFile) as error:
            raise BackupError(f"The backup is damaged: {name} cannot be read.") from error
        if (count, digest.hexdigest()) != (expected["rows"], expected["sha256"]):
            raise BackupError(f"The backup is damaged: {name} is not what was written.")


def _check_keys(manifest: dict[str, Any]) -> None:
    try:
        secrets.decrypt(manifest["canary"])
    except secrets.SecretUnreadable:
        raise BackupError(
            "The backup was made with other PORTAL_ENCRYPTION_KEYS, so stored endpoint keys could "
            "not be read. Set the keys of that time, or add --forget-keys and enter them anew."
        ) from None


def _holds_people(tables: set[str]) -> bool:
    user = present_apps.get_model("accounts.User")
    return user._meta.db_table in tables and user._base_manager.exists()


def _drop(tables: Iterable[str]) -> None:
    """Drop every table of the database: only an empty one can take older migrations."""
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        cascade = " CASCADE" if connection.vendor == "postgresql" else ""
        for table in tables:
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)}{cascade}")


def _migrations(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """The last migration of each app that the backup's database had; BackupError if unknown."""
    graph = MigrationExecutor(connection).loader.graph
    applied = [(app, name) for app, name in manifest["migrations"]]
    if unknown := [".".join(pair) for pair in applied if _ours(pair) and pair not in graph.nodes]:
        raise BackupError(
            f"The backup comes from a newer version: {unknown[0]} is not known here. Upgrade first."
        )
    known = [pair for pair in applied if pair in graph.nodes]
    before = {
        earlier
        for pair in known
        for earlier in graph.forwards_plan(pair)[:-1]
        if earlier[0] == pair[0]
    }
    return [pair for pair in known if pair not in before]


def _migrate_to(targets: list[tuple[str, str]]) -> Apps:
    """Bring an empty database to ``targets``; the models of that time."""
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return executor.loader.project_state(targets).apps


def _ours(pair: tuple[str, str]) -> bool:
    return pair[0] in {config.label for config in present_apps.get_app_configs()}


def _empty(apps: Apps) -> None:
    with connection.cursor() as cursor:
        for model in _tables(apps):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")


def _read_table(file: zipfile.ZipFile, model: type[models.Model]) -> int:
    fields = model._meta.concrete_fields
    count = 0
    lines = _lines(file, model._meta.label_lower)
    while rows := [json.loads(line) for line in islice(lines, _batch(fields))]:
        made = [model(**{f.attname: _value(f, row) for f in fields}) for row in rows]
        # As Django's own fixtures do: raw, or dates of creation would become today's.
        model._base_manager.all()._insert(made, fields=fields, raw=True, using=connection.alias)
        count += len(made)
    return count


def _value(field: models.Field[Any, Any], row: dict[str, Any]) -> Any:
    value = row.get(field.attname)
    if isinstance(field, models.JSONField):
        return value
    return field.to_python(value)


def _batch(fields: Iterable[models.Field[Any, Any]]) -> int:
    """Rows at once: SQLite takes a limited number of values, and memory few whole files."""
    fields = list(fields)
    if any(isinstance(field, models.BinaryField) for field in fields):
        return 1
    return max(1, min(ROWS_AT_ONCE, 30_000 // len(fields)))
