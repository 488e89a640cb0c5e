"""Template tags that pages share: states, numbers, texts of models, tables."""

from __future__ import annotations

import pytest
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import translation

from portal.ui.htmx import page_or_part, unchanged
from portal.ui.tables import Sort, sort_of


def render(source: str, address: str = "/", **context: object) -> str:
    request = RequestFactory().get(address)
    return Template("{% load ui %}" + source).render(Context({"request": request, **context}))


@pytest.mark.parametrize(
    ("value", "look", "word"),
    [("queued", "waiting", "Queued"), ("RUNNING", "running", "Running"), ("failed", "failed", "F")],
)
def test_a_state_is_a_word_and_a_look(value: str, look: str, word: str) -> None:
    html = render("{% state value %}", value=value)
    assert f'class="badge {look}"' in html and f">{word}" in html


def test_an_unknown_state_is_shown_as_it_is_and_harmless() -> None:
    assert render("{% state value %}", value="<odd>") == '<span class="badge ">&lt;odd&gt;</span>'


def test_a_score_is_written_in_the_readers_notation() -> None:
    source = "{% score 0.7312 0.702 0.75949 %}"
    assert "<b>73.1</b>" in render(source) and "[70.2 – 75.9]" in render(source)
    with translation.override("de"):
        assert "<b>73,1</b>" in render(source) and "[70,2 – 75,9]" in render(source)
    assert "<b>7.25</b>" in render("{% score 7.25 digits=2 scale=1 %}")


def test_a_missing_score_is_never_nought() -> None:
    html = render("{% score nothing %}", nothing=None)
    assert "0" not in html and "not measured" in html
    assert "<b>0.0</b>" in render("{% score nought %}", nought=0.0)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"), (0, "0 ms"), (0.84, "840 ms"), (0.9996, "1.0 s"), (3.21, "3.2 s"),
        (9.97, "10 s"), (59.6, "1 min"), (185, "3 min 5 s"), (3600, "1 h"), (7440, "2 h 4 min"),
        (200_000, "2 d 7 h"), (86_399.7, "1 d"),
    ],
)  # fmt: skip
def test_durations_read_like_speech(seconds: float | None, said: str) -> None:
    assert render("{% duration seconds %}", seconds=seconds) == said


def test_text_of_a_model_is_text() -> None:
    html = render("{% text value lang %}", value="<img onerror=x>\n{{ 1 }}", lang="de")
    assert html == ('<div class="text" lang="de" dir="auto">&lt;img onerror=x&gt;\n{{ 1 }}</div>')


@pytest.mark.parametrize("lang", ["", None, 'de" onclick="x', "deutsch und englisch"])
def test_text_carries_only_languages_that_can_be_one(lang: str | None) -> None:
    assert render("{% text 'hej' lang %}", lang=lang) == '<div class="text" dir="auto">hej</div>'


def test_a_snippet_is_one_short_line() -> None:
    html = render("{% snippet value 'en' 12 %}", value="one\n\n two <b>three</b>")
    assert html == '<span class="snippet" lang="en" dir="auto">one two &lt;b&gt;…</span>'


def test_a_sort_link_turns_round_and_tells_the_direction() -> None:
    source = '{% sort_header "score" "Score" sort numeric=True %}'
    elsewhere = render(source, "/?q=x&page=3", sort=Sort("name", False))
    assert "aria-sort" not in elsewhere
    assert 'href="?q=x&amp;sort=-score"' in elsewhere
    here = render(source, "/?sort=-score", sort=Sort("score", True))
    assert 'aria-sort="descending"' in here and 'href="?sort=score"' in here


def test_sorting_ignores_columns_that_do_not_exist() -> None:
    asked = RequestFactory().get("/?sort=-password")
    assert sort_of(asked, {"name"}, "-score") == Sort("score", True)
    assert str(sort_of(RequestFactory().get("/?sort=-name"), {"name"}, "name")) == "-name"


def test_the_pager_keeps_the_rest_of_the_address() -> None:
    page = Paginator(range(500), 10).get_page(7)
    html = render("{% pager page %}", "/?show=wrong", page=page)
    assert 'href="?show=wrong&amp;page=8"' in html
    assert '<span aria-current="page">7</span>' in html
    assert html.count("…") == 2
    assert render("{% pager page %}", page=Paginator(range(5), 10).get_page(1)).strip() == ""


def test_a_view_answers_htmx_with_the_part_and_others_with_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from types import SimpleNamespace

    asked: list[str] = []

    def note(request: object, name: str, context: object, status: int) -> HttpResponse:
        asked.append(name)
        return HttpResponse(status=status)

    monkeypatch.setattr("portal.ui.htmx.render", note)
    request = RequestFactory().get("/")
    by_script = SimpleNamespace(boosted=False, history_restore_request=False)
    going_back = SimpleNamespace(boosted=False, history_restore_request=True)
    for htmx in (None, by_script, going_back):
        request.htmx = htmx
        answer = page_or_part(request, "a.html", part="board", status=422)
        assert answer.status_code == 422 and answer["Vary"] == "HX-Request"
    assert asked == ["a.html", "a.html#board", "a.html"]
    assert unchanged().status_code == 204
