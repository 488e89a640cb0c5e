"""Charts as SVG, drawn on the server with the page's own colours.

Positions along the value axis are percentages, so a chart follows the width of
its page while its text keeps its size. Numbers in here are written with a full stop whatever the
reader's language: nothing goes through Django's localisation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import ceil, cos, floor, isfinite, log10, pi, sin
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

LONGEST_NAME = 21  # characters that fit beside the whiskers


class Bar(NamedTuple):
    """One row of a forest plot: an estimate with its interval, or None when it is missing."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    tip: str
    """What hover and focus tell beside the name: value, interval and n, in the reader's words."""
    group: str = ""
    """Heading above the first row of each run of rows with the same group."""
    colour: int = 1
    """Series 1 to 8 of the style sheet."""
    href: str = ""
    """Where the number comes from."""


class Bin(NamedTuple):
    """A bar of a histogram: ``count`` values in [low, high)."""

    low: float
    high: float
    count: int


def shorten(name: str, longest: int = LONGEST_NAME) -> str:
    """``name`` with its middle left out: a family shares its head, variants differ at the tail."""
    if len(name) <= longest:
        return name
    tail = (longest - 1) // 2
    return f"{name[: longest - 1 - tail]}…{name[-tail:]}"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """At most ``about + 1`` round numbers within ``low`` to ``high``, evenly spaced."""
    span = high - low
    if not isfinite(span) or span / about <= 0:
        return [low]
    exponent = floor(log10(span / about))
    steps = (factor * 10.0**exponent for factor in (1, 2, 5, 10))
    step = next(step for step in steps if span / step <= about * (1 + 1e-9))
    places = max(0, 1 - exponent)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(number * step, places) for number in range(first, last + 1)]


def domain(
    values: Iterable[float], within: tuple[float, float] | None = None
) -> tuple[float, float]:
    """An axis that holds all ``values`` with a little air, never leaving ``within``."""
    known = list(values) or [*(within or (0.0, 1.0))]
    low, high = min(known), max(known)
    air = (high - low) * 0.06 or abs(high) * 0.05 or 0.5
    low, high = low - air, high + air
    if within:
        low, high = max(low, min(within[0], *known)), min(high, max(within[1], *known))
    return low, high


def forest(
    rows: Sequence[Bar],
    title: str,
    *,
    scale: float = 100,
    within: tuple[float, float] | None = (0.0, 1.0),
) -> SafeString:
    """A dot with its interval per row, all on one axis.

    Values are plain (0.731); the axis is labelled in multiples of ``scale``
    (73.1) and never runs beyond ``within``. ``None`` lifts that bound.
    """
    low, high = domain(_ends(rows), within)
    return _rows(rows, title, low, high, scale, "forest")


def differences(rows: Sequence[Bar], title: str, *, scale: float = 100) -> SafeString:
    """A forest plot of differences: zero stands in the middle, as a line.

    A whisker that crosses the line is a difference that could be none.
    """
    reach = max((abs(end) for end in _ends(rows)), default=0.0) * 1.06 or 0.05
    return _rows(rows, title, -reach, reach, scale, "forest differences")


def _ends(rows: Sequence[Bar]) -> list[float]:
    """Every number that the axis has to hold."""
    return [v for r in rows for v in (r.low, r.value, r.high) if v is not None and isfinite(v)]


def _rows(
    rows: Sequence[Bar], title: str, low: float, high: float, scale: float, kind: str
) -> SafeString:
    """The rows of a forest plot over the axis from ``low`` to ``high``."""

    def x(value: float) -> str:
        return f"{(value - low) / (high - low) * 100:.2f}%"

    axis = format_html_join(
        "",
        '<line class="{2}" x1="{0}" x2="{0}" y1="0" y2="100%"/>'
        '<text class="tick" x="{0}" y="100%" dy="15" text-anchor="middle">{1}</text>',
        (
            (x(tick / scale), f"{tick:g}".replace("-", "−"), "zero" if tick == 0 > low else "grid")
            for tick in ticks(low * scale, high * scale)
        ),
    )
    parts: list[SafeString] = []
    group = ""
    for row in rows:
        if row.group and row.group != group:
            group = row.group
            parts.append(format_html('<p class="group">{}</p>', group))
        parts.append(_row(row, x))
    return format_html(
        '<div class="chart {}" role="group" aria-label="{}">'
        '<div class="rows"><svg class="scale" aria-hidden="true">{}</svg>{}</div></div>',
        kind,
        title,
        axis,
        _joined(parts),
    )


def _joined(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))


def _row(row: Bar, x: Callable[[float], str]) -> SafeString:
    """A row of a forest plot: its name, and its marks on an SVG 16 px high."""
    marks = [SafeString('<text x="0" y="12">–</text>')]
    if row.value is not None:
        marks = [format_html('<circle class="dot" cx="{}" cy="8" r="4.5"/>', x(row.value))]
        if row.low is not None and row.high is not None:
            whisker = '<line class="whisker" x1="{}" x2="{}" y1="8" y2="8"/>'
            marks.insert(0, format_html(whisker, x(row.low), x(row.high)))
    tip = f"{row.name}\n{row.tip}"
    inside = format_html(
        '<span class="name">{}</span><svg class="plot c{}" aria-hidden="true">{}</svg>',
        shorten(row.name),
        row.colour,
        _joined(marks),
    )
    if row.href:
        link = '<a class="mark" href="{}" data-tip="{}" aria-label="{}">{}</a>'
        return format_html(link, row.href, tip, tip, inside)
    plain = '<div class="mark" tabindex="0" role="img" data-tip="{}" aria-label="{}">{}</div>'
    return format_html(plain, tip, tip, inside)


def bins_of(values: Iterable[float], about: int = 20) -> list[Bin]:
    """``values`` counted in bins of one round width; the last bin holds its upper end too."""
    known = [value for value in values if isfinite(value)]
    if not known:
        return []
    low, high = min(known), max(known)
    edges = ticks(low, high, about)
    step = edges[1] - edges[0] if len(edges) > 1 else abs(low) * 0.1 or 1.0
    first = floor(low / step + 1e-9)
    counts = [0] * max(1, ceil(high / step - 1e-9) - first)
    for value in known:
        counts[min(floor(value / step + 1e-9) - first, len(counts) - 1)] += 1
    return [
        Bin(float(f"{(first + i) * step:.10g}"), float(f"{(first + i + 1) * step:.10g}"), count)
        for i, count in enumerate(counts)
    ]


def histogram(bins: Sequence[Bin], title: str, unit: str = "") -> SafeString:
    """How often values fall into each of ``bins`` (adjoining, ascending); see ``bins_of``."""
    top = max((b.count for b in bins), default=0) or 1
    low, high = (bins[0].low, bins[-1].high) if bins else (0.0, 1.0)
    height, foot = 112, 22

    def x(value: float) -> float:
        return (value - low) / (high - low) * 100

    columns = format_html_join(
        "",
        '<g class="mark" tabindex="0" role="img" data-tip="{0}" aria-label="{0}">'
        '<rect class="hit" x="{1}%" width="{2}%" height="{5}"/>'
        '<rect class="column c1" x="{1}%" width="{2}%" y="{3}" height="{4}"/></g>',
        (
            (
                f"{b.low:g} – {b.high:g}{unit and ' '}{unit}: {b.count}",
                f"{x(b.low):.2f}",
                f"{max(x(b.high) - x(b.low) - 0.4, 0.2):.2f}",
                f"{height - height * b.count / top:.1f}",
                f"{height * b.count / top:.1f}",
                height,
            )
            for b in bins
        ),
    )
    marks = format_html_join(
        "",
        '<text class="tick" x="{}%" y="{}" text-anchor="{}">{}</text>',
        (
            (
                f"{x(tick):.2f}",
                height + foot - 6,
                "start" if x(tick) < 3 else "end" if x(tick) > 97 else "middle",
                f"{tick:g}",
            )
            for tick in (ticks(low, high) if bins else [])
        ),
    )
    return format_html(
        '<svg class="chart histogram" role="group" aria-label="{}" height="{}">{}'
        '<line class="axis" x1="0" x2="100%" y1="{}" y2="{}"/>{}</svg>',
        title, height + foot, columns, height, height, marks,
    )  # fmt: skip


class Shape(NamedTuple):
    """One model in a radar: a value from 0 to 1 per axis, in the order of the axes."""

    name: str
    values: Sequence[float]
    colour: int = 1


DASHES = ("none", "7 4", "2 4")  # shapes are told apart by more than their colour


def radar(axes: Sequence[str], shapes: Sequence[Shape], title: str) -> SafeString:
    """Two or three profiles over the same three to eight axes, each from 0 to 1.

    The same numbers stand in a table beside it: the drawing is one image to a screen reader.
    """
    middle, centre, radius = 210.0, 150.0, 108.0

    def at(axis: int, value: float) -> tuple[float, float]:
        angle = 2 * pi * axis / len(axes) - pi / 2
        return middle + radius * value * cos(angle), centre + radius * value * sin(angle)

    def outline(values: Sequence[float]) -> str:
        corners = (at(axis, value) for axis, value in enumerate(values))
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)

    rings = format_html_join(
        "",
        '<polygon class="grid" fill="none" points="{}"/>',
        ((outline([ring] * len(axes)),) for ring in (0.25, 0.5, 0.75, 1.0)),
    )
    spokes = format_html_join(
        "",
        '<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>',
        ((middle, centre, *(f"{v:.1f}" for v in at(axis, 1.0))) for axis in range(len(axes))),
    )
    labels = format_html_join(
        "",
        '<text x="{0}" y="{1}" text-anchor="{2}">{3}<tspan x="{0}" dy="1.2em">{4}</tspan></text>',
        (
            (f"{x:.1f}", f"{y + 4:.1f}", _anchor(x - middle), *map(shorten, _two_lines(name)))
            for (x, y), name in ((at(axis, 1.1), name) for axis, name in enumerate(axes))
        ),
    )
    drawn = format_html_join(
        "",
        '<polygon class="shape c{}" points="{}" stroke-dasharray="{}"><title>{}</title></polygon>',
        (
            (shape.colour, outline(shape.values), DASHES[number % len(DASHES)], shape.name)
            for number, shape in enumerate(shapes)
        ),
    )
    return format_html(
        '<svg class="chart radar" viewBox="0 0 420 300" role="img" aria-label="{}">{}{}{}{}</svg>',
        title, rings, spokes, drawn, labels,
    )  # fmt: skip


def _two_lines(name: str) -> tuple[str, str]:
    """A long name in two lines, so that it does not run out of the drawing."""
    head, _, tail = name.rpartition(" ")
    return (head, tail) if head and len(name) > 15 else (name, "")


def _anchor(offset: float) -> str:
    """How a label beside a circle is aligned, by how far right of its middle it stands."""
    return "middle" if abs(offset) < 1 else "start" if offset > 0 else "end"


class Moment(NamedTuple):
    """A result at a time (any unit that grows), with its interval."""

    at: float
    value: float
    low: float | None
    high: float | None
    tip: str
    """What hover and focus tell: what, when, value and interval, in the reader's words."""
    href: str = ""
    colour: int = 1


class Cut(NamedTuple):
    """A vertical line: from here on results are of something else.

    ``stops`` the lines, unless results before and after compare all the same.
    """

    at: float
    label: str
    stops: bool = True


def timeline(
    moments: Sequence[Moment],
    title: str,
    *,
    cuts: Sequence[Cut] = (),
    ends: tuple[str, str] = ("", ""),
    scale: float = 100,
) -> SafeString:
    """Results over time: a dot with its interval each, dots of one colour joined by a line.

    Lines stop at cuts that say so. ``ends`` are the words for the earliest and the latest time;
    other times stand in the tips and in the table beside it.
    """
    known = [v for m in moments for v in (m.low, m.value, m.high) if v is not None]
    low, high = domain(known, (0.0, 1.0))
    times = [m.at for m in moments] or [0.0]
    start, length = min(times), (max(times) - min(times)) or 1.0
    height, left, right = 160.0, 9.0, 98.0

    def x(at: float) -> float:
        if max(times) == min(times):
            return (left + right) / 2
        return left + (at - start) / length * (right - left)

    def y(value: float) -> float:
        return height - (value - low) / (high - low) * height

    grid = format_html_join(
        "",
        '<line class="grid" x1="{0}%" x2="100%" y1="{1}" y2="{1}"/>'
        '<text class="tick" x="0" y="{1}" dy="4">{2}</text>',
        (
            (f"{left:g}", f"{y(tick / scale):.1f}", f"{tick:g}")
            for tick in ticks(low * scale, high * scale)
        ),
    )
    walls = format_html_join(
        "",
        '<line class="cut" x1="{0}%" x2="{0}%" y1="0" y2="{1}"/>'
        '<text class="tick" x="{0}%" y="-4" text-anchor="middle">{2}</text>',
        ((f"{min(max(x(cut.at), left), 100):.2f}", f"{height:g}", cut.label) for cut in cuts),
    )
    foot = format_html(
        '<text class="tick" x="{0}%" y="{3}">{1}</text>'
        '<text class="tick" x="100%" y="{3}" text-anchor="end">{2}</text>',
        f"{left:g}", *ends, f"{height + 18:g}",
    )  # fmt: skip
    lines = format_html_join(
        "",
        '<line class="join c{}" x1="{}%" y1="{}" x2="{}%" y2="{}"/>',
        (
            (a.colour, f"{x(a.at):.2f}", f"{y(a.value):.1f}", f"{x(b.at):.2f}", f"{y(b.value):.1f}")
            for a, b in _neighbours(moments, cuts)
        ),
    )
    dots = _joined(_dot(moment, f"{x(moment.at):.2f}", y) for moment in moments)
    return format_html(
        '<svg class="chart timeline" role="group" aria-label="{}" height="{}">{}{}{}{}{}</svg>',
        title, f"{height + 22:g}", grid, walls, foot, lines, dots,
    )  # fmt: skip


def _neighbours(moments: Sequence[Moment], cuts: Sequence[Cut]) -> Iterable[tuple[Moment, Moment]]:
    """Pairs that follow each other in one colour without a cut between them."""
    last: dict[int, Moment] = {}
    for moment in sorted(moments, key=lambda m: m.at):
        before = last.get(moment.colour)
        if before and not any(cut.stops and before.at < cut.at <= moment.at for cut in cuts):
            yield before, moment
        last[moment.colour] = moment


def _dot(moment: Moment, x: str, y: Callable[[float], float]) -> SafeString:
    marks = [
        format_html('<circle class="dot" cx="{}%" cy="{}" r="4.5"/>', x, f"{y(moment.value):.1f}")
    ]
    if moment.low is not None and moment.high is not None:
        whisker = '<line class="whisker" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>'
        ends = f"{y(moment.low):.1f}", f"{y(moment.high):.1f}"
        marks.insert(0, format_html(whisker, x, *ends))
    shape = '<a class="mark c{0}" href="{3}" data-tip="{1}" aria-label="{1}">{2}</a>'
    if not moment.href:
        shape = (
            '<g class="mark c{0}" tabindex="0" role="img" data-tip="{1}" aria-label="{1}">{2}</g>'
        )
    return format_html(shape, moment.colour, moment.tip, _joined(marks), moment.href)
