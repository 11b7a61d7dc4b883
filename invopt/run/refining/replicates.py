"""Replicates: residuals under several seeds, and the answer that each gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.core.evaluator import Evaluator
from invopt.core.model import Instrument, Model
from invopt.core.pyramid import level_weights
from invopt.core.seeds import SeedSource
from invopt.run.refining.derivatives import (
    MOST_ROUNDS,
    Measured,
    by_other_slopes,
    by_own_slopes,
    flat_side,
    is_determined,
)

__all__ = ["Hidden", "Replicates", "covariance_of_mean"]

Array = NDArray[np.float64]

# Half the distance of the differences, in units of sigma, that measure slopes. With 0.3 the curvature of the tiny tasks
# shows, with 0.05 noise hides the slopes of BUNNY at 4 samples in one run of ten.
_DIFFERENCE = 0.15
# Ratio of the distances to both ends above which each side has a slope of its own.
_EVEN = 0.5
# Most parameters for which a model's slopes are calibrated: that takes four evaluations for each.
_MOST_CALIBRATED = 12
# Relative noise of a derivative under four seeds from which no more are taken: under eight it is some .7 of it, and may
# not exceed .5.
_HOPELESS = 1.0
# Distance to a bound, in units of `x_scale`, that is rounding.
_BOUND_ROUNDING = 1e-12


class Hidden(NamedTuple):
    """Residuals do not depend on a parameter, on a side at least, or noise hides it."""

    parameter: int


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

    @property
    def image_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the pictures that the residuals consist of."""
        return self._evaluator.image_shapes

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
        if not (np.isfinite(projected).all() and is_determined(instrument.hess)):
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

    def calibrated(self, model: Model, x: Array, instrument: Instrument) -> Measured | Hidden:
        """Return a model's instrument with its derivative at `x` measured.

        With many parameters it is the model's. Of plain vectors the differences are themselves the instrument: a model
        of few noisy residuals may be no better than noise.
        """
        if len(x) > _MOST_CALIBRATED:
            return Measured(instrument, noise=0.0, significant=True, weakest=0)
        if len(model.cells) == 1:
            return self.measured(x, model.unit, self.at(x, 1))
        return self._measured(x, model.unit, lambda slopes: by_other_slopes(slopes, instrument.project))

    def measured(self, x: Array, unit: float, residuals: Array) -> Measured | Hidden:
        """Instrument of differences at `x`; `residuals` there weigh the levels."""
        if self._evaluator.noise_std is not None:
            # With known noise the answer is the minimum of `fun`, whose residuals all count alike.
            return self._measured(x, unit, lambda slopes: by_own_slopes(slopes, np.ones(1), ()))
        weights = level_weights(residuals, self.image_shapes)
        return self._measured(x, unit, lambda slopes: by_own_slopes(slopes, weights, self.image_shapes))

    def measured_again(
        self, model: Model | None, x: Array, unit: float, instrument: Instrument, residuals: Array
    ) -> Measured | Hidden:
        """Return the instrument at another point, where the residuals are these."""
        if model is None:
            return self.measured(x, unit, residuals)
        return self.calibrated(model, x, instrument)

    def _measured(self, x: Array, unit: float, measure: Callable[[Array], Measured]) -> Measured | Hidden:
        """Take differences until their noise is small."""
        sides: list[Array] = []
        for _ in range(MOST_ROUNDS):
            sides.extend(self._differences(x, unit))
            found = measure(np.mean(sides, 1))
            if found.is_precise or (len(sides) > 2 and found.noise > _HOPELESS):
                break
        if not found.counts:
            return Hidden(found.weakest)
        flat = flat_side(np.array(sides), found.instrument)
        return found if flat is None else Hidden(flat)

    def slopes(self, x: Array, unit: float) -> Array:
        """Central differences of the residuals by each parameter, shape (n, m)."""
        slopes: Array = self._differences(x, unit).mean((0, 1))
        return slopes

    def _differences(self, x: Array, unit: float) -> Array:
        """Slopes of the residuals by each parameter, forward and backward.

        Under two seeds; the shape is (2, 2, n, m), and `unit` is a sigma. Close to a bound both are the slope between
        the ends.
        """
        seeds = self._source.repeat(2, 1 + 2 * len(x)).reshape(-1, 2)
        here = self._evaluator.residuals(torch.from_numpy(x).expand(2, -1), seed=seeds[0]).double().numpy()
        found = np.empty((2, 2, len(x), here.shape[1]))
        for j, away in enumerate(_DIFFERENCE * unit * np.eye(len(x))):
            ends = np.array([self.inside(x + away), self.inside(x - away)])
            there = torch.from_numpy(ends).repeat_interleave(2, 0)
            rows = self._evaluator.residuals(there, seed=seeds[2 * j + 1 : 2 * j + 3].ravel())
            forward, backward = rows.double().numpy().reshape(2, 2, -1)
            up, down = np.abs(ends[:, j] - x[j])
            if min(up, down) > _EVEN * max(up, down):
                found[:, 0, j], found[:, 1, j] = (forward - here) / up, (here - backward) / down
            else:
                found[:, :, j] = ((forward - backward) / (up + down))[:, None]
        return found


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
