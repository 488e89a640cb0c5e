"""F1 and exact match of answers are SQuAD's, as others compute them."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.stats import overlap
from tests.real import PYTHON

WORDS = st.sampled_from(
    ["the", "The", "a", "an", "Rhine", "rhine,", "$5", "million", "№", "5", "–", "“high”", "È",
     "x|y", "the-end", "a€", "A.", "¿que?", "100%", "e=mc^2", "。", "\u00a0",
     "…", "1,000", "İstanbul"]
)  # fmt: skip
ENGLISH = st.lists(WORDS, max_size=6).map(" ".join) | st.text(max_size=12)
# Answer and right answers: what differs is an article, a sign, a word, its number or its case.
CASES = [
    ("5 million", ["$5 million"]),
    ("the Rhine", ["Rhine", "the Elbe"]),
    ("The Rhine and the Elbe", ["Rhine", "Elbe and Rhine"]),
    ("a a b", ["a b b", "b"]),
    ("It was in 1989.", ["1989", "in the year 1989"]),
    ("e = mc^2", ["E=mc2"]),
    ("", ["the"]),
    ("the", ["a"]),
    ("", ["Rhine"]),
    ("an apple, an orange; a pear", ["apple orange pear", "pears"]),
    ("well-known", ["well known", "wellknown"]),
    ("| ~ ` |", ["<+>"]),
]


@settings(deadline=None, max_examples=300)
@given(ENGLISH, ENGLISH)
def test_they_are_those_of_mlqa_as_lm_eval_has_them(answer: str, gold: str) -> None:
    theirs = pytest.importorskip("lm_eval.tasks.mlqa.utils")
    ours = overlap.exact_match(answer, [gold], "en"), overlap.token_f1(answer, [gold], "en")
    assert ours[0] == float(theirs.exact_match_score(answer, gold, "en"))
    if overlap.normalise(answer, "en") or overlap.normalise(gold, "en"):
        assert ours[1] == pytest.approx(theirs.f1_score(answer, gold, "en"))
    else:
        assert ours[1] == 1.0  # SQuAD 2.0: nothing is found in nothing


@pytest.mark.vllm
def test_they_are_those_of_squad_2_as_transformers_has_them() -> None:
    if not PYTHON.exists():
        pytest.skip("no model environment: run manage.py test without arguments")
    code = (
        "import json, sys\n"
        "from transformers.data.metrics.squad_metrics import compute_exact, compute_f1\n"
        "cases = json.load(sys.stdin)\n"
        "print(json.dumps([[max(score(gold, said) for gold in golds)"
        " for score in (compute_exact, compute_f1)] for said, golds in cases]))\n"
    )
    done = subprocess.run(
        [str(PYTHON), "-c", code], input=json.dumps(CASES), capture_output=True, text=True,
        timeout=300, check=True,
    )  # fmt: skip
    theirs = json.loads(done.stdout.splitlines()[-1])
    assert any(0 < f1 < 1 for _exact, f1 in theirs) and [1, 1.0] in theirs
    for (said, golds), (exact, f1) in zip(CASES, theirs, strict=True):
        assert overlap.exact_match(said, golds, "en") == exact, said
        assert overlap.token_f1(said, golds, "en") == pytest.approx(f1), said
