"""What a run will take, told before it starts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from evals import candidates, runs
from evals.estimates import Earlier, Pace, Plan, estimate
from evals.forecasts import forecast, outline, planned
from evals.models import Candidate, Part, Run, Suite
from portal.accounts.models import Project
from tests.evals.making import (
    answer,
    answer_rows,
    carry_out,
    choice,
    choice_rows,
    make_candidate,
    make_suite,
)
from tests.evals.stub_server import StubServer
from workers.models import JobState

plans = st.builds(
    Plan,
    questions=st.integers(1, 5000),
    prompts=st.integers(1, 8),
    characters=st.integers(0, 10**7),
    language=st.sampled_from(["en", "de"]),
    longest_answer=st.integers(0, 512),
    earlier=st.one_of(
        st.none(),
        st.builds(Earlier, st.integers(1, 5000), st.integers(0, 10**6), st.integers(0, 10**6)),
    ),
)


def test_characters_are_counted_for_each_choice() -> None:
    english = Plan(10, 4, 4000, "en", 0)
    found = estimate([english, Plan(10, 1, 3000, "de", 20)])
    assert (found.questions, found.requests) == (20, 50)
    assert (found.prompt_tokens, found.answer_tokens) == (4000 + 1000, 200)
    assert found.guessed and found.seconds is None and found.cost.reason == "no_price"
    assert estimate([english], batched=True).requests == 10


def test_earlier_counts_win_over_characters() -> None:
    found = estimate([Plan(100, 4, 10**6, "en", 0, Earlier(50, 5000, 100))])
    assert (found.prompt_tokens, found.answer_tokens, found.guessed) == (10_000, 200, False)


@given(st.lists(plans, max_size=6), st.floats(0, 1))
def test_what_is_left_is_never_more_than_the_whole(chosen: list[Plan], share: float) -> None:
    whole, rest = estimate(chosen), estimate(chosen, share=share)
    for name in ("questions", "requests", "prompt_tokens", "answer_tokens"):
        assert 0 <= getattr(rest, name) <= getattr(whole, name)


@given(st.lists(plans, min_size=1, max_size=6), st.integers(1, 1000), st.floats(0.1, 1e5))
def test_the_time_follows_the_pace(chosen: list[Plan], samples: int, seconds: float) -> None:
    found = estimate(chosen, pace=Pace(samples, seconds))
    assert found.seconds == pytest.approx(found.questions * seconds / samples)


@pytest.fixture
def suite(project: Project) -> Suite:
    return make_suite(
        project,
        choice(rows=choice_rows(30), options={"num_fewshot": 2}),
        answer(rows=answer_rows(30)),
    )


def only(suite: Suite, candidate: Candidate, **more: bool) -> object:
    chosen = Candidate.objects.filter(pk=candidate.pk).for_list()
    (found,) = forecast(suite, list(chosen), **more)
    return found


@pytest.mark.django_db
def test_after_a_real_run_the_estimate_is_what_it_took(
    project: Project, suite: Suite, stub: StubServer
) -> None:
    candidate = make_candidate(project, base_url=stub.base_url)
    before = only(suite, candidate).estimate
    assert before.guessed and before.seconds is None
    run = carry_out(runs.start(candidate, suite))
    parts = list(Part.objects.filter(run=run))
    prompt = sum(part.prompt_tokens for part in parts)
    answers = sum(part.completion_tokens for part in parts)
    # The rule of thumb, for a server whose tokens are words: within a factor of three.
    assert prompt / 3 < before.prompt_tokens < prompt * 3
    assert before.answer_tokens >= answers
    again = only(suite, candidate, again=True)
    found = again.estimate
    assert (found.prompt_tokens, found.answer_tokens, found.guessed) == (prompt, answers, False)
    run = Run.objects.get(pk=run.pk)
    assert found.seconds == pytest.approx(run.worked_seconds)
    assert found.requests == stub.counts()["requests"]
    assert outline(planned(suite)).prompt_tokens == prompt


@pytest.mark.django_db
def test_another_models_counts_serve_until_there_are_own(
    project: Project, suite: Suite, stub: StubServer
) -> None:
    carry_out(runs.start(make_candidate(project, base_url=stub.base_url), suite))
    found = only(suite, make_candidate(project, "New")).estimate
    assert not found.guessed and found.seconds is None


@pytest.mark.django_db
def test_a_result_that_exists_costs_nothing(
    project: Project, suite: Suite, stub: StubServer
) -> None:
    candidate = make_candidate(project, base_url=stub.base_url)
    run = carry_out(runs.start(candidate, suite))
    found = only(suite, candidate)
    assert (found.estimate, found.run) == (None, run)
    Part.objects.filter(run=run, benchmark__name="words").update(state=JobState.CANCELLED, done=0)
    run.settle()
    resumed = only(suite, candidate)
    assert resumed.run == run and resumed.estimate.questions == 30


@pytest.mark.django_db
def test_it_says_what_stands_against_a_start(project: Project, suite: Suite) -> None:
    unchecked = make_candidate(project, "Unchecked", can=None)
    short = make_candidate(project, "Short", can=("chat", "completions"))
    assert "has not been checked" in only(suite, unchecked).refused
    assert "cannot do" in only(suite, short).refused


@pytest.mark.django_db
def test_the_page_estimates_before_the_start(
    project: Project, suite: Suite, as_erik: Client
) -> None:
    candidate = make_candidate(project, "Alder")
    candidates.set_price(
        candidate.endpoint,
        pricing="token",
        currency="EUR",
        per_million_prompt=Decimal(1),
        per_million_answer=Decimal(1),
    )
    url = reverse("evals:run_new")
    assert "Choose a suite and at least one model" in as_erik.get(url).text
    text = as_erik.get(url, {"model": candidate.pk, "suite": suite.pk}).text
    assert "≈" in text and "EUR" in text and "no earlier run of this model" in text
    form = {"suite": suite.pk, "candidates": [candidate.pk], "estimate": "1"}
    page = as_erik.post(url, form)
    assert page.status_code == 200 and "<html" in page.text and "EUR" in page.text
    part = as_erik.post(url, form, headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith('<section id="estimate"') and "<html" not in part
    assert as_erik.post(url, {"estimate": "1"}).status_code == 200
    assert as_erik.get(url, {"model": "x", "suite": "y"}).status_code == 200
    assert not Run.objects.exists()


@pytest.mark.django_db
def test_an_estimate_costs_the_same_for_many_models(
    project: Project, suite: Suite, as_erik: Client
) -> None:
    def cost(*chosen: Candidate) -> int:
        url = reverse("evals:run_new")
        query = {"suite": suite.pk, "model": [candidate.pk for candidate in chosen]}
        as_erik.get(url, query)
        with CaptureQueriesContext(connection) as counted:
            assert as_erik.get(url, query).status_code == 200
        return len(counted)

    several = [make_candidate(project, f"Model {n}") for n in range(8)]
    assert cost(*several) == cost(several[0]) <= 24


@pytest.mark.django_db
def test_a_chosen_language_is_estimated_and_started_alone(
    as_erik: Client, project: Project, suite: Suite
) -> None:
    form = {"suite": suite.pk, "candidates": [make_candidate(project).pk], "languages": ["de"]}
    url = reverse("evals:run_new")
    page = as_erik.post(url, form | {"estimate": "1"})
    (found,) = page.context["forecasts"]
    assert found.estimate.questions == 30
    assert as_erik.post(url, form).status_code == 302
    run = Run.objects.get()
    assert run.languages == ["de"]
    assert "only German" in as_erik.get(run.get_absolute_url()).content.decode()
    assert "German" in as_erik.get(reverse("evals:runs")).content.decode()
    make_suite(project, answer(language="da"), slug="danish")
    wrong = as_erik.post(url, form | {"languages": ["da"], "estimate": "1"})
    assert "It has: de, en" in wrong.content.decode()
