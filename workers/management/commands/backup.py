"""``manage.py backup FILE``: the whole database in one file, while work goes on."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import backup


class Command(BaseCommand):
    help = "Write everything into one file. It does not hold PORTAL_ENCRYPTION_KEYS: keep those."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, verbosity: int, **options: Any) -> None:
        report = self.stdout.write if verbosity > 1 else (lambda line: None)
        try:
            found = backup.write(file, report)
        except backup.BackupError as error:
            raise CommandError(str(error)) from None
        megabytes = file.stat().st_size / 1e6
        self.stdout.write(
            f"{file}: {found.rows:,} rows of {found.tables} tables, {megabytes:.1f} MB. "
            "Keep PORTAL_ENCRYPTION_KEYS (or keys/ of the data folder) in another place."
        )
