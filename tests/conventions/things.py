"""One of each thing that an address can name, all in one project."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from evals import imports, schedules
from evals.models import (
    Benchmark,
    Candidate,
    Endpoint,
    EuroEvalRun,
    KeptQuestion,
    Part,
    QuestionSet,
    Run,
    Sample,
    SavedBoard,
    Schedule,
    Suite,
    TrustedKey,
    WaitingPack,
)
from portal.accounts import invitations, keys
from portal.accounts.models import Membership, Project, Role, User
from tests.evals.packing import packed


class Things(NamedTuple):
    """Primary keys and words, by the name they have in ``ADDRESSES``."""

    project: Project
    candidate: int
    suite: int
    slug: str
    run: int
    sample: int
    benchmark: int
    membership: int
    invitation: int
    key: int
    question: int
    board: str
    kept: int
    waiting_pack: int
    trusted_key: int
    euroeval: int
    schedule: int
    doc_id: int = 0
    label: str = "evals.run"
    kind: str = "csv"
    help_page: str = "rate-how"
    token: str = "no-such-token"


def make_things(project: Project) -> Things:
    """A candidate with an unfinished run of one benchmark and one sample, and a kept question."""
    candidate = Candidate.objects.create(project=project, name="Alder-7B")
    Endpoint.objects.create(
        candidate=candidate, base_url="http://127.0.0.1:9/v1", served_model="alder"
    )
    questions = QuestionSet.objects.create(sha256="0" * 64, count=1, lines='{"question": "?"}')
    suite = Suite.objects.create(project=project, slug="things", name="Things", sha256="0" * 64)
    benchmark = Benchmark.objects.create(
        suite=suite, position=1, name="things_en", title="Things", family="things", language="en",
        engine="lm_eval", scoring="options", metric="acc", questions=questions,
    )  # fmt: skip
    run = Run.objects.create(
        candidate=candidate, suite=suite, endpoint_revision=1, options_hash="0", total=1
    )
    part = Part.objects.create(run=run, benchmark=benchmark, total=1)
    sample = Sample.objects.create(part=part, doc_id=0, prompt="?", target="!", error="refused")
    person = User.objects.create_user("newcomer")
    membership = Membership.objects.create(project=project, user=person, role=Role.RATER)
    invitation, _token = invitations.create(project, Role.VIEWER, by=None)
    key, _secret = keys.issue(project, "CI", ["read"], by=None)
    question = KeptQuestion.objects.create(project=project, messages=[], answer="!")
    board = SavedBoard.objects.create(project=project, slug="mine", name="Mine")
    board.suites.add(suite)
    ranks = imports.receive(project, [imports.File("board.csv", b"model,Elo\nAlder-7B,1200\n")])
    kept = imports.confirm(ranks, source="A board", dated=date(2026, 1, 2))
    waiting = WaitingPack.objects.create(project=project, name="a.zip", content=packed())
    trusted = TrustedKey.objects.create(project=project, name="Munich", public_key="A" * 43 + "=")
    euroeval = EuroEvalRun.objects.create(candidate=candidate, endpoint_revision=1)
    schedule = Schedule.objects.create(project=project, suite_slug=suite.slug, every="change")
    schedules.keep(schedule, [candidate])
    return Things(
        project, candidate.pk, suite.pk, suite.slug, run.pk, sample.pk, benchmark.pk,
        membership.pk, invitation.pk, key.pk, question.pk, board.slug, kept.pk, waiting.pk,
        trusted.pk, euroeval.pk, schedule.pk,
    )  # fmt: skip
