"""Budgets of runs: they stop cleanly, a little beyond at most, and go on with a higher one."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from evals import candidates, leaderboard, runs
from evals.costs import Budget, Cost, Usage, exhausted
from evals.leaderboard import View
from evals.models import Candidate, Part, Run, Sample, Score, Suite
from evals.spending import spent
from portal.accounts.models import AuditEntry, Project
from portal.api import document
from tests.evals.asking import Asking
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
from workers import jobs
from workers.models import JobState

QUESTIONS = 60
CONCURRENCY = 4


@pytest.fixture
def candidate(project: Project, stub: StubServer) -> Candidate:
    return make_candidate(project, base_url=stub.base_url, concurrency=CONCURRENCY)


@pytest.fixture
def suite(project: Project) -> Suite:
    return make_suite(
        project,
        answer("first", rows=answer_rows(QUESTIONS, "first ")),
        answer("second", rows=answer_rows(QUESTIONS, "second ")),
    )


def priced(candidate: Candidate, **figures: object) -> Candidate:
    per_token = {"per_million_prompt": Decimal(1000), "per_million_answer": Decimal(2000)}
    candidates.set_price(
        candidate.endpoint, **({"pricing": "token", "currency": "EUR", **per_token} | figures)
    )
    return Candidate.objects.get(pk=candidate.pk)


def used(run: Run) -> int:
    return spent([Run.objects.get(pk=run.pk)])[run.pk].usage.tokens or 0


def most_of_one(run: Run) -> int:
    """The tokens of the most expensive sample."""
    told = Sample.objects.filter(part__run=run, error="")
    return max(s.prompt_tokens + s.completion_tokens for s in told)


limits = st.none() | st.integers(1, 10**6)
counts = st.none() | st.integers(0, 2 * 10**6)


@given(limits, counts, counts, st.booleans())
def test_it_is_used_up_exactly_when_as_much_is_known_to_be_used(
    most: int | None, prompt: int | None, answered: int | None, partial: bool
) -> None:
    usage = Usage(prompt, answered, partial)
    reason = exhausted(Budget(tokens=most), usage, Cost(None, reason="no_price"))
    reached = most is not None and (usage.tokens or 0) >= most
    assert (reason == "tokens") == reached
    assert (reason == "uncounted") == (most is not None and not reached and partial)


def test_money_without_token_counts_cannot_be_watched_unless_time_is_what_costs() -> None:
    money = Budget(money=Decimal(1))
    unknown = Usage(partial=True, seconds=5)
    assert exhausted(money, unknown, Cost(None, "EUR", reason="no_tokens")) == "uncounted"
    assert exhausted(money, unknown, Cost(Decimal("0.5"), "EUR")) == ""
    assert exhausted(money, unknown, Cost(Decimal(1), "EUR")) == "money"
    assert exhausted(Budget(), unknown, Cost(Decimal(1), "EUR")) == ""


@pytest.mark.django_db
def test_it_stops_with_everything_in_flight_stored_and_little_beyond(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    run = carry_out(runs.start(candidate, suite, budget=Budget(tokens=100)))
    assert run.state == JobState.STOPPED
    stored = Sample.objects.filter(part__run=run, error="").count()
    assert stub.counts()["requests"] == stored == run.done  # all that was asked is kept
    assert 100 <= used(run) < 100 + CONCURRENCY * most_of_one(run)
    assert run.stopped_by == "tokens"
    assert run.message == (
        "Stopped at its budget of 100 tokens. Raise it and resume; what is answered is kept."
    )


@pytest.mark.django_db
def test_what_is_not_finished_has_no_score_and_enters_no_board(
    candidate: Candidate, suite: Suite
) -> None:
    run = carry_out(runs.start(candidate, suite, budget=Budget(tokens=100)))
    assert [part.state for part in run.children()] == [JobState.STOPPED] * 2
    assert not Score.objects.filter(part__run=run).exists()
    assert leaderboard.board(suite, View()).rows == []


@pytest.mark.django_db
def test_a_finished_benchmark_keeps_its_score(candidate: Candidate, suite: Suite) -> None:
    whole = used(carry_out(runs.start(candidate, suite)))
    run = runs.start(candidate, suite, again=True, budget=Budget(tokens=whole * 3 // 4))
    run = carry_out(run)
    assert [part.state for part in run.children()] == [JobState.DONE, JobState.STOPPED]
    assert run.state == JobState.STOPPED
    scored = Score.objects.filter(part__run=run).values_list("part__benchmark__name", flat=True)
    assert set(scored) == {"first"}


@pytest.mark.django_db
def test_waiting_benchmarks_stop_with_it_and_ask_nothing(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    run = runs.start(candidate, suite, budget=Budget(tokens=50))
    first, second = run.children()
    progress = jobs.claim(Part, first.pk)
    assert progress
    jobs.perform(progress, runs.execute)
    second.refresh_from_db()
    assert second.state == JobState.STOPPED
    assert not stub.asked("second No")


@pytest.mark.django_db
def test_it_goes_on_with_a_higher_budget_and_asks_only_what_is_missing(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    run = carry_out(runs.start(candidate, suite, budget=Budget(tokens=100)))
    before = set(stub.asked(r"((?:first|second) No \d+)"))
    with pytest.raises(runs.BudgetRefused, match=r"tokens are used already. Give a higher") as no:
        runs.resume(run)
    assert no.value.field == "budget_tokens"
    stub.reset()
    runs.resume(run, budget=Budget(tokens=10**6))
    run = carry_out(run)
    assert (run.state, run.done, run.stopped_by, run.message) == (
        JobState.DONE, 2 * QUESTIONS, "", "",
    )  # fmt: skip
    asked = stub.asked(r"((?:first|second) No \d+)")
    assert set(asked.values()) == {1}
    assert not before & set(asked)
    assert len(before) + len(asked) == 2 * QUESTIONS


@pytest.mark.django_db
def test_starting_the_same_again_keeps_the_budget_unless_another_is_given(
    candidate: Candidate, suite: Suite
) -> None:
    run = carry_out(runs.start(candidate, suite, budget=Budget(tokens=100)))
    with pytest.raises(runs.BudgetRefused):
        runs.start(candidate, suite)
    again = runs.start(candidate, suite, budget=Budget(tokens=200))
    assert (again.pk, Run.objects.get(pk=run.pk).budget_tokens) == (run.pk, 200)
    told = AuditEntry.objects.filter(action="run.resume").last()
    assert told.details["budget_tokens"] == 200


@pytest.mark.django_db
def test_a_budget_beyond_the_need_changes_nothing(candidate: Candidate, suite: Suite) -> None:
    run = carry_out(runs.start(candidate, suite, budget=Budget(tokens=10**6)))
    assert (run.state, run.done) == (JobState.DONE, 2 * QUESTIONS)


@pytest.mark.django_db
def test_money_stops_it_at_the_price_in_force_when_it_began(
    candidate: Candidate, suite: Suite
) -> None:
    run = runs.start(priced(candidate), suite, budget=Budget(money=Decimal("0.1")))
    priced(candidate, currency="USD", per_million_prompt=Decimal(0), per_million_answer=Decimal(0))
    run = carry_out(run)
    cost = spent([run])[run.pk].cost
    assert (run.state, run.stopped_by, cost.currency) == (JobState.STOPPED, "money", "EUR")
    assert (
        Decimal("0.1")
        <= cost.amount
        < Decimal("0.1") + CONCURRENCY * most_of_one(run) * Decimal("0.002")
    )
    assert "budget of 0.10 EUR" in run.message


@pytest.mark.django_db
def test_a_price_by_the_hour_stops_it_by_its_time(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    stub.reset(delay=0.1)
    by_hour = {"pricing": "gpu_hour", "per_gpu_hour": Decimal(3600), "gpus": 1}
    run = runs.start(priced(candidate, **by_hour), suite, budget=Budget(money=Decimal("0.5")))
    run = carry_out(run)
    assert (run.state, run.stopped_by) == (JobState.STOPPED, "money")
    assert 0 < run.done < 2 * QUESTIONS
    assert run.wall_seconds >= 0.5


@pytest.mark.django_db
def test_money_needs_a_price(candidate: Candidate, suite: Suite) -> None:
    with pytest.raises(runs.BudgetRefused, match="needs a price") as refused:
        runs.start(candidate, suite, budget=Budget(money=Decimal(1)))
    assert refused.value.field == "budget_money"
    assert not Run.objects.exists()
    run = carry_out(runs.start(candidate, suite, budget=Budget(tokens=50)))
    with pytest.raises(runs.BudgetRefused, match="needs a price"):
        runs.resume(run, budget=Budget(money=Decimal(1)))


@pytest.mark.django_db
def test_answers_without_token_counts_stop_it_rather_than_break_the_budget(
    project: Project, stub: StubServer
) -> None:
    candidate = make_candidate(project, base_url=stub.base_url, concurrency=CONCURRENCY)
    # What this software tells as counts is made up, so they stay unknown.
    candidate.endpoint.dialect = "openai_trtllm"
    candidate.endpoint.save()
    suite = make_suite(project, answer(rows=answer_rows(QUESTIONS)))
    run = carry_out(runs.start(candidate, suite, budget=Budget(tokens=10**6)))
    assert (run.state, run.stopped_by) == (JobState.STOPPED, "uncounted")
    assert 0 < run.done <= 2 * CONCURRENCY
    assert "without token counts" in run.message
    with pytest.raises(runs.BudgetRefused, match="Resume without a budget"):
        runs.resume(run, budget=Budget(tokens=10**9))
    runs.resume(run, budget=Budget())
    assert carry_out(run).state == JobState.DONE


@pytest.mark.django_db
def test_a_part_that_was_answered_before_the_budget_was_used_up_is_still_scored(
    candidate: Candidate, project: Project
) -> None:
    """A worker that was killed between the last answer and the score."""
    suite = make_suite(project, answer(rows=answer_rows(8)))
    run = carry_out(runs.start(candidate, suite))
    Run.objects.filter(pk=run.pk).update(budget_tokens=1)
    Part.objects.filter(run=run).update(state=JobState.QUEUED)
    Score.objects.all().delete()
    run = carry_out(run)
    assert run.state == JobState.DONE
    assert Score.objects.filter(part__run=run).exists()


@pytest.mark.django_db
def test_log_likelihoods_and_euroeval_style_tasks_stop_as_well(
    project: Project, candidate: Candidate, stub: StubServer
) -> None:
    suite = make_suite(project, choice(rows=choice_rows(QUESTIONS)))
    run = carry_out(runs.start(candidate, suite, budget=Budget(tokens=200)))
    assert run.state == JobState.STOPPED
    assert 200 <= used(run) < 200 + CONCURRENCY * most_of_one(run)
    rows = [{"text": f"No {n}: repeat tree", "answer": n % 3} for n in range(QUESTIONS)]
    styled = make_suite(
        project,
        {
            "name": "mood", "title": "Mood", "family": "mood", "language": "en", "rows": rows,
            "engine": "euro_style", "scoring": "generate", "metric": "mcc",
            "options": {"num_fewshot": 0, "chat": True},
            "task": {"task": "sentiment", "language": "en"},
        },
        slug="styled",
    )  # fmt: skip
    run = carry_out(runs.start(candidate, styled, budget=Budget(tokens=200)))
    assert run.state == JobState.STOPPED
    assert 200 <= used(run) < 200 + CONCURRENCY * most_of_one(run)


@pytest.mark.django_db
def test_the_pages_say_it_in_plain_words_and_resume(
    candidate: Candidate, suite: Suite, as_erik: Client
) -> None:
    new = reverse("evals:run_new")
    asked = {"suite": suite.pk, "candidates": [candidate.pk], "budget_tokens": "2000"}
    refused = as_erik.post(new, asked | {"budget_money": "1,5"})
    assert refused.status_code == 422
    assert "needs a price" in refused.context["form"].errors["budget_money"][0]
    assert candidate.name in refused.context["form"].errors["budget_money"][0]
    assert as_erik.post(new, asked | {"budget_tokens": "0"}).status_code == 422
    assert not Run.objects.exists()
    assert as_erik.post(new, asked | {"budget_tokens": "200"}).status_code == 302
    run = carry_out(Run.objects.get())
    page = as_erik.get(run.get_absolute_url()).content.decode()
    assert "Stopped at its budget of 200 tokens." in page
    assert re.search(r"<dt>Budget</dt><dd>200 tokens</dd>", page)
    assert "not all benchmarks are finished" in page
    assert "Stopped at its budget" in as_erik.get(reverse("home")).content.decode()
    with translation.override("de"):
        assert "200" in Run.objects.get(pk=run.pk).explanation

    resume = reverse("evals:run_resume", args=[run.pk])
    said = as_erik.post(resume, {"budget_tokens": "201", "budget_money": ""}, follow=True)
    assert "used already. Give a higher budget." in said.content.decode()
    said = as_erik.post(resume, {"budget_tokens": "-4", "budget_money": ""}, follow=True)
    assert "Budget in tokens: " in said.content.decode()
    as_erik.post(resume, {"budget_tokens": "", "budget_money": ""})  # no limit any more
    run = carry_out(run)
    assert (run.state, run.budget) == (JobState.DONE, Budget())


@pytest.mark.django_db
def test_the_api_takes_it_tells_it_and_raises_it(
    project: Project, candidate: Candidate, suite: Suite
) -> None:
    ask = Asking(project)
    body = {"candidate": candidate.pk, "suite": suite.pk}
    for field, wrong in (("budget_tokens", 0), ("budget_money", 0), ("budget_money", 5)):
        no = ask.post("/runs", body | {field: wrong})
        assert (no.status_code, no.json()["errors"][0]["field"]) == (422, field)
    found = ask.post("/runs", body | {"budget_tokens": 100}).json()
    assert (found["budget_tokens"], found["budget_money"], found["stopped_by"]) == (100, None, None)
    run = carry_out(Run.objects.get())
    found = ask.get(f"/runs/{run.pk}").json()
    assert (found["state"], found["finished"], found["stopped_by"]) == ("stopped", True, "tokens")
    assert "budget of 100 tokens" in found["message"]
    assert found["overall"] is None
    assert len(ask.get("/runs", state="stopped").json()["items"]) == 1
    no = ask.post(f"/runs/{run.pk}/resume")
    assert (no.status_code, no.json()["errors"][0]["field"]) == (422, "budget_tokens")
    again = ask.post(f"/runs/{run.pk}/resume", {"budget_tokens": 5000}).json()
    assert (again["state"], again["budget_tokens"]) == ("queued", 5000)
    runs.cancel(Run.objects.get())
    assert ask.post(f"/runs/{run.pk}/resume", {}).json()["budget_tokens"] == 5000
    runs.cancel(Run.objects.get())
    free = ask.post(f"/runs/{run.pk}/resume", {"budget_tokens": None}).json()
    assert free["budget_tokens"] is None


def test_the_document_says_that_the_body_of_resume_may_be_left_out() -> None:
    paths = document.document()["paths"]
    bodies = {
        path: paths[f"/api/v1/runs{path}"]["post"]["requestBody"]["required"]
        for path in ("", "/{run}/resume")
    }
    assert bodies == {"": True, "/{run}/resume": False}


@pytest.mark.django_db
def test_the_api_tells_money_with_its_currency(
    project: Project, candidate: Candidate, suite: Suite
) -> None:
    body = {"candidate": priced(candidate).pk, "suite": suite.pk, "budget_money": 1.25}
    found = Asking(project).post("/runs", body).json()
    assert (found["budget_money"], found["budget_currency"]) == (1.25, "EUR")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--budget-tokens=0", "no number from 1"),
        ("--budget-money=nothing", "no amount above 0"),
        ("--budget-money=NaN", "no amount above 0"),
        ("--budget-money=2.50", "--budget-money: A budget in money needs a price"),
    ],
)
def test_the_command_refuses_what_is_no_budget(
    candidate: Candidate, suite: Suite, argument: str, says: str
) -> None:
    with pytest.raises(CommandError, match=re.escape(says)) as refused:
        call_command("evaluate", "--suite", suite.slug, "--candidate", candidate.name, argument)
    assert not Run.objects.exists()
    assert refused.value.returncode in (1, 2)
