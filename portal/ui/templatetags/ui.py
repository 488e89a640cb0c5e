"""What templates of every app share: states, numbers, texts of models, tables."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from django import template
from django.core.paginator import Page
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.formats import number_format
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, pgettext_lazy

from portal.accounts.permissions import may as person_may
from portal.ui.tables import Sort

register = template.Library()

# State of a job → how the badge looks and what it says. Each look has its own shape.
STATES = {
    "queued": ("waiting", pgettext_lazy("job", "Queued")),
    "running": ("running", pgettext_lazy("job", "Running")),
    "paused": ("paused", pgettext_lazy("job", "Paused")),
    "cancelled": ("paused", pgettext_lazy("job", "Cancelled")),
    "stopped": ("paused", pgettext_lazy("job", "Stopped")),
    "done": ("done", pgettext_lazy("job", "Done")),
    "failed": ("failed", pgettext_lazy("job", "Failed")),
}
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")


@register.simple_tag
def state(value: str) -> SafeString:
    """A job's state as word, shape and colour: ``{% state job.state %}``."""
    look, label = STATES.get(str(value).lower(), ("", value))
    return badge(look, label)


@register.simple_tag
def badge(look: str, label: str) -> SafeString:
    """Any other state: ``{% badge "failed" _("wrong") %}``.

    Looks: done ● failed ◆ paused ■ running ◌ waiting ○; anything else is grey.
    """
    return format_html('<span class="badge {}">{}</span>', look, label)


@register.simple_tag
def missing(reason: str = "") -> SafeString:
    """A result that does not exist; never written as 0."""
    words = reason or gettext("not measured")
    return format_html(
        '<span class="missing">–<span class="visually-hidden"> {}</span></span>', words
    )


def decimal(value: float, digits: int = 1) -> str:
    """``value`` rounded, in the reader's notation."""
    return _decimal(round(value, digits) or 0, digits, get_language())


@lru_cache(maxsize=8192)
def _decimal(number: float, digits: int, language: str | None) -> str:
    """``language`` is the active one: a table has hundreds of numbers, many of them alike."""
    return number_format(number, decimal_pos=digits, use_l10n=True)


@register.simple_tag
def score(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    digits: int = 1,
    scale: float = 100,
) -> SafeString:
    """``0.731 0.702 0.759`` → **73.1** [70.2 – 75.9]; ``scale=1`` leaves the values as they are."""
    if value is None:
        return missing()
    written = decimal(value * scale, digits)
    if low is None or high is None:
        return format_html('<span class="score"><b>{}</b></span>', written)
    return format_html(
        '<span class="score"><b>{}</b> <span class="muted small">[{} – {}]</span></span>',
        written, decimal(low * scale, digits), decimal(high * scale, digits),
    )  # fmt: skip


@register.simple_tag
def duration(seconds: float | None) -> str:
    """Seconds as the two largest units a person would say: 840 ms, 12 s, 3 min 5 s, 2 h 4 min."""
    if seconds is None:
        return "–"
    if seconds < 0.9995:
        return gettext("%(n)s ms") % {"n": decimal(seconds * 1000, 0)}
    if seconds < 9.95:
        return gettext("%(n)s s") % {"n": decimal(seconds, 1)}
    whole = round(seconds)
    units = (
        (86_400, gettext("%(n)s d")),
        (3_600, gettext("%(n)s h")),
        (60, gettext("%(n)s min")),
        (1, gettext("%(n)s s")),
    )
    for at, (size, words) in enumerate(units):
        if whole >= size:
            largest, rest = divmod(whole, size)
            said = words % {"n": decimal(largest, 0)}
            if at + 1 < len(units) and (next_one := rest // units[at + 1][0]):
                said += " " + units[at + 1][1] % {"n": next_one}
            return said
    return gettext("%(n)s s") % {"n": 0}


@register.simple_tag
def icon(name: str) -> SafeString:
    """A symbol of ``ui/icons.svg``; it always stands beside words, so readers skip it."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>',
        static("ui/icons.svg"), name,
    )  # fmt: skip


def _language(lang: str | None) -> SafeString:
    known = lang if lang and LANGUAGE_TAG.match(lang) else ""
    return format_html(' lang="{}"', known) if known else SafeString("")


@register.simple_tag
def text(value: str | None, lang: str | None = "") -> SafeString:
    """What a model was asked or said, whole and as plain text in its own language.

    Escaped whatever its type: nothing that a model said is markup.
    """
    return format_html(
        '<div class="text"{} dir="auto">{}</div>', _language(lang), escape(value or "")
    )


@register.simple_tag
def snippet(value: str | None, lang: str | None = "", longest: int = 80) -> SafeString:
    """The beginning of such a text on one line, for table cells."""
    line = " ".join((value or "").split())
    line = line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
    return format_html(
        '<span class="snippet"{} dir="auto">{}</span>', _language(lang), escape(line)
    )


@register.inclusion_tag("ui/_sort.html", takes_context=True)
def sort_header(
    context: template.Context, key: str, label: str, sort: Sort, numeric: bool = False
) -> dict[str, Any]:
    """A column head that sorts; numbers start with the largest, words with A."""
    here = sort.key == key
    descending = not sort.descending if here else numeric
    direction = ("descending" if sort.descending else "ascending") if here else ""
    return {
        "request": context["request"],
        "label": label,
        "numeric": numeric,
        "direction": direction,
        "target": str(Sort(key, descending)),
    }


@register.inclusion_tag("ui/_pager.html", takes_context=True)
def pager(context: template.Context, page: Page) -> dict[str, Any]:
    """Numbered pages of a list, with the address's other parameters kept."""
    numbers = page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)
    return {"request": context["request"], "page": page, "numbers": numbers}


@register.inclusion_tag("ui/_downloads.html", takes_context=True)
def downloads(context: template.Context, table: str = "", label: str = "") -> dict[str, Any]:
    """Links to the table as a file; ``table`` where the page has several."""
    return {
        "request": context["request"],
        "table": table or None,
        "label": label or gettext("Download this table"),
        "kinds": [("csv", "CSV"), ("json", "JSON"), ("parquet", "Parquet")],
    }


@register.filter
def may(request: HttpRequest, role: str) -> bool:
    """``{% if request|may:"engineer" %}``: may the person do what ``role`` may?"""
    return person_may(request, role)


@register.filter
def told(message: str) -> str:
    """A stored message: its first line is a sentence of ours, the rest what a server said."""
    sentence, line, rest = message.partition("\n")
    return f"{gettext(sentence)}{line}{rest}"


@register.filter
def percent(value: float | None, digits: int = 0) -> str:
    """A share (0 to 1) as ``62 %``."""
    return "–" if value is None else gettext("%(n)s %%") % {"n": decimal(value * 100, digits)}
