"""Markdown that we wrote, as HTML for pages. What models or people wrote never comes here."""

from __future__ import annotations

from functools import cache

from django.utils.safestring import SafeString, mark_safe

TAGS = {
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "hr", "kbd", "li", "ol", "p", "pre",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


@cache
def _parser() -> object:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def to_html(markdown: str) -> SafeString:
    """``markdown`` (CommonMark and tables) without images, scripts or raw HTML.

    Cleaned although it is ours: a page of help must not become a way in by a careless edit.
    """
    import nh3

    made = _parser().render(markdown)  # type: ignore[attr-defined]
    cleaned = nh3.clean(
        made,
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer",
    )
    return mark_safe(cleaned)
