import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats import overlap

# Answer, right text, ROUGE-L of rouge-score 0.1.2 and chrF of sacrebleu 2.6.0.
GOLDEN = [
    ("the cat sat on the mat", "a cat lay on the mat", 0.6666666666666666, 0.4948911044908337),
    ("Rom", "Paris", 0.0, 0.0),
    (
        "Two trains left early",
        "Early in the morning two trains left the station",
        0.46153846153846156,
        0.3381104364716905,
    ),
    ("ab", "abcdef", 0.0, 0.3125),
]
TEXTS = st.text(alphabet="abcä .", max_size=30)


@given(TEXTS, TEXTS)
def test_it_gives_every_measure_between_nothing_and_all(answer, gold):
    for score in (
        overlap.token_f1(answer, [gold], "de"),
        overlap.exact_match(answer, [gold], "de"),
        overlap.rouge_l(answer, gold),
        overlap.chrf(answer, gold),
    ):
        assert 0 <= score <= 1 + 1e-12


@given(TEXTS)
def test_it_finds_a_text_in_itself(text):
    assert overlap.exact_match(text, [text], "de") == 1
    assert overlap.token_f1(text, [text], "de") == 1
    if text.strip():
        assert overlap.chrf(text, text) == pytest.approx(1)


def test_it_takes_the_right_answer_that_fits_best():
    assert overlap.exact_match("Im Jahr 1989.", ["1990", "im Jahr 1989"], "de") == 1
    assert overlap.token_f1("im Jahr 1989", ["1989", "im Mai"], "de") == pytest.approx(0.5)


def test_it_drops_articles_of_english_only():
    assert overlap.exact_match("The Rhine", ["rhine"], "en") == 1
    assert overlap.exact_match("a", ["b"], "en") == 0
    assert overlap.exact_match("a Roma", ["Roma"], "it") == 0


def test_it_finds_nothing_in_an_empty_answer():
    assert overlap.token_f1("", ["Rhein"], "de") == 0
    assert overlap.rouge_l("", "Rhein") == 0
    assert overlap.chrf("", "Rhein") == 0
    assert overlap.token_f1("Rhein", [], "de") == 0


@pytest.mark.parametrize(("answer", "gold", "rouge_l", "chrf"), GOLDEN)
def test_it_agrees_with_rouge_score_and_sacrebleu(answer, gold, rouge_l, chrf):
    assert overlap.rouge_l(answer, gold) == pytest.approx(rouge_l, abs=1e-6)
    assert overlap.chrf(answer, gold) == pytest.approx(chrf, abs=1e-6)


def test_it_keeps_words_with_umlauts_whole():
    # rouge-score splits "fährt" at its "ä" and finds 2/7.
    gold = "Um acht Uhr fährt der Zug"

    assert overlap.rouge_l("Der Zug fährt um acht ab", gold) == pytest.approx(1 / 3)
