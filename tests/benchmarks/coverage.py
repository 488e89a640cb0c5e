"""Do intervals and tests keep what they promise? ``python -m tests.benchmarks.coverage``.

Data are drawn from a known truth again and again; what is counted is how often an interval holds
it, or how often a test claims what is not so, beside what is promised. About three minutes on
one core; ends with 1 where a promise is not kept. The figures go into docs/statistics.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import combinations
from math import sqrt
from typing import NamedTuple

import numpy as np

from evals.stats import classification
from evals.stats.adjust import benjamini_hochberg, holm
from evals.stats.bootstrap import bootstrap_mean, macro_mean
from evals.stats.clusters import clustered_difference, clustered_mean, robust_mean
from evals.stats.intervals import wilson
from evals.stats.margins import NOT_WORSE, adjusted, verdict
from evals.stats.paired import mcnemar_exact, paired_difference
from evals.stats.pairs import pair_tests
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


def corpus_coverage(n: int, repeats: int, seed: int = 1) -> dict[str, float]:
    """Coverage for MCC, macro-F1 and accuracy of ``n`` labelled answers in three classes."""
    rng = np.random.default_rng(seed)
    truth = np.array([[0.40, 0.06, 0.04], [0.05, 0.22, 0.03], [0.04, 0.04, 0.12]])
    metrics = {
        "MCC": classification.mcc,
        "macro-F1": classification.macro_f1,
        "accuracy": classification.accuracy,
    }
    hits = dict.fromkeys(metrics, 0)
    for at in range(repeats):
        counts = rng.multinomial(n, truth.ravel()).reshape(truth.shape)
        for name, metric in metrics.items():
            found = classification.bootstrap(metric, counts, seed=at)
            hits[name] += _holds(found, float(metric(truth)))
    return {name: count / repeats for name, count in hits.items()}


def overall_coverage(sizes: list[int], repeats: int, seed: int = 1) -> float:
    """Coverage for the mean over benchmarks of several sizes and difficulties."""
    rng = np.random.default_rng(seed)
    shares = np.linspace(0.4, 0.8, len(sizes))
    hits = 0
    for at in range(repeats):
        groups = [(rng.random(n) < p).astype(float) for n, p in zip(sizes, shares, strict=True)]
        hits += _holds(macro_mean(groups, seed=at), float(shares.mean()))
    return hits / repeats


def change_coverage(n: int, lost: float, gained: float, repeats: int, seed: int = 1) -> float:
    """Coverage for a difference of two servings that agree on most samples."""
    drawn = np.random.default_rng(seed).multinomial(
        n, [gained, lost, 1 - gained - lost], size=repeats
    )
    found = [adjusted(int(up), int(down), n) for up, down, _same in drawn]
    return float(np.mean([_holds(interval, gained - lost) for interval in found]))


def false_reassurance(n: int, margin: float, repeats: int, seed: int = 1) -> float:
    """How often a serving that is worse by exactly ``margin`` is called not worse by more."""
    lost, gained = margin + 0.02, 0.02
    drawn = np.random.default_rng(seed).multinomial(
        n, [gained, lost, 1 - gained - lost], size=repeats
    )
    said = [verdict(adjusted(int(up), int(down), n), margin) for up, down, _same in drawn]
    return float(np.mean([each == NOT_WORSE for each in said]))


def false_claims(n: int, share: float, repeats: int, seed: int = 1) -> dict[str, float]:
    """How often two equally good candidates, who find the same samples hard, are told apart.

    "paired t" is the test of the board on graded scores: those plus noise of a grader.
    """
    rng = np.random.default_rng(seed)
    hits = {"paired bootstrap": 0, "mcnemar": 0, "paired t": 0}
    for at in range(repeats):
        a, b = _equals(rng, 2, n, share)
        hits["paired bootstrap"] += paired_difference([a], [b], seed=at).significant
        hits["mcnemar"] += _p_value(a, b) <= ALPHA
        graded = np.column_stack([a, b]) + rng.normal(0, 0.3, (n, 2))
        hits["paired t"] += bool(_tested(graded) <= ALPHA)
    return {name: count / repeats for name, count in hits.items()}


def clustered_false_claims(
    clusters: int, size: int, icc: float, repeats: int, seed: int = 1
) -> dict[str, float]:
    """The same for two candidates whose passages go well or badly on their own."""
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(clusters), size).tolist()
    hits = {"clustered bootstrap": 0, "clustered t": 0, "unclustered mcnemar": 0}
    for at in range(repeats):
        a, b = (_passages(rng, clusters, size, icc) for _ in range(2))
        hits["clustered bootstrap"] += clustered_difference(a, b, names, seed=at).significant
        hits["clustered t"] += bool(_tested(np.column_stack([a, b]), names) <= ALPHA)
        hits["unclustered mcnemar"] += _p_value(a, b) <= ALPHA
    return {name: count / repeats for name, count in hits.items()}


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


def rank_coverage(n: int, repeats: int, seed: int = 1) -> dict[str, float]:
    """How often rank ranges hold the true ranks, of eight candidates two points apart.

    "all": every range of a board at once, which is what Holm promises; "each": any one of them.
    """
    rng = np.random.default_rng(seed)
    skills = np.linspace(0.64, 0.5, 8)
    hits = {f"{name}, {what}": 0.0 for name in ("holm", "bh") for what in ("each", "all")}
    for _ in range(repeats):
        board = [[(rng.random(n) < skill).astype(float)] for skill in skills]
        for name in ("holm", "bh"):
            ranges = rank_ranges(board, name)
            held = [r.best <= rank <= r.worst for rank, r in enumerate(ranges, 1)]
            hits[f"{name}, each"] += float(np.mean(held))
            hits[f"{name}, all"] += all(held)
    return {name: count / repeats for name, count in hits.items()}


class Figure(NamedTuple):
    """A share that was found, and between which it has to lie; no bounds: shown to compare."""

    name: str
    rate: float
    least: float = 0.0
    most: float = 1.0
    repeats: int = 0

    @property
    def kept(self) -> bool:
        """Within the bounds, and three standard errors that the number of draws leaves."""
        air = 3 * sqrt(ALPHA * (1 - ALPHA) / self.repeats) if self.repeats else 0.0
        return self.least - air <= self.rate <= self.most + air


def report(repeats: int) -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    yield from _coverages(repeats)
    yield from _false_claims(repeats)
    for name, rate in familywise_error(8, 200, repeats).items():
        most = 1.0 if name == "unadjusted" else ALPHA
        yield Figure(f"a false claim on a board of 8 equals, {name}", rate, 0, most, repeats)
    rate = false_discoveries(200, repeats)
    yield Figure("false among claims, Benjamini–Hochberg", rate, 0, ALPHA, repeats)
    for name, rate in rank_coverage(300, repeats).items():
        least = 0.0 if name == "bh, all" else 0.95
        yield Figure(f"rank ranges hold the true rank, {name}", rate, least, 1, repeats)


def _coverages(repeats: int) -> Iterator[Figure]:
    """Intervals of 95 % that hold the truth: 95 ± 2 % are asked for."""
    found: list[tuple[str, float]] = []
    for n in (50, 200, 1000):
        found.append((f"Wilson, n = {n}", wilson_coverage(n, 0.6, repeats)))
        found.append((f"bootstrap, n = {n}", bootstrap_coverage(n, 0.6, repeats)))
    for n in (200, 1000):
        found += [(f"{k}, n = {n}", v) for k, v in corpus_coverage(n, repeats).items()]
    found.append(("overall of 4 benchmarks", overall_coverage([40, 80, 150, 300], repeats)))
    for n in (200, 1000):
        found.append((f"change of serving, n = {n}", change_coverage(n, 0.06, 0.03, repeats)))
    passages = clustered_coverage(60, 5, 0.3, repeats)
    plain = passages.pop("unclustered")
    found += [(f"60 passages of 5, {name}", rate) for name, rate in passages.items()]
    for name, rate in found:
        yield Figure(f"coverage, {name}", rate, 0.93, 0.97)
    yield Figure("coverage, 60 passages of 5 taken for independent", plain)


def _false_claims(repeats: int) -> Iterator[Figure]:
    """Tests at 5 % on what is equally good."""
    for n, share in ((50, 0.6), (200, 0.6), (200, 0.98)):
        for name, rate in false_claims(n, share, repeats).items():
            yield Figure(
                f"false claims, {share:.0%} right, n = {n}, {name}", rate, 0, ALPHA, repeats
            )
    for name, rate in clustered_false_claims(60, 5, 0.3, repeats).items():
        most = 1.0 if name.startswith("un") else ALPHA
        yield Figure(f"false claims, 60 passages of 5, {name}", rate, 0, most, repeats)
    for n in (200, 1000):
        rate = false_reassurance(n, 0.03, repeats)
        yield Figure(f"worse by the margin, called not worse, n = {n}", rate, 0, ALPHA / 2, repeats)


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


def _tested(scores: np.ndarray, names: list[int] | None = None) -> float:
    tests = pair_tests([scores], np.array([0]), np.array([1]), [names])
    return float(tests.p[0])


def main(repeats: int = 3000) -> int:
    """Print the table; how many promises are not kept."""
    broken = 0
    for figure in report(repeats):
        bounds = f"{100 * figure.least:.0f}–{100 * figure.most:.1f} %".replace(".0 ", " ")
        said = "" if (figure.least, figure.most) == (0, 1) else bounds
        mark = "" if figure.kept else "NOT KEPT"
        print(f"{figure.name:58} {100 * figure.rate:5.1f} % {said:>12} {mark}".rstrip(), flush=True)
        broken += not figure.kept
    print(f"{repeats} draws each; promises not kept: {broken}")
    return broken


if __name__ == "__main__":
    sys.exit(min(1, main()))
