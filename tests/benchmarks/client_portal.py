"""One run of the portal as a worker does it, in a process of its own; prints its cost as JSON.

Samples are stored in a new SQLite database below ``PORTAL_DATA_DIR``.
"""

from __future__ import annotations

import argparse
import json
import os

import django

from tests.benchmarks.cost import apart, metered, peak_mb

INSTANT = "instant"  # the model of the server that answers at once


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--scoring", choices=("options", "letter"), required=True)
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=64)
    given = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    django.setup()

    from evals import runs
    from evals.models import Part, Sample
    from workers import jobs

    apart(lambda: prepare(given))
    # The time of imports is not the run's.
    import datasets  # noqa: F401
    import lm_eval.api.task  # noqa: F401

    with metered() as spent:
        part = Part.objects.get()
        progress = jobs.claim(Part, part.pk)
        assert progress is not None
        jobs.perform(progress, runs.execute)
    part.refresh_from_db()
    stored = Sample.objects.filter(part=part).answered().count()
    assert stored == given.documents, (stored, part.state, part.message)
    accuracy = part.scores.get(metric="acc").value
    print(json.dumps({**spent, "peak_mb": peak_mb(), "acc": accuracy}))


def prepare(given: argparse.Namespace) -> None:
    """A database with the run in it."""
    from django.core.management import call_command

    from evals import candidates, runs
    from evals.models import Candidate, Endpoint, Probe
    from portal.accounts.models import Project
    from tests.benchmarks.questions import entry
    from tests.evals.making import make_candidate, make_suite
    from workers import jobs

    call_command("migrate", verbosity=0)
    project, _ = Project.objects.get_or_create(name="Bench")
    suite = make_suite(project, entry(given.scoring, given.documents, given.seed))
    candidate: Candidate = make_candidate(project, "Bench", given.url)
    Endpoint.objects.filter(candidate=candidate).update(
        served_model=given.model, concurrency=given.concurrency
    )
    candidate = Candidate.objects.get(pk=candidate.pk)
    if given.model != INSTANT:  # a real server is checked before, not within what is measured
        probe = candidates.check(candidate.endpoint)
        held = jobs.claim(Probe, probe.pk)
        assert held is not None
        jobs.perform(held, candidates.run_check)
        candidate = Candidate.objects.get(pk=candidate.pk)
    runs.start(candidate, suite)


if __name__ == "__main__":
    main()
