"""Refinement: what follows a descent on residuals, for every estimator and method.

::

    descent --the method, a tolerance, or values that no longer fall--> residuals under other seeds
       ^                                                                          |
       +--- restart, all samples kept <-- a model is far from the target, --------+
       |                                  no minimum found twice, or one where    |
       |                                  nothing changes with some parameter     |
       +--- it goes on <-- no noise: values may fall by less ---------------------+
                                                                                  |
                           no noise --------------------> answer: best sample, or last point
                                                                                  |
                           noise: residuals under further seeds, corrections <----+
                                    |
                                    +--> answer: the mean of their answers, with its covariance
"""

from __future__ import annotations

import numpy as np
import torch
from attrs import evolve
from numpy.typing import NDArray

from invopt.core.estimator import Estimate
from invopt.core.evaluator import Evaluator
from invopt.core.model import Model
from invopt.core.result import Status
from invopt.core.seeds import SeedPolicy, SeedSource
from invopt.run.move import End, Move
from invopt.run.refining.correction import corrected
from invopt.run.refining.discrepancy import Discrepancy, is_blank, squares
from invopt.run.refining.elsewhere import elsewhere
from invopt.run.refining.known_noise import data_of, discrepancy, known_errors, posterior_covariance
from invopt.run.refining.laplace import laplace_covariance
from invopt.run.refining.plateau import plateau
from invopt.run.refining.replicates import Hidden, Replicates, covariance_of_mean

__all__ = ["Refinement"]

Array = NDArray[np.float64]

# Restarts of a run whose descents end far above the noise.
_MOST_RESTARTS = 8
# Standard deviation of a restart, in units of the model's unit; each is longer by this factor.
_REACH, _FARTHER = 0.6, 1.3
# Distance, in these units, within which two descents have found the same minimum.
_SAME_MINIMUM = 0.3
# Share of the squares up to which a difference between two seeds is rounding.
_ROUNDING = 1e-20


class Refinement:
    """Decides what follows once a descent has ended.

    With a model of the residuals the answer is its best sample, pictures are compared at all its levels, and its slopes
    project residuals onto the parameters. Without one it is the last point, the level is the vector of residuals, and
    differences take the place of slopes.

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates residuals under other seeds.
    seeds : SeedPolicy
        The estimator's policy.
    rng : Generator
        The run's rng.
    residuals : bool
        Whether the estimator uses residuals, and estimates the parameters themselves.
    errors : bool, default False
        Whether a prior or known noise determines the errors of the parameters.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        seeds: SeedPolicy,
        rng: np.random.Generator,
        *,
        residuals: bool,
        errors: bool = False,
    ) -> None:
        self._evaluator = evaluator
        self._errors, self._source = errors, SeedSource(seeds, rng)
        self._replicates = Replicates(evaluator, self._source)
        self._seeds = seeds
        self._rng = rng
        self._residuals = residuals
        self._answer: End | None = None
        self._ends: list[Array] = []
        self._reach = _REACH
        # Where the run began, and the squares of its residuals at all levels.
        self._start: Array | None = None
        self._begun: Array | None = None
        # Whether values that no longer fall may end a descent, and whether no noise was found.
        self.watches = residuals and seeds is not SeedPolicy.FIXED
        self.exact = False

    def after(self, status: Status, estimate: Estimate, unit: float) -> Move | End | None:
        """Return where the run goes next, or how it ends; None if its descent goes on.

        Only a success on residuals is refined, and values that no longer fall. `unit` is the length of a sigma where
        the estimate has no model.
        """
        if self._answer is not None:
            return self._answer
        model = estimate.model
        # The verdict of an estimator without a model is its own.
        served = model is not None or (self._residuals and estimate.status is Status.RUNNING)
        if not served or not (status.success or status is Status.RUNNING):
            return self._of_values(status, estimate)
        x = estimate.x.numpy() if model is None else model.points[model.best]
        self._replicates.examine(x)
        if self._seeds is SeedPolicy.FIXED:
            return self._moved(
                x, End(status, covariance=known_errors(self._evaluator, self._replicates, model, x, unit))
            )
        found, begun = self._compared(model, x)
        self._ends.append(x)
        far = found.is_far(begun)
        if model is not None and far:
            blank = is_blank(model, float(found.noise[0]))
            if self._may_restart(model, blank):
                return self._restarted(model, blank)
            other = elsewhere(model, self._evaluator, self._rng) if len(self._ends) <= _MOST_RESTARTS else None
            if other is not None:
                return Move(torch.from_numpy(other))
        if float(found.noise[0]) > _ROUNDING * float(begun[0]):
            return self._replicated(model, x, unit, begun, far=far)
        if status is Status.RUNNING:
            if not self.exact:
                self.exact = True
                return None
            status = Status.FTOL
        covariance = known_errors(self._evaluator, self._replicates, model, x, unit)
        status, note = (Status.MISMATCH, _LEFT_OVER) if far else (status, "")
        return self._moved(x, End(status, note, covariance))

    def _of_values(self, status: Status, estimate: Estimate) -> Move | End:
        """End of a run without refinement.

        With a prior or known noise, errors are by the curvature of exact values.
        """
        wanted = self._errors and status.success and estimate.sigma == 0 and estimate.x_standard_error is None
        if self._residuals or not wanted or self._evaluator.is_noisy:
            return End(status)
        x = estimate.x.numpy()
        covariance = laplace_covariance(self._evaluator, self._source, x)
        return End(status) if covariance is None else self._moved(x, End(status, covariance=covariance))

    def answered(self, estimate: Estimate) -> Estimate:
        """Return the estimate at the answer with what is known of it.

        Any other is returned as it is.
        """
        if self._residuals and self._start is None:
            self._start = estimate.x.numpy().copy()
        if self._answer is None:
            return estimate
        end = self._answer
        covariance = None if end.covariance is None else torch.from_numpy(end.covariance)
        return evolve(
            estimate,
            status=end.status,
            note=end.note or estimate.note,
            x_covariance=covariance,
            x_standard_error=None if covariance is None else covariance.diagonal().sqrt(),
            incumbent=None,
        )

    def _moved(self, x: Array, end: End) -> Move:
        """Go to the answer, at which the run ends."""
        self._answer = end
        return Move(torch.from_numpy(x))

    def _compared(self, model: Model | None, x: Array) -> tuple[Discrepancy, Array]:
        """Compare the end of a descent under two seeds; also the squares at the start."""
        rows = self._replicates.at(x, 2 if model is None else 1)
        if model is not None:
            rows = np.array([model.residuals(model.best), *rows])
        if self._begun is None:
            self._begun = squares(data_of(self._evaluator, self._first(model)), self._evaluator.image_shapes)
        return discrepancy(self._evaluator, rows), self._begun

    def _first(self, model: Model | None) -> Array:
        """Residuals at the start."""
        if self._evaluator.first_residuals is not None:
            return self._evaluator.first_residuals
        assert self._start is not None
        first: Array = self._replicates.at(self._start, 1)[0] if model is None else model.residuals(0)
        return first

    # Restarts.

    def _may_restart(self, model: Model, blank: bool) -> bool:
        """Whether no minimum was found twice, and restarts are left.

        Where nothing changes is no minimum.
        """
        if len(self._ends) > _MOST_RESTARTS:
            return False
        if blank:
            return True
        earlier = np.array(self._ends[:-1]).reshape(-1, len(self._ends[-1]))
        again = model.distances(earlier, self._ends[-1]) if len(earlier) else np.array([np.inf])
        return float(again.min()) > _SAME_MINIMUM * model.unit

    def _restarted(self, model: Model, blank: bool) -> Move:
        """A random point, alternately around the start and around the best sample.

        Around the start only if nothing is seen at the best sample.
        """
        assert self._start is not None
        centre = self._start if blank or len(self._ends) % 2 else model.points[model.best]
        away = self._reach * model.unit * self._rng.standard_normal(centre.shape)
        self._reach *= _FARTHER
        return Move(self._evaluator.project(torch.from_numpy(centre + away)))

    # The answer.

    def _replicated(self, model: Model | None, x: Array, unit: float, begun: Array, *, far: bool) -> Move:
        """Correct the answer by residuals under other seeds; their scatter is its error.

        Far from the target, where they do not change with some parameter, the run restarts.
        """
        unit = unit if model is None else model.unit
        known = self._evaluator.noise_std is not None
        # With known noise the answer is the minimum of `fun`, whose residuals all count alike.
        found = corrected(self._replicates, None if known else model, x, unit)
        if isinstance(found, Hidden):
            if model is not None and far and len(self._ends) <= _MOST_RESTARTS:
                return self._restarted(model, blank=False)
            return self._in_the_middle(x, found.parameter, unit)
        if isinstance(found, str):
            return self._moved(x, End(Status.UNSURE, found))
        covariance = covariance_of_mean(found.answers, 0.0 if known else self._evaluator.target_noise)
        more = posterior_covariance(found.hess, self._evaluator.row_variance(found.residuals.shape[1]))
        covariance = covariance if more is None else covariance + more
        far = discrepancy(self._evaluator, found.residuals).is_far(begun)
        if not (found.significant or far):
            return self._moved(found.x, End(Status.UNSURE, _HIDDEN, covariance))
        return self._moved(found.x, End(Status.MISMATCH if far else Status.NOISE_FLOOR, covariance=covariance))

    def _in_the_middle(self, x: Array, parameter: int, unit: float) -> Move:
        """Go to the middle of the interval where a parameter changes nothing.

        An interval shorter than a sigma is no plateau.
        """
        found = plateau(self._replicates, x, parameter, unit, float(self._evaluator.periods[parameter]))
        index = int(self._evaluator.indices[parameter])
        low, high = (end * float(self._evaluator.x_scale[parameter]) for end in (found.low, found.high))
        note = f"{_HIDDEN}: x[{index}] from {low:.4g} to {high:.4g} gives the same residuals"
        if found.high - found.low < unit:
            # Noise hides the minimum, but there is no plateau.
            return self._moved(x, End(Status.UNSURE, note))
        covariance = np.array([[found.standard_error**2]]) if len(x) == 1 else None
        return self._moved(found.middle, End(Status.UNSURE, note, covariance))


_LEFT_OVER = "residuals remain that no noise explains: another minimum may exist, or the target cannot be matched"
_HIDDEN = "noise hides how the residuals depend on some parameter, or they do not"
