"""Refinement: what follows a descent on a model of the residuals.

::

    descent --the method ends--> residuals under another seed
       ^                                    |
       +--- restart, all samples kept <-- far above the noise, and no minimum found twice
                                            |
                                            otherwise: no noise -----------------> answer: the best sample
                                            |
                                            noise: residuals under further seeds -> answer: the mean of their answers
"""

from __future__ import annotations

import math

import numpy as np
import torch
from attrs import evolve, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.estimator import Estimate
from invopt.core.evaluator import Evaluator
from invopt.core.model import Instrument, Model
from invopt.core.result import Status
from invopt.core.seeds import SeedPolicy, SeedSource

__all__ = ["End", "Move", "Refinement"]

Array = NDArray[np.float64]

# Restarts of a run whose descents end far above the noise.
_MOST_RESTARTS = 8
# Standard deviation of a restart, in units of the model's unit; each is longer by this factor.
_REACH, _FARTHER = 0.6, 1.3
# Distance, in these units, within which two descents have found the same minimum.
_SAME_MINIMUM = 0.3
# A descent ended far above the noise if the residuals that are left exceed this share of those at the start: on average
# over levels, and at level 0; or this smaller share at level 0 and this multiple of the noise.
_LEFT_ON_AVERAGE, _LEFT, _LEFT_OF_NOISE, _NOISE_MULTIPLE = 0.1, 0.15, 0.03, 2.0
# Share of the squares up to which a difference between two seeds is rounding.
_ROUNDING = 1e-20
# Renders under other seeds, at the best point and then at its correction.
_FIRST_REPLICATES, _REPLICATES = 3, 8
# Half the distance of the differences, in the model's unit, that calibrate its slopes; for more parameters than this
# they are not calibrated, because that takes two evaluations for each.
_DIFFERENCE, _MOST_MEASURED = 0.15, 12
# Largest condition number, of parameters in units of their own slopes, at which they count as determined.
_LARGEST_CONDITION = 1e8
# Distance to a bound, in units of `x_scale`, that is rounding.
_BOUND_ROUNDING = 1e-12


@frozen
class Move:
    """A point to which the run goes next, and why.

    Attributes
    ----------
    x : Tensor, shape (n,)
        The point, in units of `x_scale`.
    reason : str
        Why.
    """

    x: Tensor
    reason: str


@frozen
class End:
    """End of the run.

    Attributes
    ----------
    status : Status
        Its status.
    note : str, default ""
        A sentence for the message of the result.
    x_standard_error : Tensor, shape (n,), optional
        Standard error of each parameter.
    """

    status: Status
    note: str = ""
    x_standard_error: Tensor | None = None


class Refinement:
    """Decides what follows once a method has ended its descent.

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates residuals under other seeds.
    seeds : SeedPolicy
        The estimator's policy.
    rng : Generator
        The run's rng.
    """

    def __init__(self, evaluator: Evaluator, seeds: SeedPolicy, rng: np.random.Generator) -> None:
        self._evaluator = evaluator
        self._source = SeedSource(seeds, rng)
        self._seeds = seeds
        self._rng = rng
        self._answer: End | None = None
        self._ends: list[Array] = []
        self._reach = _REACH
        self._start: Array | None = None

    def after(self, status: Status, estimate: Estimate) -> Move | End:
        """Return where the run goes next, or how it ends.

        Only a success on an estimate with a model is refined.
        """
        if self._answer is not None:
            return self._answer
        model = estimate.model
        if model is None or not status.success:
            return End(status)
        x = model.points[model.best]
        if self._seeds is SeedPolicy.FIXED:
            return self._moved(x, End(status))
        if self._start is None:
            self._start = model.points[0]
        (other,) = self._evaluate(x, 1)
        found = model.discrepancy(model.best, other)
        noise = float(found.noise[0])
        self._ends.append(x)
        far = self._is_far(model, found.left, noise)
        if far and self._may_restart(model):
            return self._restarted(model)
        if noise > _ROUNDING * float(model.squares[0, 0]):
            return self._replicated(model, x, Status.MISMATCH if far else Status.NOISE_FLOOR)
        return self._moved(x, End(Status.MISMATCH, _LEFT_OVER) if far else End(status))

    def answered(self, estimate: Estimate) -> Estimate:
        """Return the estimate at the answer with what is known of it; any other as it is."""
        if self._answer is None:
            return estimate
        end = self._answer
        return evolve(
            estimate,
            status=end.status,
            note=end.note or estimate.note,
            x_standard_error=end.x_standard_error,
            incumbent=None,
        )

    def _moved(self, x: Array, end: End) -> Move:
        """Go to the answer, at which the run ends."""
        self._answer = end
        return Move(torch.from_numpy(x), "the answer")

    def _evaluate(self, x: Array, k: int) -> Array:
        """Residuals at a point under k other seeds, shape (k, m)."""
        rows = torch.from_numpy(x).expand(k, -1)
        found: Array = self._evaluator.residuals(rows, seed=self._source.repeat(k)).double().numpy()
        return found

    # Restarts.

    def _is_far(self, model: Model, left: Array, noise: float) -> bool:
        """Whether pictures are still far from the target, compared with the start."""
        if len(model.cells) == 1:
            # Without levels, a minimum may have any residuals.
            return False
        above = left[0] * float(model.squares[0, 0]) > _NOISE_MULTIPLE * noise
        return bool(left.mean() > _LEFT_ON_AVERAGE or left[0] > _LEFT or (left[0] > _LEFT_OF_NOISE and above))

    def _may_restart(self, model: Model) -> bool:
        """Whether no minimum was found twice, and restarts are left."""
        if len(self._ends) > _MOST_RESTARTS:
            return False
        earlier = np.array(self._ends[:-1]).reshape(-1, len(self._ends[-1]))
        again = model.distances(earlier, self._ends[-1]) if len(earlier) else np.array([math.inf])
        return float(again.min()) > _SAME_MINIMUM * model.unit

    def _restarted(self, model: Model) -> Move:
        """A random point around the start, or around the best sample, by turns."""
        assert self._start is not None
        centre = self._start if len(self._ends) % 2 else model.points[model.best]
        away = self._reach * model.unit * self._rng.standard_normal(centre.shape)
        self._reach *= _FARTHER
        return Move(self._evaluator.project(torch.from_numpy(centre + away)), "a minimum far above the noise")

    # The answer.

    def _replicated(self, model: Model, x: Array, status: Status) -> Move:
        """Correct the answer by residuals under other seeds; their scatter is its error.

        The model's slopes contain the noise of its samples, so that steps by them alone would be too short, and so
        would error bars. They serve as instrumental variables: how the projection of residuals onto them changes with
        each parameter is measured, under seeds of its own.
        """
        first = self._evaluate(x, _FIRST_REPLICATES)
        instrument = model.instrument(x, first)
        answers = self._answers(x, instrument.hess, instrument.project(first))
        if answers is None:
            return self._moved(x, End(Status.UNSURE, _UNDETERMINED))
        near = self._inside(answers.mean(0))
        hess = self._measured_hess(near, instrument, _DIFFERENCE * model.unit)
        answers = self._answers(near, hess, instrument.project(self._evaluate(near, _REPLICATES)))
        if answers is None:
            return self._moved(x, End(Status.UNSURE, _UNDETERMINED))
        error = torch.from_numpy(answers.std(0, ddof=1) / math.sqrt(len(answers)))
        return self._moved(self._inside(answers.mean(0)), End(status, x_standard_error=error))

    def _answers(self, x: Array, hess: Array, projected: Array) -> Array | None:
        """Points inside the bounds where projections vanish, shape (k, n).

        None if the projections do not determine all parameters.
        """
        if not (np.isfinite(hess).all() and np.isfinite(projected).all()):
            return None
        scales = np.sqrt(np.outer(np.linalg.norm(hess, axis=1), np.linalg.norm(hess, axis=0)))
        if not (scales > 0).all() or np.linalg.cond(hess / scales) > _LARGEST_CONDITION:
            return None
        return np.array([self._bounded(x, hess, row) for row in projected])

    def _bounded(self, x: Array, hess: Array, projected: Array) -> Array:
        """Return where one projection vanishes.

        Parameters beyond a bound are held there.
        """
        step, free = np.zeros(len(x)), np.ones(len(x), dtype=bool)
        while free.any():
            rest = projected[free] + hess[free][:, ~free] @ step[~free]
            step[free] = -np.linalg.solve(hess[free][:, free], rest)
            held = self._inside(x + step) - x
            outside = free & (np.abs(held - step) > _BOUND_ROUNDING)
            if not outside.any():
                break
            step[outside] = held[outside]
            free &= ~outside
        return self._inside(x + step)

    def _measured_hess(self, x: Array, instrument: Instrument, width: float) -> Array:
        """Derivative of the projection at `x` by central differences, shape (n, n).

        With many parameters it is the model's.
        """
        n = len(x)
        if n > _MOST_MEASURED:
            return instrument.hess
        columns = []
        for i in range(n):
            away = width * np.eye(n)[i]
            ends = np.array([self._inside(x + away), self._inside(x - away)])
            rows = self._evaluator.residuals(torch.from_numpy(ends), seed=self._source.repeat(1, 2)).double().numpy()
            high, low = instrument.project(rows)
            columns.append((high - low) / (ends[0, i] - ends[1, i]))
        return np.array(columns).T

    def _inside(self, x: Array) -> Array:
        inside: Array = self._evaluator.project(torch.from_numpy(x)).numpy()
        return inside


_LEFT_OVER = "residuals remain that no noise explains: another minimum may exist, or the target cannot be matched"
_UNDETERMINED = "the residuals do not determine all parameters: some can change together, or alone, without changing any"
