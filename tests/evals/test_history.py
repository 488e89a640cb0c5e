"""How a model has done over time, and what its checks found."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from evals import candidates, history
from evals.models import Candidate, Probe, Suite
from evals.stats.bootstrap import macro_mean
from evals.stats.intervals import mean_of, wilson
from portal.accounts.models import Project
from tests.evals.making import answer, choice, make_candidate, make_probe, make_run, make_suite

HALF = [1.0, 0.0] * 10


@pytest.fixture
def suite(project: Project) -> Suite:
    return make_suite(project, choice(), answer())


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return make_candidate(project, "Alder")


def move(candidate: Candidate, served_model: str) -> None:
    endpoint = candidate.endpoint
    candidates.change_endpoint(
        endpoint, base_url=endpoint.base_url, served_model=served_model, concurrency=4
    )
    endpoint.probes.filter(state="queued").delete()


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), min_size=1, max_size=9))
def test_a_mean_of_intervals_holds_its_estimate(counts: list[tuple[int, int]]) -> None:
    found = mean_of([wilson(right, right + wrong + 1) for right, wrong in counts])
    assert found.low <= found.value <= found.high
    assert found.n == sum(right + wrong + 1 for right, wrong in counts)
    narrower = mean_of([wilson(right, right + wrong + 1) for right, wrong in counts * 4])
    assert narrower.high - narrower.low <= found.high - found.low + 1e-12


@settings(max_examples=20)
@given(st.lists(st.floats(0.2, 0.8), min_size=2, max_size=6))
def test_it_agrees_with_the_bootstrap(shares: list[float]) -> None:
    groups = [np.array([1.0] * round(200 * s) + [0.0] * (200 - round(200 * s))) for s in shares]
    quick = mean_of([wilson(int(group.sum()), 200) for group in groups])
    slow = macro_mean(groups)
    assert quick.value == pytest.approx(slow.value)
    assert quick.low == pytest.approx(slow.low, abs=0.012)
    assert quick.high == pytest.approx(slow.high, abs=0.012)


@pytest.mark.django_db
def test_results_are_told_from_the_oldest_on(candidate: Candidate, suite: Suite) -> None:
    first = make_run(candidate, suite, {"colours": HALF, "words": [1.0] * 20})
    make_run(candidate, suite, {"colours": [None] * 20, "words": HALF})  # not valid
    move(candidate, "another")
    make_probe(candidate.endpoint)
    second = make_run(candidate, suite, {"colours": HALF, "words": HALF})
    found = history.results(candidate)
    assert [(result.run, result.mean.value) for result in found] == [(first, 0.75), (second, 0.5)]
    assert found[0].series == found[1].series
    assert history.means([first, second]) == {r.run.pk: r.mean for r in found}


@pytest.mark.django_db
def test_a_check_tells_what_changed_since_the_one_before(candidate: Candidate) -> None:
    move(candidate, "another")
    Probe.objects.create(endpoint=candidate.endpoint, endpoint_revision=2, state="failed")
    make_probe(candidate.endpoint, ("chat",))
    newest, failed, oldest = history.checks(candidate.endpoint)
    assert oldest.first and not oldest.changes and not failed.changes
    assert newest.changes == [("revision", 1, 2), ("echo_logprobs", True, False)]


@pytest.mark.django_db
def test_the_page_shows_history_checks_and_prices(
    candidate: Candidate, suite: Suite, as_erik: Client
) -> None:
    make_run(candidate, suite, {"colours": HALF, "words": [1.0] * 20})
    assert 'class="chart timeline"' not in as_erik.get(candidate.get_absolute_url()).text
    move(candidate, "another")
    make_probe(candidate.endpoint, ("chat", "loglikelihood"))
    make_run(candidate, suite, {"colours": HALF, "words": HALF})
    text = as_erik.get(candidate.get_absolute_url()).text
    assert 'class="chart timeline"' in text and "revision 2" in text
    assert "Endpoint revision: 1 → 2" in text and "first check" in text
    assert text.index("endpoint revision 2") < text.index("endpoint revision 1")  # newest first
    assert "No price is set" in text


@pytest.mark.django_db
def test_the_page_costs_the_same_however_long_the_history(
    candidate: Candidate, suite: Suite, as_erik: Client
) -> None:
    def cost() -> int:
        as_erik.get(candidate.get_absolute_url())
        with CaptureQueriesContext(connection) as counted:
            assert as_erik.get(candidate.get_absolute_url()).status_code == 200
        return len(counted)

    make_run(candidate, suite, {"colours": HALF, "words": HALF})
    few = cost()
    for _ in range(5):
        make_run(candidate, suite, {"colours": HALF, "words": HALF})
        make_probe(candidate.endpoint)
    assert cost() == few <= 20
