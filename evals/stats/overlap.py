"""How much of a right text an answer has: SQuAD's F1 and exact match, ROUGE-L, chrF.

Sources: P. Rajpurkar et al., SQuAD, EMNLP 2016, and P. Lewis et al., MLQA, ACL 2020, for
punctuation beyond ASCII; C.-Y. Lin, ROUGE, 2004 (F of the longest common subsequence, β = 1);
M. Popović, chrF, WMT 2015 (characters 1…6 without spaces, β = 2).
All are 0…1 for one answer.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

ARTICLES = {"en": re.compile(r"\b(a|an|the)\b")}  # SQuAD drops articles, of English only
CHRF_ORDER = 6
CHRF_BETA = 2


def normalise(text: str, language: str) -> list[str]:
    """The words of an answer in lower case, without punctuation and English articles.

    Punctuation is what Unicode calls so, and with SQuAD also the signs $ + < = > ^ ` | ~.
    """
    kept = "".join(c for c in text.lower() if not _is_punctuation(c))
    articles = ARTICLES.get(language)
    return (articles.sub(" ", kept) if articles else kept).split()


def _is_punctuation(sign: str) -> bool:
    return sign in string.punctuation or unicodedata.category(sign).startswith("P")


def exact_match(answer: str, golds: Sequence[str], language: str) -> float:
    """1 if the answer has the words of one of the right answers, else 0."""
    words = normalise(answer, language)
    return float(any(words == normalise(gold, language) for gold in golds))


def token_f1(answer: str, golds: Sequence[str], language: str) -> float:
    """F1 over the words of answer and right answer, of the right answer that fits best."""
    words = normalise(answer, language)
    return max((_bag_f1(words, normalise(gold, language)) for gold in golds), default=0.0)


def rouge_l(answer: str, gold: str) -> float:
    """F1 of the longest common subsequence of words (letters and digits, lower case)."""
    said, right = (re.findall(r"[^\W_]+", text.lower()) for text in (answer, gold))
    if not said or not right:
        return 0.0
    return 2 * _common(said, right) / (len(said) + len(right))


def chrf(answer: str, gold: str) -> float:
    """F2 of character n-grams: precision and recall averaged over n, spaces left out.

    An n for which either text is too short is left out.
    """
    said, right = "".join(answer.split()), "".join(gold.split())
    precisions, recalls = [], []
    for n in range(1, CHRF_ORDER + 1):
        ours, theirs = _grams(said, n), _grams(right, n)
        if ours and theirs:
            hits = (ours & theirs).total()
            precisions.append(hits / ours.total())
            recalls.append(hits / theirs.total())
    if not any(precisions):
        return 0.0
    precision, recall = (sum(part) / len(part) for part in (precisions, recalls))
    weight = CHRF_BETA**2
    return (1 + weight) * precision * recall / (weight * precision + recall)


def _bag_f1(words: list[str], gold: list[str]) -> float:
    if not words or not gold:
        return float(words == gold)
    return 2 * (Counter(words) & Counter(gold)).total() / (len(words) + len(gold))


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


def _common(one: list[str], other: list[str]) -> int:
    """The length of the longest common subsequence, in memory of one row."""
    row = [0] * (len(other) + 1)
    for word in one:
        corner = 0
        for place, match in enumerate(other, start=1):
            above = row[place]
            row[place] = corner + 1 if word == match else max(above, row[place - 1])
            corner = above
    return row[-1]
