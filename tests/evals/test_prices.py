"""Prices of endpoints, and what pages say runs cost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evals import candidates, runs
from evals.models import Candidate, Part, Price, Run, Suite
from evals.spending import spent
from evals.templatetags.evals import amount
from portal.accounts.models import AuditEntry, Project, User
from tests.evals.making import answer, carry_out, choice, make_candidate, make_run, make_suite
from tests.evals.stub_server import StubServer

pytestmark = pytest.mark.django_db
PER_TOKEN = {
    "pricing": "token",
    "currency": "EUR",
    "per_million_prompt": Decimal(2),
    "per_million_answer": Decimal(6),
}
PER_HOUR = {"pricing": "gpu_hour", "currency": "EUR", "per_gpu_hour": Decimal("2.5"), "gpus": 2}
HALF = [1.0, 0.0] * 10


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return make_candidate(project)


@pytest.fixture
def suite(project: Project) -> Suite:
    return make_suite(project, choice(), answer())


def start(candidate: Candidate, suite: Suite) -> Run:
    return make_run(candidate, suite, {"colours": HALF, "words": HALF})


def test_a_new_price_is_a_new_row(candidate: Candidate, erik: User) -> None:
    first = candidates.set_price(candidate.endpoint, by=erik, **PER_TOKEN)
    second = candidates.set_price(candidate.endpoint, by=erik, **PER_HOUR)
    assert list(Price.objects.all()) == [second, first]
    assert candidate.endpoint.price == second
    assert (second.per_million_prompt, second.gpus, second.created_by) == (None, 2, erik)
    entry = AuditEntry.objects.filter(action="candidate.price").latest("pk")
    assert entry.details["per_gpu_hour"] == "2.5"


def test_the_same_price_again_changes_nothing(candidate: Candidate) -> None:
    first = candidates.set_price(candidate.endpoint, **PER_TOKEN)
    assert candidates.set_price(candidate.endpoint, **PER_TOKEN) == first


def test_a_price_needs_all_its_figures(candidate: Candidate) -> None:
    with pytest.raises(ValueError, match="per_million_answer"):
        candidates.set_price(
            candidate.endpoint, pricing="token", currency="EUR", per_million_prompt=Decimal(1)
        )


def test_a_run_keeps_the_price_it_started_with(candidate: Candidate, suite: Suite) -> None:
    free = start(candidate, suite)
    price = candidates.set_price(candidate.endpoint, **PER_TOKEN)
    priced = start(candidate, suite)
    candidates.set_price(candidate.endpoint, **PER_HOUR)
    assert (free.price, Run.objects.get(pk=priced.pk).price) == (None, price)


def test_a_run_costs_what_its_tokens_cost(candidate: Candidate, suite: Suite) -> None:
    candidates.set_price(candidate.endpoint, **PER_TOKEN)
    run = start(candidate, suite)
    assert spent([run])[run.pk].cost.reason == "no_tokens"
    Part.objects.filter(run=run).update(prompt_tokens=500_000, completion_tokens=0, counted=20)
    assert spent([run])[run.pk].cost == (Decimal(2), "EUR", False, "")
    Part.objects.filter(run=run).update(counted=19)
    assert spent([run])[run.pk].cost == (Decimal(2), "EUR", True, "")


def test_a_real_run_tells_tokens_time_and_cost(
    project: Project, suite: Suite, stub: StubServer, as_erik: Client
) -> None:
    candidate = make_candidate(project, base_url=stub.base_url)
    candidates.set_price(candidate.endpoint, **PER_TOKEN)
    run = carry_out(runs.start(candidate, suite))
    found = spent([run])[run.pk]
    assert found.usage.prompt_tokens > 0 and found.usage.seconds > 0 and not found.usage.partial
    expected = 2 * found.usage.prompt_tokens + 6 * found.usage.answer_tokens
    assert found.cost.amount == Decimal(expected) / 1_000_000
    text = as_erik.get(run.get_absolute_url()).text
    assert f"{amount(found.cost.amount)} EUR" in text
    assert f"{amount(found.cost.amount)} EUR" in as_erik.get(reverse("evals:runs")).text


def test_pages_say_unknown_and_never_zero(
    candidate: Candidate, suite: Suite, as_erik: Client
) -> None:
    run = start(candidate, suite)
    for url in (run.get_absolute_url(), reverse("evals:runs"), candidate.get_absolute_url()):
        text = as_erik.get(url).text
        assert "unknown" in text and "EUR<" not in text and "0.00 " not in text


def test_an_engineer_sets_prices_on_the_page(
    candidate: Candidate, as_erik: Client, erik: User
) -> None:
    url = reverse("evals:candidate_price", args=[candidate.pk])
    form = {"pricing": "token", "currency": "usd", "per_million_prompt": "0.15"}
    refused = as_erik.post(url, form)
    assert refused.status_code == 422 and "This price needs it" in refused.text
    assert as_erik.post(url, form | {"per_million_answer": "0.6"}).status_code == 302
    price = Price.objects.get()
    assert (price.currency, price.per_million_prompt) == ("USD", Decimal("0.15"))
    text = as_erik.get(candidate.get_absolute_url()).text
    assert "0.15 / 0.60 USD per million prompt / answer tokens" in text and "in force" in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_million_prompt": "-1"},
        {"per_million_prompt": "NaN"},
        {"per_million_prompt": "Infinity"},
        {"per_million_prompt": "1e12"},
        {"currency": "€"},
        {"currency": "EURO"},
        {"pricing": "by eye"},
        {"pricing": "gpu_hour", "per_gpu_hour": "1", "gpus": "0"},
    ],
)
def test_a_wrong_price_is_refused(
    candidate: Candidate, as_erik: Client, wrong: dict[str, str]
) -> None:
    form = {
        "pricing": "token",
        "currency": "EUR",
        "per_million_prompt": "1",
        "per_million_answer": "1",
    }
    url = reverse("evals:candidate_price", args=[candidate.pk])
    assert as_erik.post(url, form | wrong).status_code == 422
    assert not Price.objects.exists()


def test_a_viewer_sees_prices_but_sets_none(
    candidate: Candidate, client: Client, vera: User
) -> None:
    candidates.set_price(candidate.endpoint, **PER_HOUR)
    client.force_login(vera)
    url = reverse("evals:candidate_price", args=[candidate.pk])
    text = client.get(candidate.get_absolute_url()).text
    assert "2.50 EUR per GPU-hour × 2 GPUs" in text and url not in text
    assert client.post(url, PER_TOKEN).status_code == 403


@pytest.mark.parametrize(
    ("value", "written"),
    [("12.4", "12.40"), ("0", "0.00"), ("0.0031", "0.0031"), ("0.5", "0.50"), ("0.05", "0.050")],
)
def test_small_sums_keep_two_figures(value: str, written: str) -> None:
    assert amount(Decimal(value)) == written


def test_costs_of_a_list_take_two_queries(
    candidate: Candidate, suite: Suite, project: Project
) -> None:
    candidates.set_price(candidate.endpoint, **PER_TOKEN)
    rows = [start(candidate, suite) for _ in range(4)]
    with CaptureQueriesContext(connection) as counted:
        assert len(spent(rows)) == 4
    assert len(counted) == 2
