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
from attrs import evolve
from numpy.typing import NDArray

from invopt.core.estimator import Estimate
from invopt.core.evaluator import Evaluator
from invopt.core.model import Discrepancy, Instrument, Model
from invopt.core.result import Status
from invopt.core.seeds import SeedPolicy, SeedSource
from invopt.run.move import End, Move

__all__ = ["Refinement"]

Array = NDArray[np.float64]

# Restarts of a run whose descents end far above the noise.
_MOST_RESTARTS = 8
# Standard deviation of a restart, in units of the model's unit; each is longer by this factor.
_REACH, _FARTHER = 0.6, 1.3
# Distance, in these units, within which two descents have found the same minimum.
_SAME_MINIMUM = 0.3
# Largest distance, in these units, of samples that show whether residuals depend on the parameters.
_AROUND = 2.0
# A descent ended far above the noise if what evaluations of its end share exceeds this share of the squares at the
# start, on average over levels, and at level 0; or this multiple of the noise at any level. A target that was rendered
# with as many samples as the pictures has once their noise.
_LEFT_ON_AVERAGE, _LEFT, _NOISE_MULTIPLE = 0.1, 0.15, 3.0
# Share of the squares up to which a difference between two seeds is rounding.
_ROUNDING = 1e-20
# Renders under other seeds, at the best point and then at its correction.
_FIRST_REPLICATES, _REPLICATES = 3, 8
# Half the distance of the differences, in the model's unit, that calibrate its slopes; for more parameters than this
# they are not calibrated, because that takes four evaluations for each.
_DIFFERENCE, _MOST_MEASURED = 0.15, 12
# Largest condition number, of parameters in units of their own slopes, at which they count as determined.
_LARGEST_CONDITION = 1e8
# Largest scatter of the answers under one seed each, in units of the model, over which its slopes still hold.
_LARGEST_SCATTER = 0.3
# Largest ratio of the noise of these differences to themselves, and how often they are measured until it is met.
_LARGEST_NOISE, _MOST_ROUNDS = 0.5, 4
# Distance to a bound, in units of `x_scale`, that is rounding.
_BOUND_ROUNDING = 1e-12


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
        found = model.discrepancy(np.array([model.residuals(model.best), other]))
        self._ends.append(x)
        far = self._is_far(model, found)
        blank = _is_blank(model, float(found.noise[0]))
        if far and self._may_restart(model, blank):
            return self._restarted(model, blank)
        if float(found.noise[0]) > _ROUNDING * float(model.squares[0, 0]):
            return self._replicated(model, x)
        return self._moved(x, End(Status.MISMATCH, _LEFT_OVER) if far else End(status))

    def answered(self, estimate: Estimate) -> Estimate:
        """Return the estimate at the answer with what is known of it.

        Any other is returned as it is.
        """
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

    def _is_far(self, model: Model, found: Discrepancy) -> bool:
        """Whether pictures are far from the target, by start or noise.

        Blurred pictures have little noise, and show what is missing where single pixels do not.
        """
        if len(model.cells) == 1:
            # Without levels, a minimum may have any residuals.
            return False
        if bool((found.common > _NOISE_MULTIPLE * found.noise).any()) and bool(found.noise[0] > 0):
            return True
        begun = model.squares[0] - found.noise
        # Where the start itself differs by no more than noise, its share says nothing.
        left = found.common / np.where(begun > found.noise, begun, math.inf)
        return bool(left.mean() > _LEFT_ON_AVERAGE or left[0] > _LEFT)

    def _may_restart(self, model: Model, blank: bool) -> bool:
        """Whether no minimum was found twice, and restarts are left.

        Where nothing changes is no minimum.
        """
        if len(self._ends) > _MOST_RESTARTS or blank:
            return len(self._ends) <= _MOST_RESTARTS
        earlier = np.array(self._ends[:-1]).reshape(-1, len(self._ends[-1]))
        again = model.distances(earlier, self._ends[-1]) if len(earlier) else np.array([math.inf])
        return float(again.min()) > _SAME_MINIMUM * model.unit

    def _restarted(self, model: Model, blank: bool) -> Move:
        """A random point, alternately around the start and around the best sample.

        Around the start only if nothing is seen at the best sample.
        """
        assert self._start is not None
        centre = self._start if blank or len(self._ends) % 2 else model.points[model.best]
        away = self._reach * model.unit * self._rng.standard_normal(centre.shape)
        self._reach *= _FARTHER
        return Move(self._evaluator.project(torch.from_numpy(centre + away)), "a minimum far above the noise")

    # The answer.

    def _replicated(self, model: Model, x: Array) -> Move:
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
        calibrated = self._calibrated(model, near, instrument)
        if calibrated is None:
            return self._moved(x, End(Status.UNSURE, _HIDDEN))
        rows = self._evaluate(near, _REPLICATES)
        answers = self._answers(near, calibrated.hess, calibrated.project(rows))
        if answers is None:
            return self._moved(x, End(Status.UNSURE, _UNDETERMINED))
        # The end of the descent may have been too far from the answer to tell.
        status = Status.MISMATCH if self._is_far(model, model.discrepancy(rows)) else Status.NOISE_FLOOR
        if bool((answers.std(0, ddof=1) > _LARGEST_SCATTER * model.unit).any()):
            # The answers lie outside of where the slopes hold.
            return self._moved(x, End(Status.UNSURE, _HIDDEN))
        error = torch.from_numpy(answers.std(0, ddof=1) / math.sqrt(len(answers)))
        return self._moved(self._inside(answers.mean(0)), End(status, x_standard_error=error))

    def _answers(self, x: Array, hess: Array, projected: Array) -> Array | None:
        """Points inside the bounds where projections vanish, shape (k, n).

        None if the projections do not determine all parameters.
        """
        if not (np.isfinite(projected).all() and _is_determined(hess)):
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

    def _calibrated(self, model: Model, x: Array, instrument: Instrument) -> Instrument | None:
        """Return an instrument whose derivative at `x` was measured.

        By central differences under two seeds. None if noise hides it. With many parameters it is the model's. Of plain
        vectors the differences under the first seed are themselves the instrument: a model of few noisy residuals may
        be no better than noise.
        """
        n = len(x)
        if n > _MOST_MEASURED:
            return instrument
        slopes = np.zeros((2, n, len(model.residuals(0))))
        for rounds in range(1, _MOST_ROUNDS + 1):
            # The mean of all rounds.
            slopes += (self._differences(x, _DIFFERENCE * model.unit) - slopes) / rounds
            if not np.isfinite(slopes).all():
                return None
            found, noise = _measured(slopes, None if len(model.cells) == 1 else instrument)
            if not _is_determined(found.hess):
                return None
            if np.linalg.norm(np.linalg.solve(found.hess, noise), 2) < _LARGEST_NOISE:
                return found
        return None

    def _differences(self, x: Array, width: float) -> Array:
        """Central differences of the residuals by each parameter.

        Under two seeds; the shape is (2, n, m).
        """
        found = []
        for away in width * np.eye(len(x)):
            ends = np.array([self._inside(x + away), self._inside(x - away)])
            seeds = self._source.repeat(2, 2)
            rows = self._evaluator.residuals(torch.from_numpy(ends).repeat_interleave(2, 0), seed=seeds).double()
            found.append((rows[:2] - rows[2:]).numpy() / float(np.abs(ends[0] - ends[1]).max()))
        return np.stack(found, 1)

    def _inside(self, x: Array) -> Array:
        inside: Array = self._evaluator.project(torch.from_numpy(x)).numpy()
        return inside


def _is_blank(model: Model, noise: float) -> bool:
    """Whether residuals around the best sample differ from it by less than noise.

    What should move is then outside of the picture.
    """
    best = model.best
    away = model.distances(model.points, model.points[best]) / model.unit
    around = np.flatnonzero((away > _SAME_MINIMUM) & (away < _AROUND))
    here = model.residuals(best)
    return len(around) > 1 and all(float(np.square(model.residuals(i) - here).sum()) < noise for i in around)


def _measured(slopes: Array, instrument: Instrument | None) -> tuple[Instrument, Array]:
    """Instrument with measured slopes of shape (2, n, m), and the noise of its derivative.

    Without an instrument, the slopes under the first seeds are the instrument of those under the second.
    """
    if instrument is None:
        own = slopes[0]
        return Instrument(lambda rows: rows @ own.T, own @ slopes[1].T), 0.5 * own @ (slopes[0] - slopes[1]).T
    found = [instrument.project(each).T for each in slopes]
    return Instrument(instrument.project, 0.5 * (found[0] + found[1])), 0.5 * (found[0] - found[1])


def _is_determined(hess: Array) -> bool:
    """Whether a projection's derivative is finite and well conditioned.

    The units of the parameters do not matter.
    """
    if not np.isfinite(hess).all():
        return False
    scales = np.sqrt(np.outer(np.linalg.norm(hess, axis=1), np.linalg.norm(hess, axis=0)))
    return bool((scales > 0).all() and np.linalg.cond(hess / scales) < _LARGEST_CONDITION)


_LEFT_OVER = "residuals remain that no noise explains: another minimum may exist, or the target cannot be matched"
_HIDDEN = "noise hides how the residuals depend on some parameter, or they do not"
_UNDETERMINED = (
    "the residuals do not determine all parameters: some can change together, or alone, without changing any"
)
