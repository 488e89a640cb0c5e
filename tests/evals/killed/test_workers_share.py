"""Four workers on one run, one of which is killed, by ``tests.benchmarks.workers``."""

from __future__ import annotations

import pytest

from tests.benchmarks import workers
from tests.services import Missing

pytestmark = pytest.mark.services


def test_workers_keep_the_limit_together_and_use_the_places_of_one_that_was_killed() -> None:
    size = workers.Size(samples=70, limit=4)
    try:
        with workers.scene(size) as scene:
            for _ in range(workers.WORKERS):
                scene.worker(1)
            scene.over(scene.begin(0.0))
            seconds = scene.killed()
    except Missing as reason:
        pytest.skip(str(reason))
    assert scene.most <= size.limit
    assert seconds is not None
