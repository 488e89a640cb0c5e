"""Schedules: started once for each time they are due, and by what a server serves."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from evals import candidates, runs, schedules, suites
from evals.models import (
    Candidate,
    Endpoint,
    Firing,
    Run,
    Schedule,
    ScheduledModel,
    Suite,
)
from evals.models.schedules import Outcome
from evals.tasks import look_for_change
from portal.accounts.models import AuditEntry, Project
from tests.evals.asking import Asking
from tests.evals.making import (
    answer,
    carry_out,
    make_candidate,
    make_probe,
    make_suite,
    write_suite,
)
from tests.evals.stub_server import StubServer
from workers import broker
from workers.celery import app
from workers.models import JobState
from workers.tasks import due

pytestmark = pytest.mark.django_db


@pytest.fixture
def candidate(project: Project, stub: StubServer) -> Candidate:
    return make_candidate(project, base_url=stub.base_url)


@pytest.fixture
def suite(project: Project) -> Suite:
    return make_suite(project)


def nightly(suite: Suite, *chosen: Candidate, **fields: Any) -> Schedule:
    """A schedule that has been due for a minute."""
    made = Schedule(project=suite.project, suite_slug=suite.slug, at="02:00:00")
    for name, value in fields.items():
        setattr(made, name, value)
    made.full_clean(exclude=["created_by"])
    schedules.keep(made, chosen)
    if made.next_at:
        missed(made, timedelta(minutes=1))
    return made


def by_change(suite: Suite, candidate: Candidate) -> ScheduledModel:
    made = nightly(suite, candidate, every="change", at=None)
    return ScheduledModel.objects.get(schedule=made)


def missed(schedule: Schedule, by: timedelta) -> None:
    Schedule.objects.filter(pk=schedule.pk).update(next_at=timezone.now() - by)
    schedule.refresh_from_db()


def outcomes() -> list[tuple[str, str]]:
    rows = Firing.objects.order_by("pk").values_list("model__name", "outcome")
    return [(name, outcome) for name, outcome in rows]


def looked(model: ScheduledModel) -> ScheduledModel:
    look_for_change(model.pk)
    model.refresh_from_db()
    return model


def test_it_starts_a_run_of_each_model_with_its_wishes(project: Project, suite: Suite) -> None:
    one, two = make_candidate(project, "one"), make_candidate(project, "two")
    schedule = nightly(suite, one, two, languages=["de"], budget_tokens=5000)
    schedules.tick()
    found = Run.objects.order_by("candidate__name")
    assert [(run.candidate.name, run.suite, run.languages) for run in found] == [
        ("one", suite, ["de"]), ("two", suite, ["de"]),
    ]  # fmt: skip
    assert {run.budget_tokens for run in found} == {5000}
    assert outcomes() == [("one", "started"), ("two", "started")]
    entry = AuditEntry.objects.filter(action="run.start").first()
    assert (entry.actor, entry.actor_name) == (None, f"schedule {schedule.pk}")


def test_it_starts_once_and_is_due_again_the_next_day(candidate: Candidate, suite: Suite) -> None:
    schedule = nightly(suite, candidate)
    for _turn in range(3):
        schedules.tick()
    assert Run.objects.count() == 1
    schedule.refresh_from_db()
    now = timezone.now()
    assert now < schedule.next_at <= now + timedelta(days=1)
    assert schedule.next_at.strftime("%H:%M") == "02:00"


def test_nights_that_were_missed_run_once(candidate: Candidate, suite: Suite) -> None:
    schedule = nightly(suite, candidate)
    missed(schedule, timedelta(days=9))
    schedules.tick()
    carry_out(Run.objects.get())
    schedules.tick()
    assert Run.objects.count() == 1
    assert Schedule.objects.get().next_at > timezone.now()


def test_the_database_takes_no_second_run_for_the_same_time(
    candidate: Candidate, suite: Suite
) -> None:
    """Even a clock that has missed what another one did."""
    schedule = nightly(suite, candidate)
    due_at = schedule.next_at
    schedules.tick()
    carry_out(Run.objects.get())
    Schedule.objects.update(next_at=due_at)
    schedules.tick()
    assert Run.objects.count() == 1
    firing = Firing.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Firing.objects.create(model=firing.model, due=firing.due, outcome=Outcome.STARTED)


def test_each_time_measures_anew(candidate: Candidate, suite: Suite) -> None:
    schedule = nightly(suite, candidate)
    for _night in range(3):
        missed(schedule, timedelta(minutes=1))
        schedules.tick()
        carry_out(Run.objects.order_by("-pk")[0])
    assert sorted(Run.objects.values_list("repeat", "state")) == [
        (0, JobState.DONE), (1, JobState.DONE), (2, JobState.DONE),
    ]  # fmt: skip


def test_a_run_that_is_still_at_work_is_not_started_again(
    candidate: Candidate, suite: Suite
) -> None:
    schedule = nightly(suite, candidate)
    schedules.tick()
    missed(schedule, timedelta(minutes=1))
    schedules.tick()
    assert Run.objects.count() == 1
    firing = Firing.objects.first()
    assert (firing.outcome, firing.run, firing.message) == (
        Outcome.SKIPPED, Run.objects.get(), schedules.STILL,
    )  # fmt: skip
    carry_out(Run.objects.get())
    missed(schedule, timedelta(minutes=1))
    schedules.tick()
    assert Run.objects.count() == 2


def test_the_same_that_a_person_has_started_is_left_to_them(
    candidate: Candidate, suite: Suite
) -> None:
    theirs = runs.start(candidate, suite)
    nightly(suite, candidate)
    schedules.tick()
    firing = Firing.objects.get()
    assert (firing.outcome, firing.run) == (Outcome.SKIPPED, theirs)
    assert "already" in firing.message


def test_a_run_that_stopped_at_its_budget_is_followed_by_a_new_one(
    candidate: Candidate, suite: Suite
) -> None:
    schedule = nightly(suite, candidate, budget_tokens=20)
    schedules.tick()
    assert carry_out(Run.objects.get()).state == JobState.STOPPED
    missed(schedule, timedelta(minutes=1))
    schedules.tick()
    assert Run.objects.count() == 2


def test_the_newest_version_of_the_suite_is_measured(
    project: Project, candidate: Candidate, suite: Suite, tmp_path: Any
) -> None:
    nightly(suite, candidate)
    newer = suites.load(project, write_suite(tmp_path, [answer()], version=2))
    schedules.tick()
    assert Run.objects.get().suite == newer


def test_what_cannot_be_measured_is_said_and_keeps_nobody_else_away(
    project: Project, candidate: Candidate, suite: Suite
) -> None:
    weak = make_candidate(project, "A weak one", can=["chat", "completions"])
    gone = make_candidate(project, "Gone")
    nightly(suite, weak, gone, candidate)
    gone.delete()
    schedules.tick()
    assert outcomes() == [
        ("A weak one", "refused"), ("Candidate", "started"), ("Gone", "refused"),
    ]  # fmt: skip
    said = dict(Firing.objects.values_list("model__name", "message"))
    assert "Log-probabilities" in said["A weak one"]
    assert said["Gone"] == schedules.NO_MODEL
    assert schedules.lines(project)[0].problem == schedules.NO_MODEL


def test_a_suite_that_is_gone_is_said_with_the_way_out(
    candidate: Candidate, suite: Suite, as_erik: Client
) -> None:
    nightly(suite, candidate)
    suite.delete()
    schedules.tick()
    assert Firing.objects.get().message == schedules.NO_SUITE
    page = as_erik.get(reverse("evals:schedules")).content.decode()
    assert "Install it again, or edit the schedule and choose another." in page


def test_a_paused_one_starts_nothing_and_does_not_make_up_for_it(
    candidate: Candidate, suite: Suite
) -> None:
    schedule = nightly(suite, candidate)
    schedules.pause(schedule, True)
    schedules.tick()
    schedules.pause(schedule, False)
    schedules.tick()
    assert not Run.objects.exists()
    assert Schedule.objects.get().next_at > timezone.now()
    entries = AuditEntry.objects.filter(action__startswith="schedule.").order_by("pk")
    actions = entries.values_list("action", flat=True)
    assert list(actions) == ["schedule.create", "schedule.pause", "schedule.resume"]


def test_an_unexpected_error_is_said_and_does_not_come_back_every_second(
    candidate: Candidate, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("odd")

    nightly(suite, candidate)
    monkeypatch.setattr(runs, "start", broken)
    schedules.tick()
    schedules.tick()
    assert Firing.objects.get().message == schedules.UNEXPECTED


def test_the_clock_calls_it_every_few_seconds(
    candidate: Candidate, suite: Suite, settings: Any
) -> None:
    entries = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}
    assert entries["workers.due"] == settings.SWEEP_SECONDS
    nightly(suite, candidate)
    due()
    assert Run.objects.count() == 1


def test_another_version_of_the_server_starts_a_run_and_the_same_one_does_not(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    model = looked(by_change(suite, candidate))
    assert model.known.endswith("stub 1.0")  # what is served now is where it begins
    assert looked(model).changes == 0
    stub.reset(version="stub 2.0")
    assert looked(model).known.endswith("stub 2.0")
    carry_out(Run.objects.get())
    looked(model)
    assert Run.objects.count() == 1
    stub.reset(version="stub 1.0")  # back is a change, too
    looked(model)
    assert list(Firing.objects.values_list("due", flat=True)) == ["change 2", "change 1"]
    assert Run.objects.count() == 2


def test_what_was_measured_before_another_version_came_is_measured_again(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    carry_out(runs.start(candidate, suite))
    stub.reset(version="stub 2.0")
    looked(by_change(suite, candidate))
    assert Firing.objects.get().outcome == Outcome.STARTED


def test_a_version_that_a_person_has_measured_is_not_measured_again(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    model = looked(by_change(suite, candidate))
    stub.reset(version="stub 2.0")
    carry_out(runs.start(candidate, suite))
    assert looked(model).known.endswith("stub 2.0")
    assert not Firing.objects.exists()


def test_a_change_during_a_pause_is_measured_afterwards(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    model = looked(by_change(suite, candidate))
    schedules.pause(model.schedule, True)
    stub.reset(version="stub 2.0")
    looked(model)
    assert not Firing.objects.exists()
    schedules.pause(model.schedule, False)
    looked(ScheduledModel.objects.get())
    assert Firing.objects.get().outcome == Outcome.STARTED


def test_a_server_that_tells_no_version_for_once_is_no_change(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    known = looked(by_change(suite, candidate)).known
    stub.reset(version="")
    model = looked(ScheduledModel.objects.get())
    assert (model.known, model.changes) == (known, 0)
    assert not Firing.objects.exists()


def test_another_model_behind_the_endpoint_starts_a_run_once_it_is_checked(
    candidate: Candidate, suite: Suite
) -> None:
    model = looked(by_change(suite, candidate))
    endpoint = Endpoint.objects.get(candidate=candidate)
    candidates.change_endpoint(
        endpoint, base_url=endpoint.base_url, served_model="stub-v2", concurrency=4
    )
    looked(model)
    assert not Firing.objects.exists()  # its check is still at work
    endpoint.probes.all().delete()
    make_probe(endpoint)
    looked(model)
    assert Run.objects.get().endpoint_revision == 2


def test_a_server_that_is_away_is_no_change(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    model = looked(by_change(suite, candidate))
    Endpoint.objects.update(base_url="http://127.0.0.1:9/v1")
    known = model.known
    assert looked(model).known == known
    assert not Firing.objects.exists()


def test_a_change_during_the_last_run_is_tried_again(
    candidate: Candidate, suite: Suite, stub: StubServer
) -> None:
    model = looked(by_change(suite, candidate))
    stub.reset(version="stub 2.0")
    looked(model)
    stub.reset(version="stub 3.0")
    looked(model)
    looked(model)
    assert Run.objects.count() == 1
    assert [f.outcome for f in Firing.objects.all()] == [Outcome.SKIPPED, Outcome.STARTED]
    carry_out(Run.objects.get())
    Run.objects.update(server="stub stub 2.0")  # it had begun before the change
    looked(model)
    assert Run.objects.count() == 2
    assert [f.outcome for f in Firing.objects.all()] == [Outcome.STARTED, Outcome.STARTED]


def test_the_clock_has_servers_looked_at_now_and_then(
    candidate: Candidate, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(broker, "poke", lambda name, pk: asked.append((name, pk)))
    model = by_change(suite, candidate)
    schedules.tick()
    schedules.tick()
    assert asked == [(look_for_change.name, model.pk)]
    ScheduledModel.objects.update(looked_at=timezone.now() - schedules.LOOK_EVERY)
    schedules.tick()
    assert len(asked) == 2
    schedules.pause(model.schedule, True)
    ScheduledModel.objects.update(looked_at=None)
    schedules.tick()
    assert len(asked) == 2


def fields(suite: Suite, *chosen: Candidate, **more: Any) -> dict[str, Any]:
    return {
        "suite": suite.slug, "candidates": [c.pk for c in chosen], "every": "day", "at": "03:15",
    } | more  # fmt: skip


def test_a_person_makes_changes_pauses_and_deletes_one(
    project: Project, candidate: Candidate, suite: Suite, as_erik: Client
) -> None:
    new = reverse("evals:schedule_new")
    assert as_erik.post(new, fields(suite, candidate, languages=["de"])).status_code == 302
    made = Schedule.objects.get()
    assert (made.when, made.languages, made.created_by.username) == (
        "every day at 03:15", ["de"], "erik",
    )  # fmt: skip
    page = as_erik.get(reverse("evals:schedules")).content.decode()
    assert "every day at 03:15" in page and "not yet" in page

    edit = reverse("evals:schedule_edit", args=[made.pk])
    assert 'value="03:15"' in as_erik.get(edit).content.decode()
    other = make_candidate(project, "Other")
    weekly = fields(suite, candidate, other, every="week", weekday="6")
    as_erik.post(edit, weekly)
    made = Schedule.objects.get()
    assert (made.when, made.weekday, made.models.count()) == ("every Sunday at 03:15", 6, 2)
    as_erik.post(edit, fields(suite, other, every="change", weekday="6"))
    made = Schedule.objects.get()
    assert (made.at, made.weekday, made.next_at) == (None, None, None)
    assert [model.name for model in made.models.all()] == ["Other"]

    as_erik.post(reverse("evals:schedule_pause", args=[made.pk]), {"on": "1"})
    assert Schedule.objects.get().paused
    as_erik.post(reverse("evals:schedule_pause", args=[made.pk]), {"on": "0"})
    assert not Schedule.objects.get().paused
    schedules.tick()
    as_erik.post(reverse("evals:schedule_delete", args=[made.pk]))
    assert not Schedule.objects.exists()
    actions = AuditEntry.objects.filter(actor__username="erik").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "schedule.create", "schedule.change", "schedule.change", "schedule.pause",
        "schedule.resume", "schedule.delete",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"at": ""}, "at"),
        ({"at": "25:00"}, "at"),
        ({"every": "week"}, "weekday"),
        ({"suite": "nothing"}, "suite"),
        ({"candidates": []}, "candidates"),
        ({"languages": ["xx"]}, "languages"),
        ({"budget_tokens": "0"}, "budget_tokens"),
        ({"budget_money": "1"}, "budget_money"),
    ],
)
def test_what_is_wrong_is_named(
    candidate: Candidate, suite: Suite, as_erik: Client, wrong: dict[str, Any], field: str
) -> None:
    answer = as_erik.post(reverse("evals:schedule_new"), fields(suite, candidate) | wrong)
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not Schedule.objects.exists()


def test_the_history_is_kept_when_a_schedule_is_changed(
    candidate: Candidate, suite: Suite, as_erik: Client
) -> None:
    schedule = nightly(suite, candidate)
    schedules.tick()
    edit = reverse("evals:schedule_edit", args=[schedule.pk])
    as_erik.post(edit, fields(suite, candidate))
    assert Firing.objects.count() == 1
    assert f"Run {Run.objects.get().pk}" in as_erik.get(edit).content.decode()


def test_a_list_costs_the_same_however_long_it_is(
    project: Project,
    suite: Suite,
    as_erik: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    chosen = [make_candidate(project, f"m{number}") for number in range(4)]
    counts = []
    for _more in range(2):
        nightly(suite, *chosen)
        nightly(suite, *chosen)
        schedules.tick()
        with django_assert_max_num_queries(12) as asked:
            as_erik.get(reverse("evals:schedules"))
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_the_api_makes_reads_changes_and_deletes_one(
    project: Project, candidate: Candidate, suite: Suite
) -> None:
    ask = Asking(project)
    body = {
        "suite": suite.slug, "candidates": [candidate.name], "every": "week", "at": "02:00",
        "weekday": "sunday", "budget_tokens": 10**6,
    }  # fmt: skip
    made = ask.post("/schedules", body)
    assert made.status_code == 201, made.content
    found = made.json()
    path = f"/schedules/{found['id']}"
    assert made["Location"] == f"/api/v1{path}"
    assert (found["weekday"], found["at"], found["budget_tokens"]) == ("sunday", "02:00", 10**6)
    assert found["models"] == [{"candidate": candidate.pk, "name": "Candidate", "last": None}]
    assert ask.get("/schedules").json() == [ask.get(path).json()]

    paused = ask.send("patch", path, {"paused": True}).json()
    assert (paused["paused"], paused["next_at"]) == (True, None)
    changed = ask.send("patch", path, {"every": "day", "at": "04:30", "paused": False}).json()
    assert (changed["every"], changed["at"], changed["weekday"]) == ("day", "04:30", None)
    assert changed["next_at"] and changed["budget_tokens"] == 10**6
    missed(Schedule.objects.get(), timedelta(minutes=1))
    schedules.tick()
    last = ask.get(path).json()["models"][0]["last"]
    assert (last["outcome"], last["run"]) == ("started", Run.objects.get().pk)

    no = ask.send("patch", path, {"candidates": ["Nobody"]})
    assert (no.status_code, no.json()["errors"][0]["field"]) == (422, "candidates")
    no = ask.post("/schedules", body | {"weekday": None})
    assert (no.status_code, no.json()["errors"][0]["field"]) == (422, "weekday")
    assert ask.send("delete", path).status_code == 204
    assert ask.get(path).status_code == 404
    assert Run.objects.count() == 1


def test_money_needs_a_price_when_it_is_kept_and_when_it_starts(
    project: Project, candidate: Candidate, suite: Suite
) -> None:
    ask = Asking(project)
    body = fields(suite, candidate) | {"budget_money": 2.5}
    assert ask.post("/schedules", body).json()["errors"][0]["field"] == "budget_money"
    nightly(suite, candidate, budget_money=Decimal("2.5"))
    schedules.tick()
    assert "needs a price" in Firing.objects.get().message
