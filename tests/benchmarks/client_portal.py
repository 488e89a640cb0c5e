"""One run of the portal as a worker does it, in a process of its own; prints its cost as JSON.

Samples are stored in a new SQLite database below ``PORTAL_DATA_DIR``.
"""

from __future__ import annotations

import argparse
import json
import os

import django

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

    from django.core.management import call_command

    from evals import candidates, runs
    from evals.models import Candidate, Endpoint, Part, Probe, Sample
    from portal.accounts.models import Project
    from tests.benchmarks.cost import metered, peak_mb
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
    run = runs.start(candidate, suite)
    # The time of imports is not the run's.
    import datasets  # noqa: F401
    import lm_eval.api.task  # noqa: F401

    with metered() as spent:
        (pk,) = run.parts.values_list("pk", flat=True)
        progress = jobs.claim(Part, pk)
        assert progress is not None
        jobs.perform(progress, runs.execute)
    part = Part.objects.get(pk=pk)
    stored = Sample.objects.filter(part=part).answered().count()
    assert stored == given.documents, (stored, part.state, part.message)
    accuracy = part.scores.get(metric="acc").value
    print(json.dumps({**spent, "peak_mb": peak_mb(), "acc": accuracy}))


if __name__ == "__main__":
    main()
