"""A project as a team has it after some weeks: small, but with everything that pages show."""

from __future__ import annotations

import json
import random
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils import timezone

from evals import (
    boards,
    candidates,
    euroeval,
    exports,
    imports,
    packs,
    runs,
    schedules,
    suites,
)
from evals.costs import Budget
from evals.models import (
    Candidate,
    EuroEvalRun,
    ExternalResult,
    Firing,
    Import,
    KeptQuestion,
    Part,
    Run,
    Sample,
    SavedBoard,
    Schedule,
    ScheduledModel,
    Suite,
)
from evals.models.imports import Kind
from evals.models.schedules import Outcome
from portal.accounts import invitations, keys
from portal.accounts.models import ApiKey, Project, Role, User
from tests.evals.making import EVERYTHING, answer, choice, make_candidate, make_run, make_suite
from tests.evals.packing import packed
from tests.evals.styling import style_run
from tests.portal.people import make_person
from workers.models import JobState

LANGUAGES = ("de", "en", "fr", "pl")
FAMILIES = {"knowledge": "Knowledge", "reading": "Reading comprehension", "sentiment": "Sentiment"}
QUESTION = (
    "Answer with one letter.\n\nWelche Stadt ist die Hauptstadt von Thüringen?\n"
    "A. Weimar\nB. Erfurt\nC. Jena\nD. Das Donaudampfschifffahrtsgesellschaftsbüro\nAnswer:"
)
PER_TOKEN = {
    "pricing": "token",
    "currency": "EUR",
    "per_million_prompt": Decimal("0.15"),
    "per_million_answer": Decimal("0.60"),
}
PER_HOUR = {"pricing": "gpu_hour", "currency": "EUR", "per_gpu_hour": Decimal("2.5"), "gpus": 2}
BOARD = "Modell;ARC;HellaSwag\nAlder-7B;79,15;60\nBirch ünd more;;61,2 %\n".encode()
SHORT = ("chat", "completions")
TRUSTED = "A" * 43 + "="
UNBROKEN = "Hazel_1.5B_instruct_merged_from_seven_checkpoints"  # breaks no page that is narrow


class Team(NamedTuple):
    """What addresses name, by the words that ``tests/browser/test_every_page.py`` uses."""

    project: Project
    models: list[Candidate]
    suite: Suite
    run: Run  # with samples of every outcome
    working: Run
    waiting: Run  # for its server
    stopped: Run
    spent: Run  # its budget
    sample: int
    benchmark: int
    board: int  # imported
    preview: int  # not yet
    harness: int  # imported, of lm-eval with its samples
    people: dict[str, User]
    invitation: str
    password: str
    pack: int  # waits, of an unknown signer
    schedule: int


def make_team() -> Team:
    people = {
        name: make_person(name, role)
        for name, role in {
            "alice": Role.ADMIN, "erik": Role.ENGINEER, "vera": Role.VIEWER, "rosa": Role.RATER,
        }.items()
    }  # fmt: skip
    alice, erik = people["alice"], people["erik"]
    User.objects.filter(pk=alice.pk).update(is_superuser=True, first_name="Alice", email="a@b.de")
    project = Project.objects.get(name="Claims assistant")
    new = Project.objects.create(name="Quite new")
    people["nina"] = make_person("nina", Role.ADMIN, new)
    people["mallory"] = make_person("mallory", None)
    models = make_models(project)
    suite = make_big_suite(project)
    make_suite(project)  # not used yet
    candidates.set_price(models[0].endpoint, by=erik, **PER_HOUR)
    candidates.set_price(models[0].endpoint, by=erik, **PER_TOKEN)
    candidates.set_price(models[1].endpoint, by=erik, **PER_HOUR)
    first = [measured(model, suite, share) for model, share in zip(models, SHARES, strict=False)]
    run = measured(models[0], suite, 0.85, failed=2)
    spent = underway(models[1], suite, budget=Budget(2_000_000, Decimal("1.50")))
    Part.objects.filter(run=spent).update(state=JobState.STOPPED, finished_at=timezone.now())
    spent.settle()
    Run.objects.filter(pk=spent.pk).update(stopped_by="tokens", message="Stopped at its budget.")
    working, stopped, waiting = (underway(models[at], suite) for at in (1, 2, 0))
    Part.objects.filter(run=working).update(state=JobState.RUNNING, started_at=timezone.now())
    working.settle()
    Part.objects.filter(run=waiting).update(
        state=JobState.RUNNING, started_at=timezone.now(), waiting_since=timezone.now(),
        waiting_for="http://gpu-node-00.cluster.example.internal:8000/v1: connection refused",
    )  # fmt: skip
    waiting.settle()
    Part.objects.filter(run=stopped).update(
        state=JobState.FAILED, message="The server refused the connection.\nIs it running?",
        finished_at=timezone.now(),
    )  # fmt: skip
    stopped.settle()
    Run.objects.filter(pk=first[0].pk).update(created_at=timezone.now() - timedelta(days=40))
    candidates.change_endpoint(
        models[3].endpoint, base_url=models[3].endpoint.base_url, served_model="oak-v2",
        concurrency=4, by=erik,
    )  # fmt: skip
    make_styles(project, models)
    keep_questions(project, models[0], erik)
    make_euroeval(models[0])
    make_keys(project, alice)
    board = SavedBoard(project=project, slug="europe", name="European knowledge", languages=["de"])
    boards.keep(board, [suite], by=erik)
    SavedBoard.objects.filter(pk=board.pk).update(share_digest=keys.digest("shared-secret"))
    _open, link = invitations.create(project, Role.RATER, email="new@example.org", by=alice)
    _reset, password = invitations.password_link(project, people["vera"], by=alice)
    part = run.parts.get(benchmark__name="knowledge_de")
    sample = part.samples.filter(error="").first()
    board = imports.receive(project, [imports.File("board.csv", BOARD)], by=erik)
    preview = imports.receive(
        project, [imports.File("other.csv", BOARD + b"Oak;12,3.4;x\n")], by=erik
    )
    imports.confirm(
        board, source="A board", url="https://board.example/2026", dated=date(2026, 1, 2), by=erik
    )
    content = exports.lm_eval_files(first[1]).read()
    harness = imports.receive(project, [imports.File("run.zip", content)], by=erik)
    imports.confirm(harness, by=erik)
    pack = packs.keep(project, "small.pack.zip", packed(licence="CC-BY-NC-4.0", version=2), by=erik)
    packs.trust(project, "Munich", TRUSTED, by=alice)
    return Team(
        project, models, suite, run, working, waiting, stopped, spent, sample.pk,
        part.benchmark_id, board.pk, preview.pk, harness.pk, people,
        link, password, pack.pk, make_schedules(models, first[0], working, erik),
    )  # fmt: skip


SHARES = (0.8, 0.65, 0.6, 0.4)


def make_models(project: Project) -> list[Candidate]:
    """Four that are measured, one whose server can do little, one not checked, one broken."""
    rowan = {"parameters": 24, "quantisation": "AWQ-int4", "licence": "Apache-2.0"}
    facts = [
        ("Rowan-24B-instruct-2026-03-AWQ-int4", EVERYTHING, rowan),
        ("Alder-7B", EVERYTHING, {"parameters": 7, "licence": "Apache-2.0"}),
        (
            "Hazel_1.5B_instruct_merged_from_seven_checkpoints",
            EVERYTHING,
            {"parameters": 1.5, "quantisation": "bf16"},
        ),
        ("Oak-70B-chat", EVERYTHING, {"parameters": 70, "licence": "Llama 3.3 Community License"}),
        ("Old-Yew-3B", SHORT, {"parameters": 3}),
        ("Larch-13B", None, {}),
        ("Silent", (), {}),
    ]
    return [
        make_candidate(
            project, name, f"http://gpu-node-0{at}.cluster.example.internal:8000/v1", can=can,
            languages=["de", "en", "fr"], base_model=f"example/{name}", **more,
        )
        for at, (name, can, more) in enumerate(facts)
    ]  # fmt: skip


def make_big_suite(project: Project) -> Suite:
    """Four languages, three abilities, two ways of asking: more columns than fit on a screen."""
    entries = [
        choice(f"{family}_{code}", title=title, family=family, language=code, tags=[family])
        for code in LANGUAGES
        for family, title in FAMILIES.items()
    ]
    entries.append(answer("words_de", title="Short answers", family="words", tags=["rag"]))
    return make_suite(
        project, *entries, slug="abilities", name="Abilities", licence="CC0-1.0",
        description="Three abilities in four languages, to choose a model for our assistant.",
        tags=["assistant"],
    )  # fmt: skip


def measured(model: Candidate, suite: Suite, share: float, failed: int = 0) -> Run:
    """A finished run in which ``share`` of the answers are right and ``failed`` are missing."""
    rng = random.Random(model.name)
    values = {
        benchmark.name: [float(rng.random() < share) for _ in range(45)]
        for benchmark in suite.benchmarks.all()
    }
    for number in range(failed):
        values["knowledge_de"][40 + number] = None
    run = make_run(model, suite, values)
    samples = list(Sample.objects.filter(part__run=run).select_related("part__benchmark"))
    for sample in samples:
        fill(sample, rng)
    fields = [
        "prompt", "target", "answer", "choices", "loglikelihoods", "p_gold", "margin", "nll",
        "brier", "prompt_tokens", "completion_tokens", "latency_ms", "raw", "finish_reason",
    ]  # fmt: skip
    Sample.objects.bulk_update(samples, fields)
    Part.objects.filter(run=run).update(
        prompt_tokens=45 * 61, completion_tokens=45 * 3, counted=45, latency_sum_ms=45 * 180.0
    )
    Run.objects.filter(pk=run.pk).update(worked_seconds=93.0)
    run.refresh_from_db()
    return run


def fill(sample: Sample, rng: random.Random) -> None:
    """What a real exchange leaves behind."""
    sample.prompt, sample.target = QUESTION, "Erfurt"
    sample.prompt_tokens, sample.latency_ms = 61, 180.0 + rng.random() * 90
    if sample.error:
        return
    sample.answer = "Erfurt" if sample.correct else "Das Donaudampfschifffahrtsgesellschaftsbüro"
    sample.completion_tokens, sample.finish_reason = 3, "stop"
    if sample.part.benchmark.scoring == "options":
        sample.choices = ["Weimar", "Erfurt", "Jena", "Das Donaudampfschifffahrtsgesellschaftsbüro"]
        sample.loglikelihoods = [-4.2, -0.9, -5.5, -1.1]
        sample.p_gold, sample.margin, sample.nll, sample.brier = 0.52, 0.2, 0.65, 0.41
    else:
        sample.raw = f"{sample.answer}.\n\nIch hoffe, das hilft Ihnen weiter!"


def underway(model: Candidate, suite: Suite, **wishes: Any) -> Run:
    """A run that was started and has asked a few questions."""
    run = runs.start(model, suite, again=True, **wishes)
    run.parts.update(total=45, done=11)
    return run


def make_styles(project: Project, models: list[Candidate]) -> None:
    """Results of EuroEval-style tasks: whole, often not to be read, and with two missing."""
    suite = suites.install(project, "euro-style-chat")
    # Every language has its column; German and English alone have all that is in one.
    suite.benchmarks.exclude(language__in=("de", "en")).exclude(family="reading").delete()
    style_run(models[0], suite, 0.9)
    style_run(models[1], suite, 0.4, unread=0.2)
    missing = {f"euro_style_chat_{name}" for name in ("sentiment_de", "summary_en")}
    style_run(models[2], suite, 0.6, without=missing)
    records = [
        {
            "dataset": dataset, "task": dataset, "languages": [code], "few_shot": True,
            "model": name, "validation_split": False, "euroeval_version": "16.11.0",
            "results": {
                "raw": [{"mcc": share + at / 200} for at in range(10)],
                "total": {"test_mcc": 100 * share + 2.25},
            },
        }
        for name, share in (("acme/oak-70b-chat", 0.7), (UNBROKEN, 0.5), ("acme/yew-3b", 0.2))
        for dataset, code in (("scala-de", "de"), ("sb10k", "de"), ("scala-en", "en"))
        if (name, dataset) != ("acme/yew-3b", "sb10k")
    ]  # fmt: skip
    content = "\n".join(map(json.dumps, records)).encode()
    imports.confirm(imports.receive(project, [imports.File("euroeval.jsonl", content)]))


def make_schedules(models: list[Candidate], done: Run, working: Run, by: User) -> int:
    """One of each kind: every night, every week, paused, by change, without its suite."""
    project, suite = done.project, done.suite.slug
    nightly = Schedule(
        project=project, suite_slug=suite, at=time(2, 30), languages=["de", "fr"],
        budget_tokens=2_000_000, budget_money=Decimal("1.50"),
    )  # fmt: skip
    schedules.keep(nightly, models[:2], by=by)
    weekly = Schedule(project=project, suite_slug=suite, every="week", weekday=6, at=time(23))
    schedules.keep(weekly, [models[4]], by=by)
    schedules.pause(weekly, True, by=by)
    change = Schedule(project=project, suite_slug=suite, every="change", scoring="options")
    schedules.keep(change, [models[2], models[3]], by=by)
    models_of = ScheduledModel.objects
    models_of.filter(schedule=change, candidate=models[2]).update(
        known="1 vllm 0.11.0", looked_at=timezone.now()
    )
    schedules.keep(Schedule(project=project, suite_slug="gone", at=time(4)), [models[0]], by=by)
    for night, (run, outcome, message) in enumerate(
        [
            (done, Outcome.STARTED, ""),
            (working, Outcome.SKIPPED, schedules.STILL),
            (None, Outcome.REFUSED, schedules.UNEXPECTED),
        ]
    ):
        for model in models_of.filter(schedule__in=(nightly, weekly))[: night + 1]:
            Firing.objects.create(
                model=model, due=f"night {night}", run=run, outcome=outcome, message=message
            )
    return nightly.pk


def keep_questions(project: Project, model: Candidate, by: User) -> None:
    asked = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Was steht in § 433 BGB? " * 9},
    ]
    for note in ("Shows what a good answer looks like.", ""):
        KeptQuestion.objects.create(
            project=project, messages=asked, answer="Der Verkäufer einer Sache wird …\n" * 5,
            candidate=model, served_model="rowan", note=note, created_by=by,
        )  # fmt: skip


def make_euroeval(candidate: Candidate) -> EuroEvalRun:
    """One data set measured by the real EuroEval, one without a result."""
    source = Import.objects.create(
        project=candidate.project, kind=Kind.EUROEVAL, sha256="e" * 64, source="EuroEval",
        confirmed_at=timezone.now(),
    )  # fmt: skip
    for metric, value in (("mcc", 41.37), ("macro_f1", 58.2)):
        ExternalResult.objects.create(
            source=source, line=2, model=candidate.name, benchmark="scala-de", metric=metric,
            value=value, spread=1.31, spread_kind="resampling",
        )  # fmt: skip
    run = EuroEvalRun.objects.create(
        candidate=candidate, endpoint_revision=1, datasets=["scala-de", "germeval"], total=2,
        done=1, errors=1, state=JobState.FAILED, finished_at=timezone.now(),
        measured=["scala-de"], failed=["germeval"],
        message=f"{euroeval.NO_RESULT}\ngermeval",
        log="Benchmarking on the truncated version of the German named entity dataset\n"
        "ConnectionError: couldn't reach the hub",
    )  # fmt: skip
    run.imports.add(source)
    return run


def make_keys(project: Project, by: User) -> None:
    """One of each state."""
    now = timezone.now()
    keys.issue(project, "nightly CI on the cluster of the department", ["read", "run"], by)
    revoked, _secret = keys.issue(project, "laptop", ["read"], by)
    keys.revoke(revoked, by=by)
    expired, _secret = keys.issue(project, "trial", ["read", "run", "ingest"], by)
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=now - timedelta(days=1))
