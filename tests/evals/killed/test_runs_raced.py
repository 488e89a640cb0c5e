"""Several people who start the same run at the same moment."""

from __future__ import annotations

import pytest

from tests.evals.killed.installation import Measuring

pytestmark = pytest.mark.services


def test_it_is_one_run_when_many_start_it_at_once(installation: Measuring) -> None:
    found = installation.do("race", name="disturbed", racers=6)
    assert len(found) == 6
    assert len(set(found)) == 1 and isinstance(found[0], int)
