"""Help inside the portal: the same pages in both languages, links that lead somewhere."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.test import Client
from django.urls import Resolver404, resolve

from portal.accounts.models import Project, Role, User
from portal.help.pages import pages
from portal.ui import prose
from tests.conftest import member

LANGUAGES = [code for code, _name in settings.LANGUAGES]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_pages_and_sections(language: str) -> None:
    def shape(code: str) -> list[tuple[str, int, int]]:
        return [(p.slug, p.body.count("<h2>"), p.body.count("<pre>")) for p in pages(code)]

    assert shape(language) == shape("en")
    assert all(page.title and page.body for page in pages(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_lead_to_pages_that_exist(language: str) -> None:
    for page in pages(language):
        for href in re.findall(r'href="([^"]*)"', page.body):
            try:
                resolve(href.partition("#")[0])
            except Resolver404:
                pytest.fail(f"{language}/{page.slug} links to {href}")


def test_a_language_without_help_gets_the_english_one() -> None:
    assert pages("xx") == pages("en")


@pytest.mark.django_db
def test_raters_read_how_to_rate_and_nothing_else(client: Client, project: Project) -> None:
    client.force_login(member("rita", project, Role.RATER))
    first = client.get("/help/", follow=True)
    assert first.status_code == 200
    assert {page.slug for page in first.context["pages"]} == {
        page.slug for page in pages("en") if page.is_for_raters
    }
    assert client.get("/help/first-steps/").status_code == 404


@pytest.mark.django_db
def test_help_speaks_the_language_of_the_person(as_erik: Client, erik: User) -> None:
    erik.language = "de"
    erik.save()
    page = as_erik.get("/help/", follow=True).content.decode()
    assert "Erste Schritte" in page and "Antworten bewerten" in page


@pytest.mark.parametrize(
    ("written", "absent"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("<img src=x onerror=alert(1)>", "<img"),
        ("![x](http://elsewhere.example/x.png)", "<img"),
        ("[x](javascript:alert(1))", 'href="javascript'),
        ("[x](data:text/html,1)", 'href="data'),
    ],
)
def test_markdown_becomes_no_markup_of_others(written: str, absent: str) -> None:
    assert absent not in prose.to_html(written)


def test_markdown_becomes_prose() -> None:
    made = prose.to_html("## Two\n\n| a | b |\n|---|---|\n| 1 | `2` |\n\n[x](/models/)")
    assert (
        "<h2>Two</h2>" in made and "<td><code>2</code></td>" in made and 'href="/models/"' in made
    )
