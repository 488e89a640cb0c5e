"""Workers that ask one endpoint share its limit through the database."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from evals import candidates, runs
from evals.llm.knee import START, Outcome
from evals.models import Candidate, Endpoint, Part, Run
from evals.slots import Slots, at_once, share
from portal.accounts.models import Project, User
from tests.evals.making import answer, answer_rows, carry_out, make_candidate, make_suite
from tests.evals.stub_server import StubServer
from workers import jobs
from workers.models import JobState


@dataclass
class Worker:
    """What one worker promises and does, and what the table says that it holds."""

    promise: int = 0
    in_flight: int = 0
    held: int = 0


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.integers(1, 12))
def test_however_looks_and_requests_interleave_the_limit_holds_and_all_get_the_same(
    seed: int, most: int
) -> None:
    rng = random.Random(seed)
    workers: dict[int, Worker] = {}

    def look(number: int, level: int = most) -> None:
        worker = workers[number]
        holding = max(worker.promise, worker.in_flight)
        mine = share({n: w.held for n, w in workers.items()}, number, holding, most, level)
        worker.held, worker.promise = mine.slots, mine.use

    for step in range(200):
        match rng.choice(["join", "look", "look", "ask", "ask", "ask", "end", "leave"]):
            case "join" if len(workers) < 6:
                workers[step] = Worker()
            case "look" if workers:
                look(rng.choice(list(workers)), rng.randint(1, most))
            case "leave" if workers and rng.random() < 0.3:
                del workers[rng.choice(list(workers))]
            case "ask" if workers:
                worker = rng.choice(list(workers.values()))
                worker.in_flight = max(worker.in_flight, worker.promise)
            case "end" if workers:
                worker = rng.choice(list(workers.values()))
                worker.in_flight = max(0, worker.in_flight - 1)
        assert sum(worker.in_flight for worker in workers.values()) <= most
        assert sum(worker.held for worker in workers.values()) <= most
    for worker in workers.values():
        worker.in_flight = 0
    for _ in range(4):
        for number in workers:
            look(number)
    if workers:
        uses = [worker.promise for worker in workers.values()]
        assert sum(uses) == most
        assert max(uses) - min(uses) <= 1


def test_what_is_found_is_shared_out_and_a_number_too_small_for_all_goes_to_the_oldest() -> None:
    held = {3: 0, 5: 0, 8: 0}
    assert [share(held, part, 0, 64, 20).use for part in held] == [7, 7, 6]
    assert [share(held, part, 0, 2, 2).use for part in held] == [1, 1, 0]
    assert share({3: 4, 5: 0}, 5, 0, 4, 4).slots == 0  # all is taken: it waits


def begun(project: Project, candidate: Candidate, parts: int) -> list[Slots]:
    """The slots of the parts of a run, each of which a worker has claimed."""
    suite = make_suite(project, *(answer(f"words{n}") for n in range(parts)), slug="several")
    run = runs.start(candidate, suite)
    made = []
    for part in run.children():
        progress = jobs.claim(Part, part.pk)
        assert progress
        made.append(Slots(progress.job, progress))
    return made


renew = async_to_sync(Slots.renew)


@pytest.mark.django_db
def test_a_second_part_gets_its_share_as_soon_as_the_first_has_given_it_back(
    project: Project,
) -> None:
    one, two = begun(project, make_candidate(project, concurrency=5), 2)
    renew(one)
    assert one.gate.limit == 5
    renew(two)
    assert two.gate.limit == 0  # all places are taken
    one.gate.in_flight = 5
    renew(one)
    assert one.gate.limit == 3
    renew(two)
    assert two.gate.limit == 0  # the first still has five in flight
    one.gate.in_flight = 3
    renew(one)
    renew(two)
    assert (one.gate.limit, two.gate.limit) == (3, 2)
    assert list(Part.objects.values_list("slots", flat=True)) == [3, 2]
    one.release()
    renew(two)
    assert two.gate.limit == 5


@pytest.mark.django_db
def test_runs_of_one_endpoint_share_and_those_of_another_do_not(project: Project) -> None:
    candidate = make_candidate(project, concurrency=6)
    other = make_candidate(project, "Other", concurrency=4)
    (one,) = begun(project, candidate, 1)
    suite = make_suite(project, answer("more"), slug="more")
    (part,) = runs.start(candidate, suite).children()
    two = Slots(part, jobs.claim(Part, part.pk))
    (part,) = runs.start(other, suite).children()
    third = Slots(part, jobs.claim(Part, part.pk))
    for slots in (one, two, third) * 3:
        renew(slots)
    assert [slots.gate.limit for slots in (one, two, third)] == [3, 3, 4]


@pytest.mark.django_db
def test_the_places_of_a_killed_worker_fall_free_with_its_lease(project: Project) -> None:
    one, two = begun(project, make_candidate(project, concurrency=4), 2)
    renew(one)
    one.gate.in_flight = 4
    renew(two)
    assert two.gate.limit == 0
    Part.objects.filter(slots=4).update(lease_until=timezone.now() - timedelta(seconds=1))
    renew(two)
    assert two.gate.limit == 4


@pytest.mark.django_db
def test_the_oldest_part_finds_the_limit_for_all_and_the_next_run_begins_there(
    project: Project,
) -> None:
    candidate = make_candidate(project, concurrency=64)
    Endpoint.objects.update(adaptive=True)
    one, two = begun(project, candidate, 2)
    renew(one)
    assert one.gate.limit == START
    for second in range(20):  # a server without a knee: each answer takes a second
        for _ in range(one.gate.limit):
            one.gate.knee.tell(second, second + 1, Outcome.ANSWERED)
    assert one.gate.limit > 2 * START  # alone it needs no table to grow
    found = one.gate.limit
    for slots in (one, two) * 3:
        renew(slots)
    assert one.gate.limit + two.gate.limit == found
    assert two.gate.knee is None
    assert Endpoint.objects.get().found_concurrency == found
    assert set(Part.objects.values_list("at_once", flat=True)) == {found}
    one.release()
    Part.objects.filter(pk=one._part.pk).update(state=JobState.DONE)
    renew(two)
    assert (two.gate.limit, two.gate.knee.limit) == (found, found)


@pytest.mark.django_db
def test_looking_again_without_news_takes_two_queries_and_no_lock(
    project: Project, django_assert_num_queries
) -> None:
    (one,) = begun(project, make_candidate(project, concurrency=4), 1)
    renew(one)
    with django_assert_num_queries(2):
        renew(one)


@pytest.mark.django_db
def test_a_run_finds_a_number_stores_it_and_shows_it(
    project: Project, stub: StubServer, client: Client, erik: User
) -> None:
    stub.reset(delay=0.005)
    candidate = make_candidate(project, base_url=stub.base_url, concurrency=32)
    Endpoint.objects.update(adaptive=True)
    run = carry_out(runs.start(candidate, make_suite(project, answer(rows=answer_rows(120)))))
    assert (run.state, run.done, run.errors) == (JobState.DONE, 120, 0)
    (part,) = run.parts.all()
    found = Endpoint.objects.get().found_concurrency
    assert part.slots is None and part.at_once and found and 1 <= found <= 32
    client.force_login(erik)
    page = run.get_absolute_url()
    assert f"Requests at once</dt><dd>{part.at_once}</dd>" in client.get(page).content.decode()
    Run.objects.filter(pk=run.pk).update(state=JobState.RUNNING)
    shown = client.get(page).content.decode()
    assert f"{part.at_once} <small>found automatically, at most 32</small>" in shown
    shown = client.get(candidate.get_absolute_url()).content.decode()
    assert "automatic, up to 32" in shown and f"last found: {found}" in shown


@pytest.mark.django_db
def test_a_run_tells_what_its_working_part_uses_and_afterwards_the_last_one(
    project: Project,
) -> None:
    begun(project, make_candidate(project, concurrency=4), 3)
    first, second, third = Part.objects.order_by("pk")
    assert at_once([first, second, third]) is None
    first.at_once, second.at_once = 5, 7
    second.state = JobState.DONE
    assert at_once([first, second, third]) == 5
    first.state = JobState.DONE
    assert at_once([first, second, third]) == 7


@pytest.mark.django_db
def test_another_server_is_measured_from_the_start(project: Project) -> None:
    endpoint = make_candidate(project).endpoint
    endpoint.adaptive, endpoint.found_concurrency = True, 40
    endpoint.save()
    kept = {"served_model": endpoint.served_model, "concurrency": 64}
    candidates.change_endpoint(endpoint, base_url=endpoint.base_url, **kept)
    assert (endpoint.adaptive, endpoint.found_concurrency) == (True, 40)
    candidates.change_endpoint(endpoint, base_url="http://127.0.0.1:10/v1", **kept)
    assert (endpoint.adaptive, endpoint.found_concurrency) == (True, None)
