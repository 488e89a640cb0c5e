"""``manage.py bench``: what the portal itself costs, measured on this machine."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = (
        "Measure what the portal's client adds to a model's own time, beside lm-eval's own "
        "client. The last line is one JSON object; docs/testing.md explains its fields."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["client"])
        parser.add_argument("--quick", action="store_true", help="few documents, once")

    def handle(self, *args: Any, **options: Any) -> None:
        from tests.benchmarks import client

        size = client.QUICK if options["quick"] else client.Size()
        try:
            found = client.measure(size, self.stderr.write)
        except client.Unavailable as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(found))
