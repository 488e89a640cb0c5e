"""The quick rows of ``tests.benchmarks.faults``."""

from __future__ import annotations

import pytest

from tests.benchmarks import faults
from tests.services import Missing

pytestmark = pytest.mark.services


def test_it_loses_nothing_when_answers_fail_or_are_cut_or_the_broker_is_killed() -> None:
    try:
        with faults.scene() as scene:
            undisturbed = scene.undisturbed()
            rows = [
                faults.measure(scene, name, undisturbed) for name in ("errors", "cut", "broker")
            ]
    except Missing as reason:
        pytest.skip(str(reason))
    for row in rows:
        assert (row["lost"], row["duplicates"], row["scores_equal"]) == (0, 0, True), row
