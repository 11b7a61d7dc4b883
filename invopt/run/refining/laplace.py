"""Laplace's approximation: errors of the parameters from the curvature of values."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.core.evaluator import Evaluator
from invopt.core.objective import Capability
from invopt.core.seeds import SeedSource

__all__ = ["laplace_covariance"]

Array = NDArray[np.float64]

# Most parameters: second differences take n (n - 1) evaluations, and some for each parameter.
_MOST_PARAMETERS = 12
# Rise of the negative log-posterior over a difference, in nats: a third of a standard deviation away. The third
# derivative cancels, and the fourth counts a tenth of what it does over a standard deviation.
_RISE = 0.05
# First difference, in units of `x_scale`; rounds in which its length is found, and the largest change in one.
_FIRST, _ROUNDS, _MOST_CHANGE = 0.1, 8, 100.0
# Factor by which a rise may differ from the one above.
_CLOSE = 4.0


def laplace_covariance(evaluator: Evaluator, source: SeedSource, x: Array) -> Array | None:
    """Covariance of the parameters at a minimum of values, by second differences [1]_.

    Values are negative log-likelihoods, or means of squares of residuals with known noise, with their prior.

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates; by at most 15 n + n**2 evaluations.
    source : SeedSource
        All evaluations have one seed.
    x : ndarray, shape (n,)
        The minimum, in units of `x_scale`.

    Returns
    -------
    ndarray or None
        Shape (n, n). None with more than 12 parameters or too few evaluations left, at a bound, or where the values do
        not determine all parameters.

    References
    ----------
    .. [1] MacKay, "Information Theory, Inference, and Learning Algorithms", 2003, ch. 27.
    """
    n = len(x)
    cost = 1 + 2 * _ROUNDS * n + n * (n - 1)
    if n > _MOST_PARAMETERS or evaluator.nfev + cost >= evaluator.affordable:
        return None
    nat = _value_of_nat(evaluator, source, x)
    if nat is None:
        return None
    values = _Values(evaluator, int(source.repeat(1)[0]), x)
    lengths = _lengths(values, n, _RISE * nat)
    return None if lengths is None else _inverse(_hessian(values, lengths) / nat, lengths)


class _Values:
    """Values around a point, under one seed, less the value there."""

    def __init__(self, evaluator: Evaluator, seed: int, x: Array) -> None:
        self._evaluator, self._seed, self._x = evaluator, seed, x
        self._base = 0.0
        self._base = float(self.at(np.zeros((1, len(x))))[0])

    def at(self, steps: Array) -> Array:
        """Values after steps, the rows of an array; nan outside of the bounds."""
        points = torch.from_numpy(self._x + steps)
        outside = (self._evaluator.project(points) != points).any(1).numpy()
        found = np.full(len(steps), np.nan)
        if not outside.all():
            rows = points[torch.from_numpy(~outside)]
            seeds = np.full(len(rows), self._seed)
            found[~outside] = self._evaluator.fun(rows, seed=seeds, keep_inf=True).double().numpy() - self._base
        return found


def _value_of_nat(evaluator: Evaluator, source: SeedSource, x: Array) -> float | None:
    """By how much a value rises where the log-posterior falls by one."""
    if evaluator.noise_std is None:
        return 1.0
    if Capability.RESIDUALS not in evaluator.provides:
        return None
    count = evaluator.residuals(torch.from_numpy(x)[None], seed=source.repeat(1)).shape[1]
    # The value is the mean of `count` squares of this variance.
    return 2 * evaluator.row_variance(count) / count


def _lengths(values: _Values, n: int, rise: float) -> Array | None:
    """Lengths of differences over which the value rises by about `rise`.

    None if there are none.
    """
    lengths, open_ = np.full(n, _FIRST), np.ones(n, dtype=bool)
    for _ in range(_ROUNDS):
        steps = np.diag(lengths)[open_]
        found = 0.5 * (values.at(steps) + values.at(-steps))
        if np.isnan(found).any():
            # Too long for the bounds.
            found = np.where(np.isnan(found), np.inf, found)
        with np.errstate(divide="ignore"):
            factors = np.sqrt(rise / np.maximum(found, 0.0))
        close = (found > rise / _CLOSE) & (found < rise * _CLOSE)
        lengths[open_] *= np.where(close, 1.0, np.clip(factors, 1 / _MOST_CHANGE, _MOST_CHANGE))
        open_[np.flatnonzero(open_)[close]] = False
        if not open_.any():
            return lengths
    return None


def _hessian(values: _Values, lengths: Array) -> Array:
    """Second differences, for parameters in units of the lengths."""
    n = len(lengths)
    ahead, behind = values.at(np.diag(lengths)), values.at(-np.diag(lengths))
    hess = np.diag(ahead + behind)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    if pairs:
        steps = np.array([lengths * (np.eye(n)[i] + np.eye(n)[j]) for i, j in pairs])
        both = values.at(steps) + values.at(-steps)
        for (i, j), value in zip(pairs, both, strict=True):
            hess[i, j] = hess[j, i] = 0.5 * (value - hess[i, i] - hess[j, j])
    return hess


def _inverse(hess: Array, lengths: Array) -> Array | None:
    """Inverse of a Hessian in units of the lengths.

    None unless it is positive definite.
    """
    if not np.isfinite(hess).all() or float(np.linalg.eigvalsh(hess).min()) <= 0:
        return None
    found: Array = np.linalg.inv(hess) * np.outer(lengths, lengths)
    return found
