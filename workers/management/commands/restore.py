"""``manage.py restore FILE``: a backup into this installation's database."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import backup


class Command(BaseCommand):
    help = "Read a backup into the database; stop web, worker and beat before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--replace", action="store_true", help="overwrite a database that is in use"
        )
        parser.add_argument(
            "--forget-keys",
            action="store_true",
            help="go on where the encryption keys of the backup are lost: endpoint keys are, too",
        )

    def handle(
        self, *args: Any, file: Path, replace: bool, forget_keys: bool, verbosity: int, **_: Any
    ) -> None:
        report = self.stdout.write if verbosity > 1 else (lambda line: None)
        try:
            found = backup.restore(file, replace=replace, forget_keys=forget_keys, report=report)
        except backup.BackupError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"Restored {found.rows:,} rows of {found.tables} tables. Everybody signs in anew."
        )
