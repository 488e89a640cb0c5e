"""What evaluation templates need beside the shared tags."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django import template
from django.urls import get_script_prefix, reverse
from django.utils.formats import date_format, number_format
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import (
    get_language,
    gettext,
    gettext_lazy,
    ngettext,
    pgettext_lazy,
)

from evals.compare import Figures, Line
from evals.costs import Cost, Usage
from evals.history import Change
from evals.leaderboard import Cell, Gap, Place
from evals.llm import SENTENCES
from evals.models import Candidate, Price, Pricing, Run, Sample, Schedule, Suite
from evals.news import news
from evals.regressions import Side
from evals.set_scores import MANY_FAILED
from evals.stats.intervals import Interval
from evals.words import (
    COLUMN_ROLES,
    DIFFERENCES,
    SPREADS,
    UNKNOWN_COSTS,
    VERDICTS,
    ability,
    amount,
    language_name,
    titled,
    word,
)
from evals.words import money as money_in_words
from evals.words import tokens as tokens_in_words
from portal.accounts.models import Project
from portal.ui.templatetags.ui import badge, decimal, missing, score, text

register = template.Library()
register.filter(ability)
register.filter(titled)
register.filter(word)
register.simple_tag(language_name)

PROBES = {
    "reachable": gettext_lazy("Reachable"),
    "health": gettext_lazy("Health"),
    "model_listed": gettext_lazy("Model is listed"),
    "software": gettext_lazy("Server software"),
    "chat": gettext_lazy("Chat"),
    "completions": gettext_lazy("Completions"),
    "echo_logprobs": gettext_lazy("Log-probabilities of a given text"),
    "native_logprobs": gettext_lazy("The same by the software's own way"),
    "tokenize": gettext_lazy("Token count"),
    "zero_tokens": gettext_lazy("Scoring without generating"),
    "token_ids": gettext_lazy("Prompts as token numbers"),
    "batch_prompts": gettext_lazy("Several prompts in one request"),
    "top_logprobs": gettext_lazy("Most likely first tokens"),
    "chat_top_logprobs": gettext_lazy("Most likely first tokens of a chat answer"),
    "structured_output": gettext_lazy("Demanded form of an answer"),
    "tools": gettext_lazy("Tools"),
    "stream": gettext_lazy("Answers piece by piece"),
    "deterministic": gettext_lazy("Same answer every time"),
    "context": gettext_lazy("Length of the context"),
    "reasoning": gettext_lazy("Thinking"),
    "unknown_fields": gettext_lazy("Unknown fields"),
    "metrics": gettext_lazy("Figures about its work"),
}
ROLES = {
    "system": pgettext_lazy("chat", "System"),
    "user": pgettext_lazy("chat", "User"),
    "assistant": pgettext_lazy("chat", "Assistant"),
}
# Cells of a board.
STAR = "*"  # behind a score that rests on many answers nothing could be read in
STARRED = '<td class="heat" style="--v:{}"><a href="{}" data-tip="{} [{} – {}]\n{}">{}{}</a></td>'
NO_RESULT = '<td class="missing"><span class="visually-hidden">{}</span></td>'
RESULT = '<td class="heat" style="--v:{}"><a href="{}" data-tip="{} [{} – {}]\n{}">{}</a></td>'
COMPARED = '<td class="num"><a class="plain" href="{}">{}</a>{}</td>'
GAP = '{} <span class="muted small">[{} – {}]</span> <span class="tag">{}</span>'
SELECTED = SafeString(" selected")


@register.filter
def points(value: float | None) -> str:
    """A share (0 to 1) on the scale of 100 that boards use, in the reader's notation."""
    return "–" if value is None else _written(round(100 * value, 1), get_language())


@lru_cache(maxsize=4096)
def _written(number: float, language: str | None) -> SafeString:
    """``number`` in the notation of ``language``, the active one; a board has thousands."""
    return escape(decimal(number))


@register.simple_tag
def span(low: float, high: float) -> str:
    """An interval on the scale of 100."""
    return f"[{points(low)} – {points(high)}]"


@register.simple_tag
def rank(places: tuple[int, int]) -> str:
    """A rank range: "1" or "1–3"."""
    best, worst = places
    return str(best) if best == worst else f"{best}–{worst}"


@register.simple_tag
def gap(found: Gap) -> SafeString:
    """A paired difference in points, with a word for whether it could be chance."""
    language = get_language()
    ends = (_signed(round(100 * end, 1), language) for end in found[:3])
    return format_html(GAP, *ends, gettext("real") if found.real else gettext("could be chance"))


def signed(value: float) -> str:
    """A difference in points with its sign (a true minus sign)."""
    return _signed(round(100 * value, 1), get_language())


@lru_cache(maxsize=4096)
def _signed(number: float, language: str | None) -> SafeString:
    written = _written(abs(number), language)
    return written if number == 0 else SafeString(f"{'+' if number > 0 else '−'}{written}")


@register.simple_tag
def figures(found: Figures | None) -> SafeString:
    """A paired difference with verdict, p-values, shared samples and what would separate."""
    if found is None:
        return SafeString("")
    parts = []
    if found.p_value is not None:
        parts.append(gettext("McNemar p %(p)s") % {"p": p_value(found.p_value)})
    if found.gap.p is not None:
        parts.append(gettext("corrected p %(p)s") % {"p": p_value(found.gap.p)})
    parts.append(f"n = {whole(found.n)}")
    if found.clustered:
        parts.append(gettext("counted by text"))
    pieces = format_html_join(" · ", '<span class="nowrap">{}</span>', ((p,) for p in parts))
    return format_html(
        '<span class="sub">{} {}</span><span class="sub">{}</span>',
        gap(found.gap), pieces, power_hint(found),
    )  # fmt: skip


def power_hint(found: Figures) -> str:
    """What it would take to tell two models apart, in words."""
    if found.gap.real:
        return gettext("already separated")
    if not found.discordant:
        return gettext("no number of questions would help: same scores")
    if found.more is None:
        return gettext("too close for any realistic number of questions")
    if found.more == 0:
        return gettext("enough questions for this difference alone, not after correction")
    number = about(found.more)
    return ngettext(
        "about %(count)s more question would separate these two",
        "about %(count)s more questions would separate these two",
        number,
    ) % {"count": whole(number)}


def about(number: int) -> int:
    """``number`` to two figures: more would pretend to know."""
    step = 10 ** max(0, len(str(number)) - 2)
    return -(-number // step) * step


def p_value(p: float) -> str:
    """How likely the difference is between equally good models: "0.032", "< 0.001"."""
    return f"< {decimal(0.001, 3)}" if p < 0.001 else decimal(p, 3)


@register.simple_tag
def money(cost: Cost) -> SafeString:
    """An amount with its currency; what is unknown says so and why, and is never 0."""
    if cost.amount is None:
        reason = UNKNOWN_COSTS.get(cost.reason, "")
        return format_html(
            '<span class="muted" title="{0}">{1}<span class="visually-hidden"> ({0})</span></span>',
            reason,
            gettext("unknown"),
        )
    return at_least(f"{amount(cost.amount)} {cost.currency}", cost.at_least)


@register.simple_tag
def tokens(usage: Usage) -> SafeString:
    """Prompt and answer tokens together."""
    if usage.tokens is None:
        return format_html('<span class="muted">{}</span>', gettext("unknown"))
    return at_least(whole(usage.tokens), usage.at_least)


@register.simple_tag
def token_count(count: int | None, partial: bool = False) -> SafeString:
    if count is None:
        return format_html('<span class="muted">{}</span>', gettext("unknown"))
    return at_least(whole(count), partial)


@register.simple_tag
def budget(run: Run | Schedule) -> str:
    """What a run may use at most: "2,000,000 tokens · 5.00 EUR"."""
    limits = []
    if run.budget_tokens is not None:
        limits.append(tokens_in_words(run.budget_tokens))
    if run.budget_money is not None:
        limits.append(money_in_words(run.budget_money, run.currency))
    return " · ".join(limits)


@register.simple_tag
def why_unknown(cost: Cost) -> str:
    return str(UNKNOWN_COSTS.get(cost.reason, ""))


@register.simple_tag
def price(found: Price) -> str:
    """A price in words: "2.00 / 6.00 EUR per million prompt / answer tokens"."""
    if found.pricing == Pricing.GPU_HOUR:
        words = gettext("%(amount)s %(currency)s per GPU-hour × %(gpus)s GPUs")
        values = {"amount": amount(found.per_gpu_hour), "gpus": found.gpus}
    else:
        words = gettext("%(prompt)s / %(answer)s %(currency)s per million prompt / answer tokens")
        values = {
            "prompt": amount(found.per_million_prompt),
            "answer": amount(found.per_million_answer),
        }
    return words % {**values, "currency": found.currency}


def at_least(written: str, partial: bool) -> SafeString:
    if not partial:
        return format_html("{}", written)
    words = gettext("at least")
    return format_html(
        '<span class="nowrap"><span class="muted small">{}</span> {}</span>', words, written
    )


@register.filter
def heat(share: float) -> str:
    """A share as the number that ``--v`` takes, never localised."""
    return f"{100 * share:.0f}"


@register.simple_tag
def tip(score: Cell) -> str:
    """What hover and focus tell about a cell: value, interval, n, method."""
    return "\n".join(
        [
            f"{points(score.value)} {span(score.low, score.high)}",
            gettext("%(answered)s of %(asked)s answered")
            % {"answered": score.answered, "asked": score.asked},
            f"{score.metric} · {word(score.method)}",
        ]
    )


@register.simple_tag
def board_cells(cells: Iterable[tuple[Cell | None, int, str]]) -> SafeString:
    """A row of results with their heat, each leading to its samples.

    One tag for the row, of pieces that are escaped once: a board has thousands of cells.
    """
    language, run, valid = get_language(), gettext("not run"), gettext("not valid")
    out = []
    for cell, heat, href in cells:
        if cell is None:
            out.append(format_html(NO_RESULT, run))
        elif cell.value is None or not cell.valid:
            out.append(format_html('<td class="missing"><a href="{}">{}</a></td>', href, valid))
        else:
            value, low, high = (
                _written(round(100 * share, 1), language)
                for share in (cell.value, cell.low, cell.high)
            )
            about = _about(cell.answered, cell.asked, cell.metric, cell.method, language)
            if cell.unread >= MANY_FAILED:
                about = format_html("{}\n{}", about, _unread(cell.unread))
                out.append(
                    format_html(STARRED, str(heat), href, value, low, high, about, value, STAR)
                )
                continue
            out.append(format_html(RESULT, str(heat), href, value, low, high, about, value))
    return format_html_join("", "{}", ((cell,) for cell in out))


@lru_cache(maxsize=4096)
def _about(answered: int, asked: int, metric: str, method: str, language: str | None) -> SafeString:
    counts = gettext("%(answered)s of %(asked)s answered") % {"answered": answered, "asked": asked}
    return escape(f"{counts}\n{metric} · {word(method)}")


@register.simple_tag
def unread(share: float | None) -> SafeString | str:
    """The share of answers in which nothing could be read, behind a star from a tenth on."""
    if not share:
        return ""
    star = STAR if share >= MANY_FAILED else ""
    return format_html('<span class="sub">{} {}</span>', star, _unread(share))


def _unread(share: float) -> str:
    return gettext("%(share)s %% of the answers could not be read") % {"share": points(share)}


@register.simple_tag
def place_cells(cells: Iterable[tuple[Place | None, int, str]]) -> SafeString:
    """A row of means over one language each with the rank there, leading to its board."""
    none = format_html('<td class="missing">{}</td>', missing(gettext("not complete")))
    ranked = gettext("rank %(places)s")
    out = []
    for place, heat, href in cells:
        if place is None:
            out.append(none)
            continue
        value = points(place.overall[0])
        out.append(
            format_html(
                '<td class="heat{}" style="--v:{}"><a href="{}" data-tip="{}">{} '
                '<span class="small">{}</span></a></td>',
                " leads" if place.leads else "",
                str(heat),
                href,
                f"{value} {span(*place.overall[1:])}",
                value,
                ranked % {"places": rank(place.rank)},
            )
        )
    return format_html_join("", "{}", ((cell,) for cell in out))


@register.simple_tag
def compared_cells(line: Line) -> SafeString:
    """A row of scores with their difference to the first, each leading to its samples.

    One tag for the row, as `board_cells`.
    """
    out = []
    for cell in line.cells:
        if not cell.valid:
            said = '<td class="num missing"><span class="small">{}</span></td>'
            out.append(format_html(said, cell.reason))
            continue
        href = f"{run_address(cell.part.run_id)}?benchmark={line.benchmark.name}#samples"
        value = score(cell.score.value, cell.score.low, cell.score.high)
        out.append(format_html(COMPARED, href, value, figures(cell.figures)))
    return format_html_join("", "{}", ((cell,) for cell in out))


@lru_cache(maxsize=1024)
def _run_address(run: int, prefix: str) -> str:
    return reverse("evals:run", args=[run])


def run_address(run: int) -> str:
    """Where a run stands; tables name a few runs hundreds of times."""
    return _run_address(run, get_script_prefix())


@register.simple_tag
def options(choices: Iterable[Any], chosen: Any = None) -> SafeString:
    """The options of a select for rows with a name; one tag where a page has hundreds."""
    return format_html_join(
        "",
        '<option value="{}"{}>{}</option>',
        ((str(row.pk), SELECTED if row == chosen else "", row.name) for row in choices),
    )


@register.simple_tag
def serving_options(
    candidates: Iterable[Candidate], runs: Iterable[Run], chosen: Side | None
) -> SafeString:
    """The choices of a serving: all models, then the newest runs."""

    def rows(sides: Iterable[tuple[str, str]]) -> SafeString:
        key = chosen.key if chosen else ""
        return format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            ((value, SELECTED if value == key else "", name) for value, name in sides),
        )

    groups = [(gettext("Models"), rows((f"m{each.pk}", each.name) for each in candidates))]
    groups.append((gettext("Runs"), rows((f"r{run.pk}", run_choice(run)) for run in runs)))
    return format_html_join("", '<optgroup label="{}">{}</optgroup>', groups)


def run_choice(run: Run) -> str:
    """A run in one line of a choice."""
    when = date_format(localtime(run.created_at), "SHORT_DATE_FORMAT")
    return f"{run.pk} · {run.candidate.name} · {run.suite} · {run.server or '–'} · {when}"


@register.simple_tag
def change(found: Interval) -> SafeString:
    """A change in points with its interval."""
    span = '{} <span class="muted small">[{} – {}]</span>'
    return format_html(span, *map(signed, (found.value, found.low, found.high)))


@register.simple_tag
def serving_verdict(code: str) -> SafeString:
    state = {"worse": "failed", "not_worse": "done", "unsure": ""}[code]
    return badge(state, str(VERDICTS[code]))


@register.simple_tag
def outcome(sample: Sample) -> SafeString:
    """What a sample came to, as a badge."""
    if sample.error:
        return badge("paused", gettext("server error"))
    if sample.correct:
        return badge("done", gettext("correct"))
    if sample.correct is False:
        return badge("failed", gettext("wrong"))
    return badge("", points(sample.value))


@register.simple_tag
def languages_of(run: Run) -> str:
    """The languages that ``run`` is limited to."""
    return ", ".join(sorted(map(language_name, run.languages)))


@register.simple_tag
def probe_name(name: str) -> str:
    return str(PROBES.get(name, name))


@register.simple_tag
def probe_change(change: Change) -> str:
    """What a check found otherwise than the one before it."""
    if change.name in ("server", "revision"):
        words = {
            "server": gettext("Server: %(before)s → %(after)s"),
            "revision": gettext("Endpoint revision: %(before)s → %(after)s"),
        }[change.name]
        return words % {"before": change.before or "–", "after": change.after or "–"}
    said = {
        True: gettext("%(what)s: works now"),
        False: gettext("%(what)s: does not work any more"),
        None: gettext("%(what)s: not tried any more"),
    }
    if change.after is False and change.before is None:
        return gettext("%(what)s: does not work") % {"what": probe_name(change.name)}
    return said[change.after] % {"what": probe_name(change.name)}


@register.simple_tag
def finding(verdict: dict[str, Any]) -> str:
    """What a probe found, in the reader's language."""
    known = SENTENCES.get(verdict.get("code", ""))
    if known is None:
        return str(verdict["summary"])
    return gettext(known[1]).format(**verdict["values"])


def messages_of(prompt: str) -> list[dict[str, Any]]:
    """The chat messages of a stored prompt; [] for plain text."""
    if not prompt.startswith("[{"):
        return []
    try:
        found = json.loads(prompt)
    except json.JSONDecodeError:
        return []
    return [m for m in found if isinstance(m, dict) and "role" in m and "content" in m]


@register.filter
def question(prompt: str) -> str:
    """The last thing asked, without examples and template: what tells samples apart in a list."""
    if messages := messages_of(prompt):
        return str(messages[-1]["content"])
    return prompt.rstrip().split("\n\n")[-1]


@register.simple_tag
def exchange(prompt: str, lang: str) -> SafeString:
    """The whole rendered prompt: chat messages one by one, or the plain text."""
    messages = messages_of(prompt)
    if not messages:
        return text(prompt, lang)
    return format_html_join(
        "",
        '<p class="muted small">{}</p>{}',
        (
            (ROLES.get(message["role"], message["role"]), text(str(message["content"]), lang))
            for message in messages
        ),
    )


@register.filter
def role(name: str) -> str:
    """Who says a chat message, in the reader's language."""
    return str(ROLES.get(name, name))


@register.filter
def weight(value: float | str) -> str:
    """A weight without needless decimals in the reader's notation; what was typed as it is."""
    if isinstance(value, str):
        return value
    return number_format(f"{value:.10g}", use_l10n=True)


@register.filter
def whole(value: float | None) -> str:
    """A whole number in the reader's notation."""
    return "–" if value is None else number_format(round(value), decimal_pos=0, use_l10n=True)


@register.filter
def as_given(value: float | None) -> str:
    """A number of others in the reader's notation, in its own scale; files keep every digit."""
    if value is None:
        return "–"
    written = f"{value:.2f}" if abs(value) >= 1 else f"{value:.4f}"
    digits = len(written.partition(".")[2].rstrip("0"))
    return number_format(round(value, digits), decimal_pos=digits, use_l10n=True)


@register.filter
def spread_words(kind: str) -> str:
    """What stands beside a value of others."""
    return str(SPREADS.get(kind, kind))


@register.filter
def difference_words(code: str) -> str:
    """Why an imported result does not stand in a column."""
    return str(DIFFERENCES.get(code, code))


@register.filter
def column_word(role: str) -> str:
    """What a column of an imported board can be."""
    return str(COLUMN_ROLES.get(role, role))


register.simple_tag(news)


@register.simple_tag
def next_step(project: Project) -> dict[str, str] | None:
    """What a new project should do next; None once two models are measured."""
    if not Candidate.objects.in_project(project).exists():
        return {
            "title": gettext("Register your first model"),
            "text": gettext("The portal checks what its server can do and says so with evidence."),
            "label": gettext("Register a model"),
            "url": reverse("evals:candidate_new"),
        }
    if not Suite.objects.in_project(project).exists():
        return {
            "title": gettext("Install a suite"),
            "text": gettext("A suite is a fixed set of questions; one comes with the portal."),
            "label": gettext("Suites"),
            "url": reverse("evals:suites"),
        }
    measured = Run.objects.in_project(project).values("candidate").distinct().count()
    if measured < 2:
        return {
            "title": gettext("Measure two models"),
            "text": gettext("Then the leaderboard says which is better, and how surely."),
            "label": gettext("New run"),
            "url": reverse("evals:run_new"),
        }
    return None
