"""Do intervals and tests keep what they promise? ``python -m tests.benchmarks.coverage``.

Data are drawn from a known truth again and again; what is counted is how often an interval holds
it, or how often a test claims what is not so. The figures go into docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from evals.stats.adjust import benjamini_hochberg, holm
from evals.stats.bootstrap import bootstrap_mean
from evals.stats.clusters import clustered_difference, clustered_mean, robust_mean
from evals.stats.intervals import wilson
from evals.stats.paired import mcnemar_exact, paired_difference
from evals.stats.ranks import rank_ranges

ALPHA = 0.05
SHARED = 0.7  # share of the samples on which two equal candidates answer alike, whatever they know


def wilson_coverage(n: int, share: float, repeats: int, seed: int = 1) -> float:
    """How often the interval of ``n`` right/wrong answers holds the true share."""
    rights = np.random.default_rng(seed).binomial(n, share, size=repeats)
    return float(np.mean([_holds(wilson(int(right), n), share) for right in rights]))


def bootstrap_coverage(n: int, share: float, repeats: int, seed: int = 1) -> float:
    """The same for the percentile bootstrap."""
    drawn = np.random.default_rng(seed).random((repeats, n)) < share
    found = [bootstrap_mean(row.astype(float), seed=at) for at, row in enumerate(drawn)]
    return float(np.mean([_holds(interval, share) for interval in found]))


def clustered_coverage(
    clusters: int, size: int, icc: float, repeats: int, seed: int = 1
) -> dict[str, float]:
    """Coverage on passages of ``size`` questions whose scores correlate by ``icc``.

    "unclustered" is the plain bootstrap, which takes the questions for independent.
    """
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(clusters), size).tolist()
    hits = {"clustered": 0, "robust": 0, "unclustered": 0}
    for at in range(repeats):
        scores = _passages(rng, clusters, size, icc)
        hits["clustered"] += _holds(clustered_mean(scores, names, seed=at), 0.5)
        hits["robust"] += _holds(robust_mean(scores, names), 0.5)
        hits["unclustered"] += _holds(bootstrap_mean(scores, seed=at), 0.5)
    return {name: count / repeats for name, count in hits.items()}


def false_claims(n: int, share: float, repeats: int, seed: int = 1) -> dict[str, float]:
    """How often two equally good candidates, who find the same samples hard, are told apart."""
    rng = np.random.default_rng(seed)
    hits = {"paired bootstrap": 0, "mcnemar": 0}
    for at in range(repeats):
        a, b = _equals(rng, 2, n, share)
        hits["paired bootstrap"] += paired_difference([a], [b], seed=at).significant
        hits["mcnemar"] += _p_value(a, b) <= ALPHA
    return {name: count / repeats for name, count in hits.items()}


def clustered_false_claims(
    clusters: int, size: int, icc: float, repeats: int, seed: int = 1
) -> float:
    """The same for two candidates whose passages go well or badly on their own."""
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(clusters), size).tolist()
    hits = 0
    for at in range(repeats):
        a, b = (_passages(rng, clusters, size, icc) for _ in range(2))
        hits += clustered_difference(a, b, names, seed=at).significant
    return hits / repeats


def familywise_error(candidates: int, n: int, repeats: int, seed: int = 1) -> dict[str, float]:
    """How often at least one pair of equally good candidates is told apart (McNemar)."""
    rng = np.random.default_rng(seed)
    hits = {"holm": 0, "unadjusted": 0}
    for _ in range(repeats):
        board = _equals(rng, candidates, n, 0.6)
        p_values = np.array([_p_value(a, b) for a, b in combinations(board, 2)])
        hits["holm"] += bool((holm(p_values) <= ALPHA).any())
        hits["unadjusted"] += bool((p_values <= ALPHA).any())
    return {name: count / repeats for name, count in hits.items()}


def false_discoveries(n: int, repeats: int, seed: int = 1) -> float:
    """The mean share of false claims under Benjamini–Hochberg: 4 of 8 candidates are better."""
    rng = np.random.default_rng(seed)
    shares = []
    for _ in range(repeats):
        board = [*_equals(rng, 4, n, 0.5), *_equals(rng, 4, n, 0.65)]
        pairs = list(combinations(range(8), 2))
        claimed = benjamini_hochberg([_p_value(board[a], board[b]) for a, b in pairs]) <= ALPHA
        false = np.array([(a < 4) == (b < 4) for a, b in pairs])
        shares.append((claimed & false).sum() / max(1, claimed.sum()))
    return float(np.mean(shares))


def rank_coverage(n: int, repeats: int, seed: int = 1) -> float:
    """How often a rank range holds the true rank, of five candidates two points apart."""
    rng = np.random.default_rng(seed)
    skills = [0.58, 0.56, 0.54, 0.52, 0.5]
    held = []
    for _ in range(repeats):
        board = [[(rng.random(n) < skill).astype(float)] for skill in skills]
        ranges = rank_ranges(board)
        held += [r.best <= rank <= r.worst for rank, r in enumerate(ranges, 1)]
    return float(np.mean(held))


def report(repeats: int) -> Iterator[tuple[str, float]]:
    """Each figure in percent with its name."""
    for n in (50, 200, 1000):
        yield f"coverage, Wilson, n = {n}", wilson_coverage(n, 0.6, repeats)
        yield f"coverage, bootstrap, n = {n}", bootstrap_coverage(n, 0.6, repeats)
    for name, rate in clustered_coverage(60, 5, 0.3, repeats).items():
        yield f"coverage, 60 passages of 5, ICC 0.3, {name}", rate
    for n, share in ((50, 0.6), (200, 0.6), (200, 0.98)):
        for name, rate in false_claims(n, share, repeats).items():
            yield f"false claims, {share:.0%} right, n = {n}, {name}", rate
    rate = clustered_false_claims(60, 5, 0.3, repeats)
    yield "false claims, 60 passages of 5, ICC 0.3, clustered", rate
    for name, rate in familywise_error(8, 200, repeats).items():
        yield f"at least one false claim, 8 equal candidates, n = 200, {name}", rate
    yield "false among claims, Benjamini–Hochberg, n = 200", false_discoveries(200, repeats)
    yield "rank range holds the true rank, n = 200", rank_coverage(200, repeats // 10)


def _holds(interval: tuple[float, float, float, int, str], truth: float) -> bool:
    _value, low, high, *_rest = interval
    return low <= truth <= high


def _equals(rng: np.random.Generator, count: int, n: int, share: float) -> list[np.ndarray]:
    """Right/wrong scores of equally good candidates that agree on most samples."""
    common = rng.random(n) < share
    alike = rng.random((count, n)) < SHARED
    own = rng.random((count, n)) < share
    return list(np.where(alike, common, own).astype(float))


def _passages(rng: np.random.Generator, clusters: int, size: int, icc: float) -> np.ndarray:
    """Right/wrong scores, half of them right: each repeats its passage's own coin or not."""
    common = np.repeat(rng.random(clusters) < 0.5, size)
    own = rng.random(clusters * size) < 0.5
    follows = rng.random(clusters * size) < np.sqrt(icc)
    return np.where(follows, common, own).astype(float)


def _p_value(a: np.ndarray, b: np.ndarray) -> float:
    return mcnemar_exact(int((a > b).sum()), int((a < b).sum()))


if __name__ == "__main__":
    for name, rate in report(repeats=2000):
        print(f"{name:75} {100 * rate:5.1f} %")
