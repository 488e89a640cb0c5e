"""A server that goes away while it is asked: the run waits, goes on, and loses nothing."""

from __future__ import annotations

import threading
from time import monotonic, sleep

import pytest
from django.test import Client, override_settings

from evals import runs, waiting
from evals.models import Part, Run, Sample, Score
from portal.accounts.models import Project, User
from tests.evals.making import answer, answer_rows, carry_out, choice, make_candidate, make_suite
from tests.evals.stub_server import StubServer
from workers import jobs
from workers.models import JobState
from workers.progress import Cancelled

pytestmark = pytest.mark.django_db


def words(project: Project, count: int, **fields: object):
    return make_suite(project, answer(rows=answer_rows(count)), **fields)


def test_a_server_that_restarts_costs_time_and_no_sample(project: Project) -> None:
    with StubServer() as stub:
        candidate = make_candidate(project, base_url=stub.base_url)
        suite = words(project, 60)
        undisturbed = carry_out(runs.start(candidate, suite))
        stub.reset(delay=0.05)

        def restart() -> None:
            sleep(0.3)
            stub.__exit__()
            sleep(6)
            stub.__enter__()
            over.wait()  # the process dies with the thread that started it

        over = threading.Event()
        restarting = threading.Thread(target=restart)
        restarting.start()
        run = carry_out(runs.start(candidate, suite, again=True))
        over.set()
        restarting.join()
        assert (run.state, run.done, run.errors) == (JobState.DONE, 60, 0)
        assert not Sample.objects.filter(part__run=run).exclude(error="").exists()
        assert run.children()[0].values == undisturbed.children()[0].values
        assert run.children()[0].waiting_since is None


def test_it_says_that_it_waits_and_a_cancel_ends_the_waiting_within_two_seconds(
    project: Project, erik: User, client: Client
) -> None:
    run = runs.start(make_candidate(project), words(project, 30))
    progress = jobs.claim(Part, run.children()[0].pk)
    assert progress
    client.force_login(erik)
    pages: list[str] = []
    asked_to_stop: list[float] = []
    beats = progress.beat

    def look(force: bool = False) -> None:
        if not pages and Part.objects.get(pk=progress.job.pk).waiting_since:
            pages.append(client.get(run.get_absolute_url()).content.decode())
            runs.cancel(run)
            asked_to_stop.append(monotonic())
        beats(force)

    progress.beat = look
    with pytest.raises(Cancelled):
        runs.execute(progress.job, progress)
    assert monotonic() - asked_to_stop[0] < 2
    assert "The server does not answer; waiting since" in pages[0]
    assert "the connection failed" in pages[0]
    assert not Sample.objects.exists()  # a server that is away is no failed sample


@override_settings(SERVER_WAIT_SECONDS=1)
def test_it_waits_no_longer_than_set_and_the_next_part_looks_only_once(project: Project) -> None:
    run = runs.start(make_candidate(project), make_suite(project, choice(), answer()))
    run = carry_out(run)
    assert run.state == JobState.FAILED
    first, second = run.children()
    assert first.message.startswith(waiting.AWAY) and second.message.startswith(waiting.AWAY)
    assert first.seconds > 1 > second.seconds
    assert not Score.objects.filter(part__run=run).exists()


def test_a_server_that_is_loading_is_waited_for(project: Project, stub: StubServer) -> None:
    stub.reset(every=5, kind="503")
    candidate = make_candidate(project, base_url=stub.base_url)
    run = carry_out(runs.start(candidate, words(project, 40)))
    assert (run.state, run.done, run.errors) == (JobState.DONE, 40, 0)


def test_what_failed_for_a_passing_reason_is_asked_once_more_and_then_stored(
    project: Project, stub: StubServer
) -> None:
    stub.reset(match="No 7:", kind="501")  # a server error that no repetition is sent for
    candidate = make_candidate(project, base_url=stub.base_url)
    run = carry_out(runs.start(candidate, words(project, 20)))
    assert (run.state, run.done, run.errors) == (JobState.DONE, 19, 1)
    assert stub.asked()["7"] == 2
    assert Run.objects.get(pk=run.pk).state == JobState.DONE
