from __future__ import annotations

from itertools import combinations
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.stats.adjust import holm
from evals.stats.paired import paired_difference, stack
from evals.stats.pairs import pair_tests
from evals.stats.ranks import RankRange, rank_ranges

NAN = float("nan")


def make_board(
    rng: np.random.Generator, skills: list[float], sizes: list[int], missing: float = 0.0
) -> list[list[np.ndarray]]:
    """Right/wrong answers of candidates who find the same samples hard."""
    board: list[list[np.ndarray]] = [[] for _ in skills]
    for n in sizes:
        hard = rng.random(n)
        for skill, row in zip(skills, board, strict=True):
            right = (hard + rng.normal(0, 0.1, n) < skill).astype(float)
            right[rng.random(n) < missing] = NAN
            row.append(right)
    return board


@st.composite
def boards(draw: st.DrawFn) -> list[list[np.ndarray]]:
    seed = draw(st.integers(0, 10_000))
    skills = draw(st.lists(st.floats(0.1, 0.9), min_size=1, max_size=6))
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    missing = draw(st.sampled_from([0.0, 0.0, 0.2, 0.8]))
    return make_board(np.random.default_rng(seed), skills, sizes, missing)


def test_it_puts_clearly_different_candidates_in_order() -> None:
    board = make_board(np.random.default_rng(0), [0.5, 0.9, 0.2], [200, 300])
    assert rank_ranges(board) == [(2, 2), (1, 1), (3, 3)]


def test_it_lets_candidates_share_a_range_when_the_samples_cannot_part_them() -> None:
    rng = np.random.default_rng(1)
    best, alike, worst = make_board(rng, [0.9, 0.5, 0.1], [400])
    found = rank_ranges([alike, best, [alike[0].copy()], worst, alike])
    assert found == [(2, 4), (1, 1), (2, 4), (5, 5), (2, 4)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 40))
def test_it_never_parts_identical_candidates_by_rounding(seed: int, copies: int) -> None:
    rng = np.random.default_rng(seed)
    row = [rng.normal(0.5, 1e-3, n) for n in (17, 30, 61)]
    assert set(rank_ranges([row] * copies)) == {RankRange(1, copies)}


@settings(max_examples=40, deadline=None)
@given(boards(), st.randoms(use_true_random=False))
def test_it_does_not_depend_on_the_order_of_the_candidates(board, random) -> None:
    order = list(range(len(board)))
    random.shuffle(order)
    found = rank_ranges(board)
    assert rank_ranges([board[place] for place in order]) == [found[place] for place in order]
    assert rank_ranges(board) == found


@settings(max_examples=40, deadline=None)
@given(boards())
def test_it_contains_the_rank_of_the_plain_means(board: list[list[np.ndarray]]) -> None:
    board = [[np.nan_to_num(scores) for scores in row] for row in board]
    means = [np.mean([scores.mean() for scores in row]) for row in board]
    for mean, found in zip(means, rank_ranges(board), strict=True):
        above = sum(other > mean + 1e-12 for other in means)
        below = sum(other < mean - 1e-12 for other in means)
        assert 1 <= found.best <= 1 + above <= len(board) - below <= found.worst <= len(board)


@settings(max_examples=40, deadline=None)
@given(boards())
def test_it_counts_the_pairs_that_the_corrected_tests_part(board) -> None:
    pairs = list(combinations(range(len(board)), 2))
    left, right = np.array(pairs, dtype=int).reshape(-1, 2).T
    tests = pair_tests(stack(board), left, right)
    better, worse = [0] * len(board), [0] * len(board)
    for (one, other), delta, p in zip(pairs, tests.delta, holm(tests.p), strict=True):
        if p <= 0.05:
            winner, loser = (one, other) if delta > 0 else (other, one)
            better[loser] += 1
            worse[winner] += 1
    expected = [(1 + b, len(board) - w) for b, w in zip(better, worse, strict=True)]
    assert rank_ranges(board) == expected


def test_a_handful_of_samples_decides_nothing() -> None:
    """All wins, but few: by a sign test five of five could still be chance, six of six hardly."""
    for count, decided in ((2, False), (5, False), (6, True)):
        board = [[np.ones(count)], [np.zeros(count)]]
        expected = [(1, 1), (2, 2)] if decided else [(1, 2), (1, 2)]
        assert rank_ranges(board) == expected
        assert paired_difference(board[0], board[1]).significant is decided


def test_it_leaves_a_candidate_that_missed_a_benchmark_undecided() -> None:
    best, worst, absent = make_board(np.random.default_rng(2), [0.9, 0.2, 0.9], [200, 200])
    absent[1] = np.full(200, NAN)
    assert rank_ranges([best, worst, absent]) == [(1, 2), (2, 3), (1, 3)]


@settings(max_examples=40, deadline=None)
@given(boards())
def test_benjamini_hochberg_never_leaves_more_open_than_holm(board) -> None:
    for held, narrow in zip(rank_ranges(board), rank_ranges(board, "bh"), strict=True):
        assert held.best <= narrow.best <= narrow.worst <= held.worst


def test_it_is_of_use_with_one_candidate_or_none() -> None:
    assert rank_ranges([]) == []
    assert rank_ranges([[np.array([1.0, 0.0])]]) == [(1, 1)]


def test_it_refuses_candidates_with_different_benchmarks() -> None:
    with pytest.raises(ValueError, match="same benchmarks"):
        rank_ranges([[np.ones(3)], [np.ones(3), np.ones(3)]])


def test_it_seldom_parts_equally_good_candidates() -> None:
    rng = np.random.default_rng(8)
    boards = (make_board(rng, [0.6, 0.6], [200, 200]) for _ in range(300))
    parted = sum(rank_ranges(board)[0] != (1, 2) for board in boards)
    assert parted / 300 < 0.09  # 5 of 100 meant, three standard errors allowed


@pytest.mark.parametrize("missing", [0.0, 0.02])
def test_it_ranks_a_large_board_in_seconds(missing: float) -> None:
    skills = list(np.linspace(0.3, 0.8, 50))
    board = make_board(np.random.default_rng(9), skills, [500] * 16, missing)
    start = perf_counter()
    found = rank_ranges(board)
    assert perf_counter() - start < 20  # 1 to 3 s on two free cores
    assert found[-1].best == 1 and found[0].worst == 50
