"""Who owns a job, on the databases that decide it."""

from __future__ import annotations

import pytest

from tests.workers.installation import Installation

pytestmark = pytest.mark.services


def test_it_gives_each_job_to_exactly_one_of_many_racers(installation: Installation) -> None:
    pks = [installation.do("enqueue") for _ in range(25)]
    assert installation.do("race", pks=pks, racers=8) == [1] * 25


def test_it_gives_an_expired_lease_to_exactly_one_racer(installation: Installation) -> None:
    pks = [installation.do("enqueue") for _ in range(10)]
    installation.do("race", pks=pks, racers=1)
    assert installation.do("race", pks=pks, racers=4) == [0] * 10  # held, and not expired
    installation.do("expire", pks=pks)
    assert installation.do("race", pks=pks, racers=8) == [1] * 10
    assert installation.do("look", pk=pks[0])["attempts"] == 1


def test_it_blocks_a_claim_until_fenced_results_are_committed(installation: Installation) -> None:
    pk = installation.do("enqueue")
    outcome = installation.do("fence_against_claim", pk=pk)
    assert outcome == {"claimed": False, "stored": True}


def test_it_stores_nothing_once_the_lease_is_lost(installation: Installation) -> None:
    pk = installation.do("enqueue")
    assert installation.do("write_without_lease", pk=pk) == "LeaseLost"
    assert installation.do("stops", pk=pk) == []
