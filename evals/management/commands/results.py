"""``manage.py results import FILE…``: take in what others measured, from a shell."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evals import imports, words
from evals.models import Import
from portal.accounts.models import Project
from portal.accounts.people import default_project


class Command(BaseCommand):
    help = "Import one result: lm-eval (results and samples files), EuroEval, or a board as CSV."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=["import"])
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--project", help="name; not needed where there is one")
        parser.add_argument("--source", default="", help="who says so; a board needs it")
        parser.add_argument("--url", default="", help="where it stands, kept as text")
        parser.add_argument("--date", type=date.fromisoformat, help="of the results, YYYY-MM-DD")
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="NAME=ROLE",
            help="what a column of a board is; guessed without it",
        )
        parser.add_argument("--look", action="store_true", help="say what is in it, keep nothing")

    def handle(self, *args: Any, files: list[Path], look: bool, **options: Any) -> None:
        project = self._project(options["project"])
        roles = dict(each.rpartition("=")[::2] for each in options["column"]) or None
        source, url, dated = (options[name] for name in ("source", "url", "date"))
        path = files[0]
        given = [imports.File(each.name, _content(each)) for each in files]
        try:
            found = imports.receive(project, given)
            self._tell(path, found, roles)
            if look and not found.confirmed_at:
                imports.remove(found)
            elif not look:
                imports.confirm(found, source=source, url=url, dated=dated, roles=roles)
                self.stdout.write(f"{path.name}: kept as {found.get_absolute_url()}")
        except imports.ImportRefused as error:
            raise CommandError(f"{path.name}: {error}") from error

    def _tell(self, path: Path, found: Import, roles: dict[str, str] | None) -> None:
        seen = imports.preview(found, roles)
        for fault in seen.first_faults:
            self.stderr.write(f"{path.name}, line {fault.line}: {words.fault(fault)}")
        self.stdout.write(
            f"{path.name}: {found.get_kind_display()}, {seen.results} results of "
            f"{len(seen.models)} models on {len(seen.benchmarks)} benchmarks, "
            f"{seen.faults} places not usable"
        )

    def _project(self, name: str | None) -> Project:
        if not name:
            return default_project()
        if found := Project.objects.filter(name=name).first():
            return found
        raise CommandError(f"There is no project {name!r}.")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(imports.MOST_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
