"""The pages of help in the reader's language."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from django.utils.safestring import SafeString

from portal.ui.prose import to_html

FOLDER = Path(__file__).resolve().parent
FALLBACK = "en"
NAME = re.compile(r"\d+-(?P<slug>[a-z-]+)\.md")


class Page(NamedTuple):
    """``title`` is the first line of the file; ``body`` what follows, as HTML."""

    slug: str
    title: str
    body: SafeString

    @property
    def is_for_raters(self) -> bool:
        return self.slug.startswith("rate-")


@cache
def pages(language: str) -> tuple[Page, ...]:
    """All pages in ``language``, in order; in English where the language has none."""
    folder = FOLDER / language
    files = sorted((folder if folder.is_dir() else FOLDER / FALLBACK).glob("*.md"))
    found = []
    for path in files:
        match = NAME.fullmatch(path.name)
        assert match, f"{path.name} is not named <order>-<slug>.md"
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        found.append(Page(match["slug"], first.removeprefix("# ").strip(), to_html(rest)))
    return tuple(found)
