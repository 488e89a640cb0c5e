from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from evals.stats.agreement import agreement, alpha, resampled
from tests import conformance

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(pairs, st.sampled_from(["none", "linear", "quadratic"]))
def test_it_agrees_with_scikit_learn(given_pairs, weights) -> None:
    first, second = zip(*given_pairs, strict=True)
    found = agreement(first, second, range(4), weights=weights, replicates=3)
    assert found.confusion == confusion_matrix(first, second, labels=range(4)).tolist()
    if len({*first, *second}) > 1:
        theirs = cohen_kappa_score(
            first, second, labels=range(4), weights=None if weights == "none" else weights
        )
        assert found.kappa is not None
        assert found.kappa.value == pytest.approx(theirs)
    else:
        assert found.kappa is None


def winner_of(vote: dict[str, str]) -> tuple[tuple[str, ...], str]:
    """What was compared, models in alphabetical order, and which of them won."""
    one, other = vote["model_a"], vote["model_b"]
    winner = {"model_a": one, "model_b": other}.get(vote["winner"], "tie")
    first, second = sorted([one, other])
    won = {first: "first", second: "second"}.get(winner, "tie")
    return (str(vote["question_id"]), first, second, str(vote["turn"])), won


PAPER = [  # turn, ties count, judge and people: share and votes, people among themselves
    (1, True, 66, 1343, 63, 721),
    (1, False, 85, 859, 81, 479),
    (2, True, 66, 1325, 67, 707),
    (2, False, 85, 864, 82, 474),
]


def test_the_human_cells_of_the_mt_bench_paper_come_out_with_their_counts() -> None:
    """arXiv 2306.05685, Table 5, from the votes of the experts that its authors released."""
    votes = [
        winner_of(vote)
        for vote in conformance.lines("judge/human/human.jsonl")
        if vote["judge"].startswith("expert")
    ]
    judge = dict(map(winner_of, conformance.lines("judge/human/gpt4_pair.jsonl")))
    by_thing = defaultdict(list)
    for thing, won in votes:
        by_thing[thing].append(won)
    with_judge = [(thing, judge[thing], won) for thing, won in votes if thing in judge]
    among = [(k, *two) for k, won in by_thing.items() for two in itertools.combinations(won, 2)]

    def compared(rows, turn, ties):
        kept = [
            row for row in rows
            if (turn is None or row[0][3] == str(turn)) and (ties or "tie" not in row[1:])
        ]  # fmt: skip
        things, first, second = zip(*kept, strict=True)
        questions = [thing[0] for thing in things]
        return agreement(first, second, ("first", "second", "tie"), questions)

    for turn, ties, share, n, human, m in PAPER:
        for rows, expected in ((with_judge, (share, n)), (among, (human, m))):
            found = compared(rows, turn, ties).share
            assert (round(100 * found.value), found.n) == expected
    for ties, kappa, low, high in ((True, 0.476, 0.432, 0.517), (False, 0.692, 0.638, 0.742)):
        found = compared(with_judge, None, ties).kappa
        assert found is not None
        assert round(found.value, 3) == kappa
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_chance_alone_has_a_kappa_of_nothing() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 2, 4000), rng.integers(0, 2, 4000)
    found = agreement(first.tolist(), second.tolist(), (0, 1))
    assert found.chance == pytest.approx(0.5, abs=0.01)
    assert found.kappa is not None
    assert found.kappa.low < 0 < found.kappa.high


def test_votes_on_one_question_do_not_count_as_many_questions() -> None:
    rng = np.random.default_rng(1)
    right = np.repeat(rng.integers(0, 2, 30), 10)
    first = [1] * right.size
    alone = agreement(first, right.tolist(), (0, 1))
    together = agreement(first, right.tolist(), (0, 1), np.repeat(range(30), 10).tolist())
    width = [found.share.high - found.share.low for found in (alone, together)]
    assert width[1] > 2 * width[0]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [([], [], "at least one"), ([1], [1, 2], "shorter|longer"), ([1], [9], "9 is none")],
)
def test_what_cannot_be_compared_is_refused(first, second, message) -> None:
    with pytest.raises(ValueError, match=message):
        agreement(first, second, (1, 2))


def test_alpha_has_the_values_of_krippendorffs_own_example() -> None:
    """Computing Krippendorff's Alpha-Reliability (2011), C: four observers, values missing."""
    rated = [
        [1, 1, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
        [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [5, 5, 5], [1, 1], [3],
    ]  # fmt: skip
    assert alpha(rated, "nominal") == pytest.approx(0.743, abs=5e-4)
    assert alpha(rated, "ordinal") == pytest.approx(0.815, abs=5e-4)
    assert alpha(rated, "interval") == pytest.approx(0.849, abs=5e-4)


def test_alpha_is_unknown_where_nothing_varies_or_nobody_shares_a_thing() -> None:
    assert alpha([[1, 1], [1, 1]]) is None
    assert alpha([[1], [2]]) is None
    assert alpha([]) is None


def test_any_statistic_has_an_interval_from_drawing_questions() -> None:
    units = [[1, 1], [2, 2], [1, 2], [3, 3], [2, 2], [1, 1]] * 5
    questions = [number // 3 for number in range(30)]
    found = resampled(lambda at: alpha([units[each] for each in at]), questions, replicates=200)
    assert found is not None
    assert found.low < found.value < found.high
    assert resampled(lambda at: None, questions, replicates=3) is None
