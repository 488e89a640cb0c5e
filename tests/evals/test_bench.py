"""The measurement of the client's cost measures both sides on the same work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import client, scale
from tests.benchmarks.cost import apart


def test_both_clients_ask_the_instant_server_and_find_the_same(tmp_path: Path) -> None:
    try:
        client.python()
    except client.Unavailable as missing:
        pytest.skip(str(missing))
    with client.instant(tmp_path) as bench:
        theirs, their_requests = bench.lm_eval(12), bench.requests()
        ours, our_requests = bench.portal(12), bench.requests() - their_requests
        letters, letter_requests = (
            bench.portal(12, scoring="letter"),
            bench.requests() - their_requests - our_requests,
        )
    assert ours["acc"] == theirs["acc"]
    assert their_requests == 12 * client.OPTIONS
    assert our_requests == letter_requests == 12
    assert all(cost["cpu_s"] > 0 and cost["peak_mb"] > 0 for cost in (theirs, ours, letters))


@pytest.mark.services
def test_a_run_of_any_size_is_measured_with_all_its_samples_stored(tmp_path: Path) -> None:
    try:
        client.python()
    except client.Unavailable as missing:
        pytest.skip(str(missing))
    with client.instant(tmp_path) as bench:
        found = scale.measure(bench.server, "options", 12)
        assert bench.requests() == 12
    assert (found["stored"], found["attempts"]) == (12, 0)
    assert found["peak_mb"] > 100 and found["samples_per_second"] > 0


def test_the_figures_are_medians_per_option_and_per_document() -> None:
    costs = {
        "lm_eval": [{"cpu_s": s, "client_cpu_s": s / 2} for s in (2.0, 4.0, 90.0)],
        "lm_eval_list": [{"cpu_s": 2.0}],
        "portal": [{"cpu_s": 1.0}],
        "portal_letter": [{"cpu_s": 0.5}],
    }
    asked = {"lm_eval": 400, "lm_eval_list": 7, "portal": 100, "portal_letter": 100}
    memory = {"lm_eval": 600.0, "lm_eval_list": 500.0, "portal": 300.0}
    found = client.figures(client.Size(documents=100), costs, asked, memory)
    assert found["cpu_per_request_ratio"] == 0.25
    assert found["cpu_per_request_ratio_to_lists"] == 0.5
    assert found["cpu_per_request_ratio_to_requests_alone"] == 0.5
    assert found["letter_requests_ratio"] == 0.25
    assert found["letter_cpu_per_document_ratio"] == 0.125
    assert found["peak_memory_ratio"] == 0.5
    assert found["lm_eval_cpu_ms_per_option"] == 10.0
    assert found["portal_letter_cpu_ms_per_document"] == 5.0


PEAK = """
from tests.benchmarks.cost import apart, peak_mb
before = peak_mb()
apart(lambda: b"1" * (200 * 2**20))
assert peak_mb() < before + 20, (before, peak_mb())
held = b"1" * (200 * 2**20)
assert peak_mb() > before + 190, (before, peak_mb())
"""


def test_memory_is_that_of_what_is_measured_not_of_what_came_before() -> None:
    held = b"1" * (400 * 2**20)  # as big as a parent may be; getrusage would count it
    done = subprocess.run([sys.executable, "-c", PEAK], cwd=client.ROOT, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
    del held


def test_what_cannot_be_prepared_is_not_measured() -> None:
    with pytest.raises(SystemExit, match="failed"):
        apart(lambda: 1 / 0)
