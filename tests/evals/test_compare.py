"""Where candidates differ: figures, flips, and what they cost."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evals import candidates, compare, leaderboard
from evals.compare import Kind
from evals.models import Candidate, Part, Sample, Standing, Suite
from evals.stats.paired import mcnemar_exact, paired_difference
from evals.templatetags.evals import power_hint
from portal.accounts.models import Project, User
from tests.evals.making import (
    answer,
    choice,
    choice_rows,
    make_candidate,
    make_run,
    make_suite,
)

pytestmark = pytest.mark.django_db

# 20 samples: four both right, four only the first, twelve only the second.
FIRST = [1.0] * 8 + [0.0] * 12
SECOND = [1.0] * 4 + [0.0] * 4 + [1.0] * 12


@pytest.fixture
def suite(project: Project) -> Suite:
    return make_suite(project, choice(), answer())


@pytest.fixture
def two(project: Project, suite: Suite) -> list[Candidate]:
    first, second = make_candidate(project, "First"), make_candidate(project, "Second")
    make_run(first, suite, {"colours": FIRST, "words": [1.0, 0.0] * 10})
    make_run(second, suite, {"colours": SECOND, "words": [1.0, 0.0] * 10})
    return [first, second]


@pytest.fixture
def as_vera(client: Client, vera: User) -> Client:
    client.force_login(vera)
    return client


def url(*chosen: Candidate, name: str = "compare", args: tuple[Any, ...] = (), **query: Any) -> str:
    pairs = [f"m={candidate.pk}" for candidate in chosen]
    pairs += [f"{key}={value}" for key, value in query.items()]
    return reverse(f"evals:{name}", args=args) + "?" + "&".join(pairs)


def cells(suite: Suite, chosen: list[Candidate], benchmark: str) -> list[compare.Cell]:
    lines = compare.compare(suite, chosen).lines
    return next(line.cells for line in lines if line.benchmark.name == benchmark)


def test_the_difference_is_paired_and_says_whether_it_is_real(
    suite: Suite, two: list[Candidate]
) -> None:
    first, second = cells(suite, two, "colours")
    assert first.figures is None and (first.score.value, second.score.value) == (0.4, 0.8)
    gap, n, discordant, p = second.figures[:4]
    assert (round(gap.value, 9), n, discordant) == (0.4, 20, 16)
    assert 0 < gap.low < gap.value < gap.high
    assert p == pytest.approx(mcnemar_exact(12, 4))
    # 0.077 by McNemar: two benchmarks were looked at, so Holm doubles it.
    assert gap.p == pytest.approx(2 * p) and not gap.real
    _, words = cells(suite, two, "words")
    assert (words.figures.gap.value, words.figures.discordant, words.figures.gap.real) == (0, 0, 0)


def test_overall_it_says_what_the_board_says(suite: Suite, two: list[Candidate]) -> None:
    board = leaderboard.board(suite, leaderboard.View())
    best, other = board.ranked
    found = compare.compare(suite, [best.candidate, other.candidate])
    assert [row.value for row in found.overall] == [best.overall, other.overall]
    assert found.overall[1].figures.gap == other.gap


def test_the_order_decides_what_is_compared_to_what(suite: Suite, two: list[Candidate]) -> None:
    _, forth = cells(suite, two, "colours")
    _, back = cells(suite, two[::-1], "colours")
    assert back.figures.gap.value == pytest.approx(-forth.figures.gap.value)


def test_flips_come_first(suite: Suite, two: list[Candidate]) -> None:
    found = compare.compare(suite, two)
    flips = compare.flips(found)
    assert flips.counts == {"ahead": 4, "behind": 12, "wrong": 10, "same": 14}
    assert [flip.kind for flip in flips] == sorted(
        (flip.kind for flip in flips), key=Kind.values.index
    )
    colours = [line.benchmark.name for line in found.lines].index("colours")
    assert [flip[:2] for flip in flips[:4]] == [(colours, doc) for doc in range(4, 8)]
    assert list(compare.flips(found).of("ahead")) == flips[:4]
    assert list(compare.flips(found, "words").of("ahead")) == []
    assert {flip.line for flip in compare.flips(found, benchmark="colours")} == {colours}


def test_three_models_flip_when_one_of_them_differs(
    project: Project, suite: Suite, two: list[Candidate]
) -> None:
    third = make_candidate(project, "Third")
    make_run(third, suite, {"colours": [0.0] * 20, "words": [1.0, 0.0] * 10})
    flips = compare.flips(compare.compare(suite, [*two, third]), benchmark="colours")
    assert flips.counts == {"ahead": 8, "behind": 12, "wrong": 0, "same": 0}


def test_a_sample_that_one_did_not_answer_is_no_flip(
    project: Project, suite: Suite, two: list[Candidate]
) -> None:
    gappy = make_candidate(project, "Gappy")
    make_run(gappy, suite, {"colours": [*SECOND[:-1], None], "words": [1.0, 0.0] * 10})
    flips = compare.flips(compare.compare(suite, [two[0], gappy]), benchmark="colours")
    assert len(flips) == 19


def test_what_cannot_be_compared_says_why(project: Project, suite: Suite) -> None:
    full, half, moved = (make_candidate(project, name) for name in ("Full", "Half", "Moved"))
    make_run(full, suite, {"colours": FIRST, "words": FIRST})
    make_run(half, suite, {"colours": [1.0] * 10 + [None] * 10})
    make_run(moved, suite, {"colours": FIRST})
    endpoint = moved.endpoint
    candidates.change_endpoint(
        endpoint, base_url=endpoint.base_url, served_model="another", concurrency=4
    )
    _, colours_half, colours_moved = cells(suite, [full, half, moved], "colours")
    assert "fewer than 95 %" in colours_half.reason
    assert "before the endpoint changed" in colours_moved.reason
    assert colours_half.figures is colours_moved.figures is None
    _, words_half, _ = cells(suite, [full, half, moved], "words")
    assert words_half.reason == "not run"
    assert compare.compare(suite, [full, half]).overall == []


def test_only_the_newest_results_count(
    project: Project, suite: Suite, two: list[Candidate]
) -> None:
    make_run(two[1], suite, {"colours": FIRST, "words": FIRST})
    assert cells(suite, two, "colours")[1].score.value == 0.4
    assert "ahead" not in {f.kind for f in compare.flips(compare.compare(suite, two), "colours")}


def test_other_versions_of_a_suite_stay_apart(project: Project, suite: Suite) -> None:
    newer = make_suite(project, choice(), answer(), version=2)
    first, second = make_candidate(project, "First"), make_candidate(project, "Second")
    make_run(first, suite, {"colours": FIRST, "words": FIRST})
    make_run(second, newer, {"colours": SECOND, "words": SECOND})
    for one in (suite, newer):
        assert all(not line.comparable for line in compare.compare(one, [first, second]).lines)


def test_figures_are_kept_until_results_change(
    suite: Suite, two: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = compare.compare(suite, two).overall
    with monkeypatch.context() as patched:
        patched.setattr(compare, "_compute", None)
        assert compare.compare(suite, two).overall == before
    make_run(two[1], suite, {"colours": FIRST, "words": FIRST})
    assert compare.compare(suite, two).overall != before


def test_only_so_many_figures_are_kept(
    project: Project, suite: Suite, two: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "KEPT", 1)
    leaderboard.board(suite, leaderboard.View())
    compare.compare(suite, two)
    compare.compare(suite, two[::-1])
    views = set(Standing.objects.values_list("view", flat=True))
    assert views == {"|", f"compare|{two[1].pk},{two[0].pk}"} or len(views) == 2


def test_the_page_shows_figures_and_flips(as_vera: Client, two: list[Candidate]) -> None:
    text = as_vera.get(url(*two)).text
    assert "First" in text and "+40.0" in text and "could be chance" in text and "real" in text
    assert 'class="zero"' in text and "p 0.077" in text
    page = as_vera.get(url(*two, show="ahead", benchmark="colours"))
    assert [row["doc_id"] for row in page.context["rows"]] == [4, 5, 6, 7]
    assert [[s.correct for s in row["samples"]] for row in page.context["rows"]] == [
        [True, False]
    ] * 4


def test_the_choice_stands_in_the_address(
    as_vera: Client, project: Project, two: list[Candidate]
) -> None:
    assert "Choose two to four models" in as_vera.get(url()).text
    assert "Choose two to four models" in as_vera.get(url(two[0])).text
    assert as_vera.get(url(two[0], two[0], two[1])).context["chosen"] == two
    unmeasured = make_candidate(project, "New")
    assert "not run" in as_vera.get(url(two[0], unmeasured)).text
    assert "No results to compare" in as_vera.get(url(unmeasured, make_candidate(project))).text
    assert as_vera.get(url(*two, show="nonsense", benchmark="no", page="x")).status_code == 200


@pytest.mark.parametrize("m", ["x", "-1", "1' OR 1", "99999999", "9" * 40])
def test_a_model_that_is_not_there_is_not_found(
    as_vera: Client, two: list[Candidate], m: str
) -> None:
    assert as_vera.get(reverse("evals:compare"), {"m": [two[0].pk, m]}).status_code == 404


def test_models_of_another_project_do_not_exist(
    client: Client, mallory: User, two: list[Candidate], suite: Suite
) -> None:
    client.force_login(mallory)
    benchmark = suite.benchmarks.first()
    assert client.get(url(*two)).status_code == 404
    assert client.get(url(*two) + "&format=csv").status_code == 404
    sample = url(*two, name="compare_sample", args=(benchmark.pk, 1))
    assert client.get(sample).status_code == 404


def test_a_sample_stands_side_by_side_and_leads_to_the_next_flip(
    as_vera: Client, suite: Suite, two: list[Candidate]
) -> None:
    benchmark = suite.benchmarks.get(name="colours")
    evil = "<script>alert(1)</script>"
    Sample.objects.filter(part__run__candidate=two[1], doc_id=5).update(answer=evil)
    page = as_vera.get(url(*two, name="compare_sample", args=(benchmark.pk, 5), show="ahead"))
    assert page.context["previous"] == (benchmark.pk, 4) and page.context["next"] == (
        benchmark.pk,
        6,
    )
    assert [sample.correct for _cell, sample in page.context["answers"]] == [True, False]
    assert evil not in page.text and "&lt;script&gt;" in page.text
    missing = url(*two, name="compare_sample", args=(benchmark.pk, 500))
    assert as_vera.get(missing).status_code == 404


def test_the_files_hold_the_table(as_vera: Client, two: list[Candidate]) -> None:
    Candidate.objects.filter(pk=two[1].pk).update(name="=Second")
    response = as_vera.get(url(*two) + "&format=csv")
    assert 'filename="compare-small-v1.csv"' in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode("utf-8-sig"), newline="")))
    assert {row["model"] for row in rows} == {"First", "'=Second"}
    found = json.loads(as_vera.get(url(*two) + "&format=json").getvalue())
    colours = [row for row in found if row["benchmark"] == "colours"]
    assert colours[0]["difference"] is None and colours[1]["real"] is False
    assert len(found) == len(rows) == 6
    assert as_vera.get(url(*two) + "&format=xlsx").status_code == 404


@pytest.fixture
def wide(project: Project) -> tuple[Suite, list[Candidate]]:
    """Fifteen benchmarks in three languages; the fourth model has no valid French."""
    columns = [
        choice(f"{code}-{number}", language=code)
        for code in ("de", "en", "fr")
        for number in "12345"
    ]
    suite = make_suite(project, *columns, slug="wide")
    models = [make_candidate(project, name) for name in ("First", "Second", "Third", "Gappy")]
    for candidate in models:
        values: dict[str, list[float | None]] = {}
        for at, benchmark in enumerate(suite.benchmarks.all()):
            shift = (at + 3 * models.index(candidate)) % 20
            values[benchmark.name] = [*FIRST[shift:], *FIRST[:shift]]
            if candidate.name == "Gappy" and benchmark.language == "fr":
                values[benchmark.name] = [None] * 20
        make_run(candidate, suite, values)
    return suite, models


def test_a_group_is_compared_as_its_benchmarks_alone(
    wide: tuple[Suite, list[Candidate]],
) -> None:
    suite, models = wide
    found = compare.compare(suite, models[:3])
    assert [(group.name, len(group.shared)) for group in found.groups] == [
        ("de", 5), ("en", 5), ("fr", 5),
    ]  # fmt: skip
    board = leaderboard.board(suite, leaderboard.View(language="fr"))
    by_model = {row.candidate.name: row for row in board.ranked}
    for row in found.groups[2].overall:
        assert row.value == by_model[row.candidate.name].overall
    columns = [
        [found.values[line.cells[at].part.pk] for line in found.groups[2].lines] for at in (0, 1)
    ]
    alone = paired_difference(columns[1], columns[0])
    figures = found.groups[2].overall[1].figures
    assert figures.gap[:3] == pytest.approx((alone.delta, alone.low, alone.high))
    assert (figures.n, figures.discordant) == (alone.n, alone.discordant)
    assert compare.compare(suite, models).groups[2].overall == []


def test_many_benchmarks_are_first_shown_as_a_row_for_each_language(
    as_vera: Client, wide: tuple[Suite, list[Candidate]]
) -> None:
    suite, models = wide
    first = as_vera.get(url(*models))
    assert first.context["lines"] == "languages"
    assert "A row for each benchmark" in first.text and "German" in first.text
    assert "not complete" in first.text and "Choice de-1</a>" not in first.text
    every = as_vera.get(url(*models, rows="benchmarks"))
    assert every.context["lines"] == "benchmarks" and "Choice de-1</a>" in every.text
    anchor = f"b{suite.benchmarks.order_by('position')[0].pk}"
    assert f'#{anchor}"' in first.text and f'id="{anchor}"' in every.text
    assert first.text.count('class="mark"') == every.text.count('class="mark"') == 3 * 3
    assert as_vera.get(url(*models, rows="nonsense")).context["lines"] == "languages"


def test_few_benchmarks_or_a_single_language_and_family_have_no_rows_of_groups(
    as_vera: Client, project: Project, two: list[Candidate]
) -> None:
    families = make_suite(project, *(choice(n, family=n) for n in ("one", "two")), slug="families")
    for candidate in two:
        make_run(candidate, families, {"one": FIRST, "two": SECOND})
    few = as_vera.get(url(*two, suite="families"))
    assert few.context["lines"] == "benchmarks" and "A row for each ability" in few.text
    rows = as_vera.get(url(*two, suite="families", rows="families"))
    assert rows.context["lines"] == "families"
    names = [f"one-{number}" for number in range(14)]
    alike = make_suite(project, *(choice(name) for name in names), slug="alike")
    for candidate in two:
        make_run(candidate, alike, dict.fromkeys(names, FIRST))
    page = as_vera.get(url(*two, suite="alike"))
    assert page.context["lines"] == "benchmarks" and "A row for each" not in page.text


def test_rows_of_groups_and_of_benchmarks_cost_few_queries(
    as_vera: Client, wide: tuple[Suite, list[Candidate]]
) -> None:
    _suite, models = wide
    as_vera.get(url(*models))
    for rows in ("languages", "benchmarks"):
        with CaptureQueriesContext(connection) as counted:
            as_vera.get(url(*models, rows=rows))
        assert len(counted) <= 13


def test_the_radar_needs_three_axes(as_vera: Client, project: Project) -> None:
    names = ["one", "two", "three"]
    suite = make_suite(project, *(choice(name, family=name) for name in names), slug="wide")
    both = [make_candidate(project, name) for name in ("First", "Second")]
    for candidate in both:
        make_run(candidate, suite, dict.fromkeys(names, FIRST))
    text = as_vera.get(url(*both)).text
    assert 'class="chart radar"' in text and "First: one 40.0, two 40.0, three 40.0" in text


def test_the_page_costs_the_same_however_much_was_measured(
    as_vera: Client, project: Project, suite: Suite, two: list[Candidate]
) -> None:
    def cost(address: str) -> int:
        as_vera.get(address)
        with CaptureQueriesContext(connection) as counted:
            assert as_vera.get(address).status_code == 200
        return len(counted)

    few = cost(url(*two))
    third = make_candidate(project, "Third")
    for _ in range(3):
        make_run(third, suite, {"colours": FIRST * 20, "words": FIRST * 20})
        for candidate in two:
            make_run(candidate, suite, {"colours": FIRST * 20, "words": FIRST * 20})
    assert cost(url(two[0], third)) == cost(url(third, *two)) == few <= 15
    sample = url(*two, name="compare_sample", args=(suite.benchmarks.first().pk, 1))
    assert cost(sample) <= 15


def test_flips_of_many_samples_are_found_without_reading_them(
    project: Project, suite: Suite, two: list[Candidate]
) -> None:
    """25,000 samples per run: only what the page shows is read."""
    Part.objects.filter(run__candidate=two[0]).update(values=[1.0, 0.0, 1.0, 0.0, 1.0] * 2500)
    Part.objects.filter(run__candidate=two[1]).update(values=[1.0, 1.0, 0.0, 0.0, 1.0] * 2500)
    found = compare.compare(suite, two)
    found.__dict__.pop("values", None)
    started = time.perf_counter()
    flips = compare.flips(found)
    samples = compare.samples_of(found, flips[:25])
    seconds = time.perf_counter() - started
    assert len(flips) == 25_000 and len(samples) == 25
    assert flips.counts == {"ahead": 5000, "behind": 5000, "wrong": 5000, "same": 10000}
    assert seconds < 0.5, f"{seconds:.3f} s"  # about 0.03 s on an idle machine


def test_it_says_how_many_more_questions_would_separate_two(
    project: Project, suite: Suite, two: list[Candidate]
) -> None:
    _, close = cells(suite, two, "colours")
    _, same = cells(suite, two, "words")
    assert power_hint(close.figures) == "about 14 more questions would separate these two"
    assert power_hint(same.figures) == "no number of questions would help: same scores"
    far = make_candidate(project, "Far")
    make_run(far, suite, {"colours": [1.0] * 20, "words": [1.0, 0.0] * 10})
    _, apart = cells(suite, [two[0], far], "colours")
    assert apart.figures.gap.real and power_hint(apart.figures) == "already separated"


def test_questions_on_one_text_count_as_one_finding(project: Project) -> None:
    rows = [row | {"text": f"text {at // 5}"} for at, row in enumerate(choice_rows(20))]
    plain = make_suite(project, choice(rows=rows))
    by_text = make_suite(project, choice(rows=rows, cluster="text"), slug="texts")
    first, second = make_candidate(project, "One"), make_candidate(project, "Two")
    for suite in (plain, by_text):
        make_run(first, suite, {"colours": [0.0] * 20})
        make_run(second, suite, {"colours": [1.0] * 10 + [0.0] * 10})
    [_, alone] = cells(plain, [first, second], "colours")
    [_, texts] = cells(by_text, [first, second], "colours")
    assert alone.figures.gap.real and not alone.figures.clustered
    assert not texts.figures.gap.real and texts.figures.clustered
    assert (alone.figures.discordant, texts.figures.discordant) == (10, 2)
    assert texts.score.high - texts.score.low > alone.score.high - alone.score.low


def test_both_pages_say_where_questions_are_counted_by_text(
    as_vera: Client, project: Project
) -> None:
    rows = [row | {"text": at // 5} for at, row in enumerate(choice_rows(20))]
    suite = make_suite(project, choice(rows=rows, cluster="text"))
    chosen = [make_candidate(project, name) for name in ("One", "Two")]
    make_run(chosen[0], suite, {"colours": FIRST})
    make_run(chosen[1], suite, {"colours": SECOND})
    assert "counted by text" in as_vera.get(url(*chosen)).content.decode()
    board = as_vera.get(reverse("evals:board", args=[suite.slug])).content.decode()
    assert "Questions of 1 benchmark are counted by the text they belong to." in board
    assert "bootstrap of whole texts" in board
