"""Fill a database with a big project: candidates × benchmarks × samples, the same every time.

    DATABASE_URL=sqlite:////tmp/bench-sqlite/portal.sqlite3 \\
        .venv/bin/python -m tests.benchmarks.seed --candidates 50 --benchmarks 50 --samples 500

Rows are written by the database's bulk way (COPY on PostgreSQL), past the models; texts have the
size of real prompts. Sign in as ``bench`` with ``PASSWORD``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

PASSWORD = "a-bench-of-oak-and-iron"
PROJECT = "Benchmark of pages"
LANGUAGES = ("de", "en", "fr", "es", "it", "nl", "da", "sv", "nb", "pl")
FAMILIES = ("knowledge", "reading", "sentiment", "acceptability", "common-sense")
SIZES = (1.1, 3.0, 7.2, 8.0, 13.0, 22.0, 32.0, 70.0)
LICENCES = ("Apache-2.0", "MIT", "Llama 3.1", "CC-BY-NC-4.0")
QUANTISATIONS = ("", "AWQ", "GPTQ", "FP8")
WORDS = (
    "der Vertrag gilt ab dem Tag an dem beide Seiten ihn gezeichnet haben und endet wenn eine "
    "Seite ihn mit einer Frist von drei Monaten kündigt sofern kein wichtiger Grund vorliegt"
)
FAILED_SHARE = 0.01  # samples without an answer; a score stays valid up to 5 %


class Size(NamedTuple):
    candidates: int = 50
    benchmarks: int = 50
    samples: int = 500


def seed(size: Size) -> None:
    """The whole project; the tables exist already. Nothing happens when it is there."""
    from portal.accounts.models import Membership, Project, Role, User

    if Project.objects.filter(name=PROJECT).exists():
        return
    project = Project.objects.create(name=PROJECT)
    user = User.objects.create_user("bench", password=PASSWORD)
    Membership.objects.create(project=project, user=user, role=Role.ADMIN)
    benchmarks = _suite(project, size)
    _results(_candidates(project, size.candidates), benchmarks, size.samples)


def _suite(project: Any, size: Size) -> list[Any]:
    from django.utils import timezone

    from evals.models import Benchmark, QuestionSet, Suite

    suite = Suite.objects.create(
        project=project, slug="wide", name="Wide suite", sha256="0" * 64, tags=["knowledge"]
    )
    rows = []
    for position in range(size.benchmarks):
        per_language = max(1, size.benchmarks // len(LANGUAGES))
        language = LANGUAGES[position // per_language % len(LANGUAGES)]
        family = FAMILIES[position % len(FAMILIES)]
        lines = "".join(
            json.dumps({"question": _words(position, n, 60), "choices": list("ABCD"), "answer": 1})
            + "\n"
            for n in range(size.samples)
        )
        questions = QuestionSet.objects.create(
            sha256=hashlib.sha256(f"{position}{lines}".encode()).hexdigest(),
            count=size.samples,
            lines=lines,
        )
        generated = position % 5 in (2, 3)
        rows.append(
            Benchmark(
                suite=suite,
                position=position,
                name=f"{family}-{language}-{position}",
                title=f"{family.capitalize()} {position}",
                family=family,
                language=language,
                engine="lm_eval",
                scoring="generate" if generated else "options",
                metric="exact_match" if generated else "acc",
                questions=questions,
                tags=[family],
                task={"output_type": "generate_until" if generated else "multiple_choice"},
            )
        )
    Benchmark.objects.bulk_create(rows)
    Suite.objects.filter(pk=suite.pk).update(frozen_at=timezone.now())
    return list(suite.benchmarks.all())


def _candidates(project: Any, count: int) -> list[Any]:
    from django.utils import timezone

    from evals.models import Candidate, Endpoint, Probe
    from workers.models import JobState

    made = []
    for number in range(count):
        candidate = Candidate.objects.create(
            project=project,
            name=f"Model {number:02} {SIZES[number % len(SIZES)]:g}B",
            base_model=f"bench/model-{number:02}",
            parameters=SIZES[number % len(SIZES)],
            quantisation=QUANTISATIONS[number % len(QUANTISATIONS)],
            licence=LICENCES[number // 3 % len(LICENCES)],
            languages=list(LANGUAGES),
        )
        endpoint = Endpoint.objects.create(
            candidate=candidate,
            base_url=f"http://127.0.0.1:9/{number}/v1",
            served_model=f"model-{number:02}",
        )
        Probe.objects.create(
            endpoint=endpoint,
            endpoint_revision=1,
            state=JobState.DONE,
            finished_at=timezone.now(),
            server="bench 1.0",
            verdicts=[],
            capabilities={"chat": True, "completions": True, "loglikelihood": True},
        )
        made.append(candidate)
    return made


def _results(candidates: Sequence[Any], benchmarks: Sequence[Any], count: int) -> None:
    """A finished run per candidate, its parts, samples and scores."""
    from django.db import transaction
    from django.utils import timezone

    from evals.models import Part, Run
    from workers.models import JobState

    now = timezone.now()
    texts = [_texts(benchmark, count) for benchmark in benchmarks]
    for number, candidate in enumerate(candidates):
        rng = np.random.default_rng([7, number])
        begun = now - timedelta(hours=2 * (len(candidates) - number))
        with transaction.atomic():
            run = Run.objects.create(
                candidate=candidate,
                suite=benchmarks[0].suite,
                endpoint_revision=1,
                options_hash="0" * 16,
                state=JobState.DONE,
                started_at=begun,
                finished_at=begun + timedelta(minutes=40),
                worked_seconds=2400.0,
                server="bench 1.0",
                software={"lm_eval": "0.4"},
            )
            values = [_values(rng, number, position, count) for position in range(len(benchmarks))]
            spent = [_spent(rng, count) for _ in benchmarks]
            parts = Part.objects.bulk_create(
                _part(run, benchmark, mine, costs, begun)
                for benchmark, mine, costs in zip(benchmarks, values, spent, strict=True)
            )
            _scores(parts, values, rng)
            for part, mine, costs, known in zip(parts, values, spent, texts, strict=True):
                _write_samples(_sample_rows(part, mine, costs, known, now))
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{len(candidates)} candidates", end="", file=sys.stderr)


def _values(rng: np.random.Generator, number: int, position: int, count: int) -> np.ndarray:
    """0/1 by skill and difficulty, NaN where the server failed."""
    chance = 1 / (1 + np.exp(-(0.03 * number - 0.5 + rng.normal(0, 0.2) - 0.02 * position)))
    values = (rng.random(count) < chance).astype(float)
    values[rng.random(count) < FAILED_SHARE] = np.nan
    return values


class Spent(NamedTuple):
    prompt: np.ndarray
    completion: np.ndarray
    latency: np.ndarray


def _spent(rng: np.random.Generator, count: int) -> Spent:
    return Spent(
        rng.integers(120, 400, count), rng.integers(1, 40, count), rng.gamma(4.0, 60.0, count)
    )


def _part(run: Any, benchmark: Any, values: np.ndarray, spent: Spent, begun: Any) -> Any:
    from evals.models import Part
    from workers.models import JobState

    answered = ~np.isnan(values)
    return Part(
        run=run,
        benchmark=benchmark,
        state=JobState.DONE,
        total=len(values),
        done=int(answered.sum()),
        errors=int((~answered).sum()),
        started_at=begun,
        finished_at=begun + timedelta(minutes=40),
        values=[None if np.isnan(value) else float(value) for value in values],
        prompt_tokens=int(spent.prompt[answered].sum()),
        completion_tokens=int(spent.completion[answered].sum()),
        counted=int(answered.sum()),
        value_sum=float(np.nansum(values)),
        latency_sum_ms=float(spent.latency[answered].sum()),
    )


def _scores(parts: Sequence[Any], values: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    from evals.models import Score
    from evals.stats.intervals import wilson

    rows = []
    for part, mine in zip(parts, values, strict=True):
        answered = mine[~np.isnan(mine)]
        names = [part.benchmark.metric]
        if part.benchmark.scoring == "options":
            names += ["acc_norm", "p_gold", "nll", "brier", "margin"]
        found = wilson(int(answered.sum()), len(answered))
        rows += [
            Score(
                part=part,
                metric=name,
                value=found.value,
                low=found.low,
                high=found.high,
                method=found.method,
                asked=len(mine),
                answered=len(answered),
                valid=len(answered) >= 0.95 * len(mine),
            )
            for name in names
        ]
    Score.objects.bulk_create(rows, batch_size=500)


class Text(NamedTuple):
    prompt: str
    choices: list[str]


def _texts(benchmark: Any, count: int) -> list[Text]:
    """What each question of ``benchmark`` looks like, the same for every candidate."""
    out = []
    for number in range(count):
        question = _words(benchmark.position, number, 90)
        choices = [f"{letter} {_words(number, k, 4)}" for k, letter in enumerate("ABCD")]
        prompt = f"{question}\n" + "\n".join(choices) + "\nAntwort:"
        if benchmark.scoring == "generate":
            prompt = json.dumps([{"role": "user", "content": prompt}], ensure_ascii=False)
        out.append(Text(prompt, choices))
    return out


COLUMNS = (
    "part_id", "doc_id", "prompt", "target", "answer", "correct", "value", "metrics", "choices",
    "loglikelihoods", "p_gold", "margin", "nll", "brier", "prompt_tokens", "completion_tokens",
    "latency_ms", "attempts", "raw", "finish_reason", "error", "error_kind", "created_at",
)  # fmt: skip


def _sample_rows(
    part: Any, values: np.ndarray, spent: Spent, texts: Sequence[Text], now: Any
) -> Iterator[tuple[Any, ...]]:
    metric, options = part.benchmark.metric, part.benchmark.scoring == "options"
    for doc_id, (prompt, choices) in enumerate(texts):
        value = float(values[doc_id])
        failed = np.isnan(value)
        right = value == 1.0
        answer = "" if failed else choices[1] if right else choices[(doc_id + 2) % 4]
        lls = [-3.2, -1.1 if right else -2.4, -2.9, -1.9 if not right else -4.0]
        yield (
            part.pk, doc_id, prompt, choices[1], answer,
            None if failed else bool(right),
            None if failed else value,
            "{}" if failed else json.dumps({metric: value}),
            json.dumps(choices) if options else "[]",
            json.dumps(lls) if options and not failed else "[]",
            *((0.6, 0.8, 0.5, 0.2) if options and not failed else (None,) * 4),
            None if failed else int(spent.prompt[doc_id]),
            None if failed else int(spent.completion[doc_id]),
            None if failed else float(spent.latency[doc_id]),
            3 if failed else 1,
            "" if options or failed else f"{answer}. {_words(doc_id, 3, 12)}",
            "" if options or failed else "stop",
            "HTTP 503: overloaded" if failed else "",
            "server error" if failed else "",
            now,
        )  # fmt: skip


def _write_samples(rows: Iterable[tuple[Any, ...]]) -> None:
    from django.db import connection

    columns = ", ".join(COLUMNS)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY evals_sample ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join(["%s"] * len(COLUMNS))
        cursor.executemany(f"INSERT INTO evals_sample ({columns}) VALUES ({marks})", list(rows))


def _words(seed: int, number: int, count: int) -> str:
    words = WORDS.split()
    start = (seed * 31 + number * 17) % len(words)
    picked = [words[(start + k * (1 + number % 5)) % len(words)] for k in range(count)]
    return f"{number}: {' '.join(picked)}"


def prepare(size: Size) -> None:
    """Tables, data and the planner's statistics, in the database of ``DATABASE_URL``."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    seed(size)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def add_size_options(parser: argparse.ArgumentParser) -> None:
    for name, value in Size()._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_size_options(parser)
    given = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.settings")
    prepare(Size(given.candidates, given.benchmarks, given.samples))


if __name__ == "__main__":
    main()
