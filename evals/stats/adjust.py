"""p-values of many comparisons at once.

With 45 pairs of equally good candidates, two or three look "significant" at 5 % by chance.
Holm keeps the chance of even one false claim below α, whatever the pairs have in common;
Benjamini–Hochberg keeps the expected share of false claims among all claims below α.
Source: S. Holm, Scand. J. Stat. 6 (1979), 65–70; Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B
57 (1995), 289–300.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values in the order given; NaN (not comparable) stays NaN and is not counted."""
    known, order, p = _sorted(p_values)
    m = p.size
    stepped = np.maximum.accumulate(p * np.arange(m, 0, -1))
    return _put_back(known, order, stepped)


def benjamini_hochberg(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values in the order given; NaN (not comparable) stays NaN and is not counted."""
    known, order, p = _sorted(p_values)
    m = p.size
    stepped = np.minimum.accumulate((p * m / np.arange(1, m + 1))[::-1])[::-1]
    # p·m/m may round below p, and an adjusted value is never the smaller one
    return _put_back(known, order, np.maximum(stepped, p))


def _sorted(p_values: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which values are known, the order of those, and they themselves in that order."""
    p = np.asarray(p_values, dtype=float)
    known = ~np.isnan(p)
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise ValueError("A p-value lies between 0 and 1.")
    order = np.argsort(p[known], kind="stable")
    return known, order, p[known][order]


def _put_back(known: np.ndarray, order: np.ndarray, stepped: np.ndarray) -> np.ndarray:
    out = np.full(known.size, np.nan)
    out[np.flatnonzero(known)[order]] = np.minimum(stepped, 1.0)
    return out
