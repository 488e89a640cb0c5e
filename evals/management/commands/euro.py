"""``manage.py euro``: list the European task set, and install a suite of it with its rows."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evals import european, hub, suites
from evals.euro.tasks import PRESETS, WORDINGS
from evals.euro.write import everything
from evals.management.commands.evaluate import chosen, ready


class Command(BaseCommand):
    help = "List the European tasks, or install some as a suite, with questions from the hub."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        show = verbs.add_parser("list", help="tell what there is; loads no data")
        take = verbs.add_parser("install", help="load the questions and make a suite")
        for each in (show, take):
            each.add_argument("--language", nargs="+", default=[], metavar="CODE")
            each.add_argument("--family", nargs="+", default=[])
            each.add_argument("--wording", choices=WORDINGS, default="")
        take.add_argument("--preset", choices=PRESETS, default="open-llm-v1", help="the shots")
        take.add_argument("--slug", default="", help="euro and the languages if left out")
        take.add_argument("--version", dest="number", type=int, default=1)
        take.add_argument(
            "--mirror", type=Path, help="folder of data sets as owner/name, laid out as on the hub"
        )
        take.add_argument("--project", help="name; not needed where there is one")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        getattr(self, f"_{verb}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        for task in everything():
            wanted = [
                not options["language"] or task.language in options["language"],
                not options["family"] or task.family.name in options["family"],
                options["wording"] in ("", task.wording),
            ]
            if all(wanted):
                self.stdout.write(f"{task.name}  {task.metric}  {task.repo}")

    def _install(self, options: dict[str, Any]) -> None:
        ready()
        languages, wording = options["language"], options["wording"]
        if not languages:
            raise CommandError("Name at least one language, such as --language de.")
        try:
            suite = european.install(
                chosen(options["project"]),
                options["slug"] or european.default_slug(languages, wording, options["preset"]),
                european.select(languages, options["family"], wording),
                version=options["number"],
                preset=options["preset"],
                mirror=options["mirror"],
                report=self.stdout.write,
            )
        except (european.Unknown, hub.OutOfReach, suites.SuiteInvalid) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{suite}: {suite.benchmarks.count()} benchmarks, slug {suite.slug}")
        self.stdout.write(f"Checksum: {suite.sha256}")
