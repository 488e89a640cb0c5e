"""Make a database with one suite and start its run, in a process of its own."""

from __future__ import annotations

import argparse
import os

import django


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--scoring", choices=("options", "letter"), required=True)
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    given = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    django.setup()

    from django.core.management import call_command

    from evals import runs
    from evals.models import Endpoint
    from portal.accounts.models import Project
    from tests.benchmarks.client_portal import INSTANT
    from tests.benchmarks.questions import entry
    from tests.evals.making import make_candidate, make_suite

    call_command("migrate", verbosity=0)
    project = Project.objects.create(name="Scale")
    suite = make_suite(project, entry(given.scoring, given.documents, seed=4))
    candidate = make_candidate(project, "Scale", given.url, concurrency=given.concurrency)
    Endpoint.objects.filter(candidate=candidate).update(served_model=INSTANT)
    candidate.refresh_from_db()
    runs.start(candidate, suite)


if __name__ == "__main__":
    main()
