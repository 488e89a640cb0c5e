"""What the frame of every page needs: navigation, theme, the script nonce.

An app tells its numbers for the navigation with a method of its AppConfig,
``nav_counts(project) -> {"evals:runs": 3}``; the portal knows no app by import.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject, cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from portal.accounts.models import Role, Theme
from portal.accounts.permissions import MEMBER, may

THEME_COOKIE = "theme"


class Entry(NamedTuple):
    name: str
    label: str
    icon: str
    question: str
    """What the page behind it answers; shown on the home page."""
    needs: str = Role.VIEWER
    """The role it takes to see the entry."""


# Entries whose address no app provides are left out.
GROUPS: list[tuple[str, list[Entry]]] = [
    (
        pgettext_lazy("navigation", "Evaluate"),
        [
            Entry(
                "evals:leaderboard",
                _("Leaderboard"),
                "board",
                _("Which model is best, and which differences are real?"),
            ),
            Entry(
                "evals:compare",
                _("Compare"),
                "compare",
                _("Where do models differ, by how much, on which questions?"),
            ),
            Entry(
                "evals:playground",
                _("Playground"),
                "playground",
                _("What do models answer to my own prompt, side by side?"),
                Role.ENGINEER,
            ),
            Entry("evals:runs", _("Runs"), "runs", _("What is running, what failed?")),
            Entry(
                "evals:suites",
                _("Suites"),
                "suites",
                _("What do we measure, and what does it take?"),
            ),
            Entry(
                "evals:candidates",
                _("Models"),
                "models",
                _("What can we test, and is it reachable?"),
            ),
        ],
    ),
    (
        "",
        [
            Entry("workers:activity", _("Activity"), "activity", _("What is the machine doing?")),
            Entry(
                "evals:methods",
                _("Methods"),
                "methods",
                _("How is each number computed?"),
            ),
            Entry("help:index", _("Help"), "help", _("How do I do this?"), MEMBER),
            Entry(
                "accounts:settings",
                _("Settings"),
                "settings",
                _("Who may do what, and which keys are there?"),
                MEMBER,
            ),
        ],
    ),
]
# The landing page of people who only rate; the others get there by the name of the product.
RATE = (
    pgettext_lazy("navigation", "Rate"),
    [Entry("home", _("My work"), "work", _("Which answer is better?"), MEMBER)],
)


class Link(NamedTuple):
    url: str
    label: str
    icon: str
    question: str
    count: int
    current: bool


class Navigation:
    """The side navigation of one request; made only when a page shows it."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @cached_property
    def _counts(self) -> dict[str, int]:
        project = getattr(self.request, "project", None)
        counts: dict[str, int] = {}
        for config in apps.get_app_configs():
            if project and hasattr(config, "nav_counts"):
                counts |= config.nav_counts(project)
        return counts

    @cached_property
    def groups(self) -> list[tuple[str, list[Link]]]:
        rater = getattr(self.request, "role", None) == Role.RATER
        found = [
            (
                label,
                [
                    (entry, url)
                    for entry in entries
                    if may(self.request, entry.needs) and (url := _address(entry.name))
                ],
            )
            for label, entries in ([RATE] if rater else []) + GROUPS
        ]
        urls = [url for _label, links in found for _entry, url in links]
        here = max((u for u in urls if self._is_inside(u)), key=len, default="")
        return [
            (label, [self._link(entry, url, here) for entry, url in links])
            for label, links in found
            if links
        ]

    def _is_inside(self, url: str) -> bool:
        """Every page is below "/", so that one must be met exactly."""
        return self.request.path == url or (url != "/" and self.request.path.startswith(url))

    def _link(self, entry: Entry, url: str, here: str) -> Link:
        count = self._counts.get(entry.name, 0)
        return Link(url, entry.label, entry.icon, entry.question, count, url == here)

    def __iter__(self) -> Iterator[tuple[str, list[Link]]]:
        return iter(self.groups)


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def theme_of(request: HttpRequest) -> str:
    """The theme that the person chose, else the one this browser remembers; "" is the system's."""
    user = getattr(request, "user", None)
    chosen = user.theme if user and user.is_authenticated else request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in Theme.values else ""


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor of the frame (see ``TEMPLATES`` in the settings)."""
    return {
        "navigation": Navigation(request),
        "theme": SimpleLazyObject(lambda: theme_of(request)),
        "themes": Theme.choices,
        "csp_nonce": getattr(request, "csp_nonce", None),
    }
