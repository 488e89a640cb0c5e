from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evals.parsing import emotions

LABELS = ("Proud", "Afraid", "Calm", "Annoyed")


@given(st.text(), st.sampled_from(["en", "de"]), st.booleans())
def test_no_answer_breaks_a_reader(text: str, language: str, revision: bool) -> None:
    emotions.original(text, language, revision)
    assert all(0 <= value <= 10 for value in emotions.tolerant(text, LABELS).values())


@given(st.lists(st.integers(0, 100), min_size=4, max_size=4))
def test_scores_with_decimals_marks_and_words_around_are_read(tenths: list[int]) -> None:
    lines = [f"- **{label.upper()}**: {value / 10}" for label, value in zip(LABELS, tenths)]  # noqa: B905
    text = "\n".join(["Here they are. Confidence: 8", *lines, "That is all."])
    expected = {label: value / 10 for label, value in zip(LABELS, tenths, strict=True)}
    assert emotions.tolerant(text, LABELS) == expected


def test_a_score_off_the_scale_is_missing_and_not_cut_to_it() -> None:
    assert emotions.tolerant("Proud: 11\nCalm: 100\nAfraid: 3/10", LABELS) == {"Afraid": 3}


def test_the_last_score_of_an_emotion_counts() -> None:
    assert emotions.tolerant("Calm: 2\nRevised:\nCalm: 4", LABELS) == {"Calm": 4}


def test_the_released_code_takes_every_label_and_cuts_decimals() -> None:
    found = emotions.original("**Proud**: 7.5\nConfidence: 8\nCalm:3")
    assert found == ({"Proud": 7, "Confidence": 8}, {})


def test_german_labels_may_have_umlauts_and_a_decimal_comma_is_no_score() -> None:
    text = "Ihre Antwort:\nVerärgert: 7\nGleichgültig: 2,5"
    assert emotions.original(text, "de").first == {"Verärgert": 7}


def test_a_revision_needs_both_headings_for_its_first_pass() -> None:
    text = "First pass scores:\nCalm: 2\nCritique: hm\nRevised scores:\nCalm: 4"
    assert emotions.original(text, revision=True) == ({"Calm": 2}, {"Calm": 4})
    assert emotions.original("First pass scores:\nCalm: 2", revision=True) == ({}, {})
