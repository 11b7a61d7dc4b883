"""Replicates: residuals under several seeds, and the answer that each gives."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.core.evaluator import Evaluator
from invopt.core.model import Instrument, Model
from invopt.core.pyramid import level_weights, projection, pyramid
from invopt.core.seeds import SeedSource

__all__ = ["WANTED_NOISE", "Replicates", "covariance_of_mean"]

Array = NDArray[np.float64]

# Half the distance of the differences, in units of sigma, that measure slopes. With 0.3 the curvature of the tiny tasks
# shows, with 0.05 noise hides the slopes of BUNNY at 4 samples in one run of ten.
_DIFFERENCE = 0.15
# Most parameters for which a model's slopes are calibrated: that takes four evaluations for each.
_MOST_CALIBRATED = 12
# Largest condition number, of parameters in units of their own slopes, at which they count as determined.
_LARGEST_CONDITION = 1e8
# Ratio of the noise of these differences to themselves above which more are taken, under two more seeds each, in so
# many rounds at most; and the largest at which they count.
WANTED_NOISE, _MOST_ROUNDS, _LARGEST_NOISE = 0.2, 4, 0.5
# Distance to a bound, in units of `x_scale`, that is rounding.
_BOUND_ROUNDING = 1e-12


class Replicates:
    """Evaluates residuals under seeds of their own, and solves for the answer of each.

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates residuals.
    source : SeedSource
        Source of the seeds.
    """

    def __init__(self, evaluator: Evaluator, source: SeedSource) -> None:
        self._evaluator = evaluator
        self._source = source

    def at(self, x: Array, k: int) -> Array:
        """Residuals at a point under k further seeds, shape (k, m)."""
        rows = torch.from_numpy(x).expand(k, -1)
        found: Array = self._evaluator.residuals(rows, seed=self._source.repeat(k)).double().numpy()
        return found

    def examine(self, x: Array) -> None:
        """Let the evaluator examine a point before it is refined."""
        self._evaluator.examine(torch.from_numpy(x), lambda: self._source.repeat(2))

    def inside(self, x: Array) -> Array:
        """Nearest point inside the bounds."""
        inside: Array = self._evaluator.project(torch.from_numpy(x)).numpy()
        return inside

    def answers(self, x: Array, instrument: Instrument, residuals: Array) -> Array | None:
        """Points inside the bounds where projections of residuals vanish.

        For residuals at `x` of shape (k, m) the shape is (k, n). None if the projections do not determine all
        parameters.
        """
        projected = instrument.project(residuals)
        if not (np.isfinite(projected).all() and _is_determined(instrument.hess)):
            return None
        return np.array([self._bounded(x, instrument.hess, row) for row in projected])

    def _bounded(self, x: Array, hess: Array, projected: Array) -> Array:
        """Return where one projection vanishes.

        Parameters beyond a bound are held there.
        """
        step, free = np.zeros(len(x)), np.ones(len(x), dtype=bool)
        while free.any():
            rest = projected[free] + hess[free][:, ~free] @ step[~free]
            step[free] = -np.linalg.solve(hess[free][:, free], rest)
            held = self.inside(x + step) - x
            outside = free & (np.abs(held - step) > _BOUND_ROUNDING)
            if not outside.any():
                break
            step[outside] = held[outside]
            free &= ~outside
        return self.inside(x + step)

    def calibrated(self, model: Model, x: Array, instrument: Instrument) -> Instrument | None:
        """Return a model's instrument with its derivative at `x` measured.

        None if noise hides it. With many parameters it is the model's. Of plain vectors the differences are themselves
        the instrument: a model of few noisy residuals may be no better than noise.
        """
        if len(x) > _MOST_CALIBRATED:
            return instrument
        found, slopes = None, []
        for _ in range(_MOST_ROUNDS):
            slopes.append(self.differences(x, model.unit))
            mean = np.mean(slopes, 0)
            if not np.isfinite(mean).all():
                return None
            if len(model.cells) == 1:
                found, noise = self.instrument(mean, self.at(x, 1))
            else:
                first, second = (instrument.project(each).T for each in mean)
                found, noise = _judged(Instrument(instrument.project, 0.5 * (first + second)), 0.5 * (first - second))
            if noise < WANTED_NOISE:
                break
        return found

    def instrument(self, slopes: Array, residuals: Array) -> tuple[Instrument | None, float]:
        """Return an instrument of differences under two seeds, shape (2, n, m).

        It projects onto their mean, levels weighted by `residuals` at the point, shape (k, m). Products of the two,
        whose noise is independent, are its derivative. Also the ratio of its noise to itself; None if that hides it.
        """
        if not (np.isfinite(slopes).all() and np.isfinite(residuals).all()):
            return None, math.inf
        shapes = self._evaluator.image_shapes
        weights = level_weights(residuals, shapes)

        def onto(own: Array) -> Callable[[Array], Array]:
            levels = zip(*(pyramid(slope, shapes) for slope in own), strict=True)
            return projection([w * np.array(each) for w, each in zip(weights, levels, strict=True)], shapes)

        (first, second), project = slopes, onto(slopes.mean(0))
        noise = 0.5 * (project(first) - project(second)).T
        product = 0.5 * (onto(first)(second) + onto(second)(first))
        return _judged(Instrument(project, 0.5 * (product + product.T)), noise)

    def differences(self, x: Array, unit: float) -> Array:
        """Central differences of the residuals by each parameter, `unit` a sigma.

        Under two seeds; the shape is (2, n, m).
        """
        found = []
        for away in _DIFFERENCE * unit * np.eye(len(x)):
            ends = np.array([self.inside(x + away), self.inside(x - away)])
            seeds = self._source.repeat(2, 2)
            rows = self._evaluator.residuals(torch.from_numpy(ends).repeat_interleave(2, 0), seed=seeds).double()
            found.append((rows[:2] - rows[2:]).numpy() / float(np.abs(ends[0] - ends[1]).max()))
        return np.stack(found, 1)


def _judged(instrument: Instrument, noise: Array) -> tuple[Instrument | None, float]:
    """Return the instrument and its relative noise.

    None if its derivative is singular or not above its noise.
    """
    if not _is_determined(instrument.hess):
        return None, math.inf
    relative = float(np.linalg.norm(np.linalg.solve(instrument.hess, noise), 2))
    return instrument if relative < _LARGEST_NOISE else None, relative


def _is_determined(hess: Array) -> bool:
    """Whether a projection's derivative is finite and well conditioned.

    The units of the parameters do not matter.
    """
    if not np.isfinite(hess).all():
        return False
    scales = np.sqrt(np.outer(np.linalg.norm(hess, axis=1), np.linalg.norm(hess, axis=0)))
    return bool((scales > 0).all() and np.linalg.cond(hess / scales) < _LARGEST_CONDITION)


def covariance_of_mean(answers: Array, target_noise: float) -> Array:
    r"""Covariance of the mean of k answers, shape (n, n).

    Variances are those between the answers, over k; the noise of the target, which all answers share, adds its own.
    With few answers correlations are shrunk towards 0 by the share :math:`\lambda = \sum \mathrm{Var}(r_{ij}) / \sum
    r_{ij}^2` over all pairs [1]_, so that the matrix is positive definite for any n.

    Parameters
    ----------
    answers : ndarray, shape (k, n)
        Answers under one seed each.
    target_noise : float
        Variance of the target's noise, as a multiple of that of one evaluation.

    References
    ----------
    .. [1] Schäfer, Strimmer, "A Shrinkage Approach to Large-Scale Covariance Matrix Estimation", Stat. Appl. Genet.
       Mol. Biol. 4(1), 2005, table 2, target D.
    """
    k, n = answers.shape
    deviations = answers.std(0, ddof=1)
    standard = (answers - answers.mean(0)) / np.where(deviations > 0, deviations, 1.0)
    products = standard[:, :, None] * standard[:, None]
    correlations = products.sum(0) / (k - 1)
    variances = k / (k - 1) ** 3 * np.square(products - products.mean(0)).sum(0)
    pairs = ~np.eye(n, dtype=bool)
    total = float(np.square(correlations[pairs]).sum())
    shrunk = min(float(variances[pairs].sum()) / total, 1.0) if total > 0 else 1.0
    correlations = np.where(pairs, (1 - shrunk) * correlations, 1.0)
    found: Array = correlations * np.outer(deviations, deviations) * (1 / k + target_noise)
    return found
