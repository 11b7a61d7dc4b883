"""Test of a mean at a stated false-alarm rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

__all__ = ["assert_mean"]

# Allowed relative error of a mean without spread: far above rounding in double precision, 1e-16.
_MEAN_ROUNDING = 1e-9


def assert_mean(samples: ArrayLike, expected: ArrayLike, *, alpha: float = 1e-6) -> None:
    """Assert that independent samples have the expected mean, by a z-test.

    Parameters
    ----------
    samples : array_like, shape (k, ...)
        Independent samples; k at least a few hundred, so that the mean is normal.
    expected : array_like, shape (...)
        The mean under test.
    alpha : float, default 1e-6
        Probability that a correct mean is rejected, for all components together (Bonferroni).
    """
    values = np.asarray(samples, dtype=np.float64)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    difference = np.abs(values.mean(axis=0) - np.asarray(expected, dtype=np.float64))
    # A component without spread must be right to rounding.
    exact = _MEAN_ROUNDING * (1 + np.abs(values).max(axis=0))
    limit = norm.isf(alpha / (2 * max(difference.size, 1)))
    bad = difference > np.maximum(limit * error, exact)
    assert not bad.any(), (
        f"mean {values.mean(axis=0)} differs from {np.asarray(expected)} by {difference / np.maximum(error, 1e-300)} "
        f"standard errors; at most {limit:.2f} were allowed"
    )
