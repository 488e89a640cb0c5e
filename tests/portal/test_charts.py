"""Charts are read as XML: positions, words and what a screen reader gets."""

from __future__ import annotations

from math import isclose
from xml.etree import ElementTree

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from portal.ui.charts import (
    Bar,
    Bin,
    Cut,
    Moment,
    Shape,
    bins_of,
    differences,
    domain,
    forest,
    histogram,
    radar,
    shorten,
    ticks,
    timeline,
)  # fmt: skip

ROWS = [
    Bar("Rowan", 0.70, 0.60, 0.80, "70.0 [60.0 – 80.0], n = 80"),
    Bar("Alder", 0.40, 0.30, 0.50, "40.0 [30.0 – 50.0], n = 80", colour=2, href="/runs/7/?a=1&b=2"),
]
numbers = st.floats(-1e6, 1e6, allow_nan=False)


def tree(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def percent(written: str) -> float:
    assert written.endswith("%")
    return float(written[:-1])


def test_it_places_dots_and_whiskers_on_one_axis() -> None:
    chart = tree(forest(ROWS, "Scores"))
    dots = [percent(dot.get("cx")) for dot in chart.iter("circle")]
    whiskers = [
        (percent(w.get("x1")), percent(w.get("x2")))
        for w in chart.iter("line")
        if w.get("y1") == "8"
    ]
    labels = {t.text: percent(t.get("x")) for t in chart.iter("text") if t.get("class") == "tick"}
    # The ticks fix the scale: a value of 0.4 must stand under the label 40.
    per_point = (labels["80"] - labels["40"]) / 40
    assert isclose(dots[1], labels["40"], abs_tol=0.02)
    assert isclose(dots[0], labels["40"] + 30 * per_point, abs_tol=0.02)
    assert isclose(whiskers[0][1], labels["80"], abs_tol=0.02)
    assert all(
        0 <= low < dot < high <= 100 for dot, (low, high) in zip(dots, whiskers, strict=True)
    )


def test_it_keeps_shares_within_nought_and_a_hundred() -> None:
    chart = tree(forest([Bar("All right", 1.0, 0.95, 1.0, "")], "Scores"))
    labels = [float(t.text) for t in chart.iter("text") if t.get("class") == "tick"]
    assert max(labels) <= 100
    assert next(chart.iter("circle")).get("cx") == "100.00%"


def test_it_escapes_names_and_tips() -> None:
    evil = "<script>\"&'"
    chart = tree(forest([Bar(evil, 0.5, 0.4, 0.6, evil)], evil))
    assert chart.get("aria-label") == evil
    assert not list(chart.iter("script"))
    mark = next(g for g in chart.iter("div") if g.get("class") == "mark")
    assert mark.get("data-tip") == f"{evil} {evil}"  # XML reads a line break as a space


def test_it_tells_every_row_to_keyboard_and_screen_reader() -> None:
    chart = tree(forest(ROWS, "Scores"))
    plain = next(g for g in chart.iter("div") if g.get("class") == "mark")
    link = next(chart.iter("a"))
    assert (plain.get("role"), plain.get("tabindex")) == ("img", "0")
    assert plain.get("aria-label") == "Rowan 70.0 [60.0 – 80.0], n = 80"
    assert link.get("href") == "/runs/7/?a=1&b=2"
    assert link.get("aria-label").startswith("Alder 40.0")


def test_it_writes_full_stops_in_german_too() -> None:
    with translation.override("de"):
        german = forest(ROWS, "Scores"), histogram([Bin(0.5, 1000.5, 1)], "x")
    assert german == (forest(ROWS, "Scores"), histogram([Bin(0.5, 1000.5, 1)], "x"))
    for element in (e for svg in german for e in tree(svg).iter()):
        for name in ("x", "x1", "x2", "cx", "y", "width", "height"):
            assert "," not in element.get(name, "")


def test_it_draws_missing_rows_without_a_dot() -> None:
    chart = tree(forest([*ROWS, Bar("New", None, None, None, "not run")], "Scores"))
    assert len(list(chart.iter("circle"))) == 2
    assert "–" in [t.text for t in chart.iter("text")]


def test_it_heads_each_group_once() -> None:
    rows = [row._replace(group=group) for group in ("Danish", "German") for row in ROWS]
    chart = tree(forest(rows, "Scores"))
    assert [p.text for p in chart.iter("p")] == ["Danish", "German"]
    assert len(list(chart.iter("circle"))) == 4


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [Bar("One", 0.5, 0.5, 0.5, "")],
        [Bar("One", 0.0, 0.0, 0.0, "")],
        [Bar("None", None, None, None, "")],
        [Bar("No interval", 0.5, None, None, "")],
    ],
)
def test_it_survives_data_without_extent(rows: list[Bar]) -> None:
    tree(forest(rows, "Scores"))


def test_it_shortens_names_in_the_middle() -> None:
    long = "organisation/Rowan-24B-instruct-2026-AWQ-int4"
    assert len(shorten(long)) == 21
    assert shorten(long) == "organisati…6-AWQ-int4"
    assert shorten("Alder-7B") == "Alder-7B"
    assert long in forest([Bar(long, 0.5, 0.4, 0.6, "")], "Scores")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.62, 0.71, [0.62, 0.64, 0.66, 0.68, 0.7]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-3, 12, [0, 5, 10]),
        (5, 5, [5]),
    ],
)
def test_it_ticks_at_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@given(numbers, numbers)
def test_ticks_stay_inside_and_are_few(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = ticks(low, high)
    slack = (high - low) * 1e-6 + 1e-9
    assert len(found) <= 6
    assert all(low - slack <= tick <= high + slack for tick in found)


@given(st.lists(st.floats(0, 1), max_size=9))
def test_the_axis_holds_every_value(values: list[float]) -> None:
    low, high = domain(values, (0.0, 1.0))
    assert low < high
    assert all(low <= value <= high for value in values)
    assert low >= 0 and high <= 1


@given(st.lists(numbers, max_size=60))
def test_bins_count_every_value_once(values: list[float]) -> None:
    bins = bins_of(values)
    assert sum(b.count for b in bins) == len(values)
    assert len(bins) <= 23
    assert all(b.low < b.high for b in bins)
    tree(histogram(bins, "Latency", "ms"))


def test_a_histogram_gives_the_tallest_column_the_full_height() -> None:
    chart = tree(histogram([Bin(0, 10, 2), Bin(10, 20, 8), Bin(20, 30, 0)], "Latency", "ms"))
    heights = [float(r.get("height")) for r in chart.iter("rect") if "column" in r.get("class")]
    assert heights == [28.0, 112.0, 0.0]
    marks = [g.get("aria-label") for g in chart.iter("g") if g.get("class") == "mark"]
    assert marks[1] == "10 – 20 ms: 8"


def test_differences_stand_around_a_line_at_zero() -> None:
    rows = [Bar("Better", 0.08, 0.02, 0.12, ""), Bar("Unsure", -0.01, -0.05, 0.03, "")]
    chart = tree(differences(rows, "Differences"))
    (zero,) = [line for line in chart.iter("line") if line.get("class") == "zero"]
    assert percent(zero.get("x1")) == 50
    better, unsure = [percent(dot.get("cx")) for dot in chart.iter("circle")]
    assert better > 50 > unsure
    labels = [t.text for t in chart.iter("text") if t.get("class") == "tick"]
    assert "0" in labels and "−10" in labels and "10" in labels


@pytest.mark.parametrize("rows", [[], [Bar("None", None, None, None, "")], [Bar("0", 0, 0, 0, "")]])
def test_differences_survive_data_without_extent(rows: list[Bar]) -> None:
    assert 'class="zero"' in differences(rows, "Differences")


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=6))
def test_differences_hold_every_whisker(ends: list[tuple[float, float]]) -> None:
    rows = [Bar("x", sum(pair) / 2, min(pair), max(pair), "") for pair in ends]
    for line in tree(differences(rows, "Differences")).iter("line"):
        assert 0 <= percent(line.get("x1")) <= percent(line.get("x2")) <= 100


def corners(polygon: ElementTree.Element) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split(","))) for pair in polygon.get("points").split()]


def test_a_radar_puts_values_between_its_middle_and_its_rim() -> None:
    shapes = [Shape("Rowan", [1.0, 0.5, 0.0]), Shape("Alder <7B>", [0.0, 0.0, 0.0], 2)]
    chart = tree(radar(["de", "en", "da"], shapes, "Profile"))
    rim = [p for p in chart.iter("polygon") if p.get("class") == "grid"][-1]
    rowan, alder = (p for p in chart.iter("polygon") if "shape" in p.get("class"))
    middle = corners(alder)[0]
    assert corners(rowan)[0] == corners(rim)[0]
    assert corners(rowan)[2] == middle == corners(alder)[1]
    assert rowan.get("stroke-dasharray") != alder.get("stroke-dasharray")
    assert [p.find("title").text for p in (rowan, alder)] == ["Rowan", "Alder <7B>"]


def test_a_timeline_joins_what_belongs_together() -> None:
    moments = [
        Moment(0, 0.4, 0.3, 0.5, "first", href="/runs/1/"),
        Moment(10, 0.6, 0.5, 0.7, "second"),
        Moment(20, 0.6, None, None, "third"),
        Moment(10, 0.2, None, None, "another suite", colour=2),
    ]
    chart = tree(timeline(moments, "History", cuts=[Cut(15, "revision 2")]))
    joins = [line for line in chart.iter("line") if "join" in line.get("class")]
    assert len(joins) == 1  # the cut stands between the second and the third
    xs = [percent(dot.get("cx")) for dot in chart.iter("circle")]
    assert xs[0] < xs[1] == xs[3] < xs[2]
    ys = [float(dot.get("cy")) for dot in chart.iter("circle")]
    assert ys[3] > ys[0] > ys[1] == ys[2]  # more is further up
    assert "revision 2" in [t.text for t in chart.iter("text")]
    assert next(chart.iter("a")).get("aria-label") == "first"


@pytest.mark.parametrize("moments", [[], [Moment(5, 0.5, 0.5, 0.5, "")]])
def test_a_timeline_survives_data_without_extent(moments: list[Moment]) -> None:
    tree(timeline(moments, "History"))
