"""Refinement: what follows a descent on residuals, for every estimator and method.

::

    descent --the method, a tolerance, or values that no longer fall--> residuals under other seeds
       ^                                                                          |
       +--- restart, all samples kept <-- a model is far from the target, --------+
       |                                  no minimum found twice, or one where    |
       |                                  nothing changes                         |
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
from invopt.core.model import Instrument, Model
from invopt.core.result import Status
from invopt.core.seeds import SeedPolicy, SeedSource
from invopt.run.move import End, Move
from invopt.run.refining.discrepancy import Discrepancy, compare, is_blank, squares
from invopt.run.refining.replicates import WANTED_NOISE, Replicates, covariance_of_mean

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
# Renders under other seeds, at the best point and then at its correction.
_FIRST_REPLICATES, _REPLICATES = 3, 8
# Most rounds of corrections, and standard deviations of an answer up to which a correction is the last: the mean of
# three answers differs from that of eight by .7 of them.
_MOST_ROUNDS, _SETTLED = 4, 2.0
# Largest scatter of the answers under one seed each, in units of sigma, over which slopes still hold.
_LARGEST_SCATTER = 0.3


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
    """

    def __init__(self, evaluator: Evaluator, seeds: SeedPolicy, rng: np.random.Generator, *, residuals: bool) -> None:
        self._evaluator = evaluator
        self._replicates = Replicates(evaluator, SeedSource(seeds, rng))
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
            return End(status)
        x = estimate.x.numpy() if model is None else model.points[model.best]
        self._replicates.examine(x)
        if self._seeds is SeedPolicy.FIXED:
            return self._moved(x, End(status))
        found, begun = self._compared(model, x)
        self._ends.append(x)
        far = found.is_far(begun)
        if model is not None and far:
            blank = is_blank(model, float(found.noise[0]))
            if self._may_restart(model, blank):
                return self._restarted(model, blank)
        if float(found.noise[0]) > _ROUNDING * float(begun[0]):
            return self._replicated(model, x, unit, begun)
        if status is Status.RUNNING:
            if not self.exact:
                self.exact = True
                return None
            status = Status.FTOL
        return self._moved(x, End(Status.MISMATCH, _LEFT_OVER) if far else End(status))

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
        shapes = self._evaluator.image_shapes
        rows = self._replicates.at(x, 2 if model is None else 1)
        if model is not None:
            rows = np.array([model.residuals(model.best), *rows])
        if self._begun is None:
            self._begun = self._squares_at_start(model)
        return compare(rows, shapes), self._begun

    def _squares_at_start(self, model: Model | None) -> Array:
        """Squares of the residuals at the start, at all levels."""
        shapes, first = self._evaluator.image_shapes, self._evaluator.first_residuals
        if first is not None:
            return squares(first, shapes)
        assert self._start is not None
        return squares(self._replicates.at(self._start, 1)[0], shapes) if model is None else model.squares[0]

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

    def _replicated(self, model: Model | None, x: Array, unit: float, begun: Array) -> Move:
        """Correct the answer by residuals under other seeds; their scatter is its error.

        A model's slopes contain the noise of its samples, so that steps by them alone would be too short, and so would
        error bars. They serve as instrumental variables: how the projection of residuals onto them changes with each
        parameter is measured, under seeds of its own.
        """
        unit = unit if model is None else model.unit
        near, instrument = self._by_differences(x, unit) if model is None else self._by_model(model, x)
        if isinstance(instrument, str):
            return self._moved(x, End(Status.UNSURE, instrument))
        for _ in range(_MOST_ROUNDS):
            rows = self._replicates.at(near, _REPLICATES)
            answers = self._replicates.answers(near, instrument, rows)
            if answers is None:
                return self._moved(x, End(Status.UNSURE, _UNDETERMINED))
            before, near = near, self._replicates.inside(answers.mean(0))
            if _is_settled(near - before, answers):
                break
        else:
            return self._moved(x, End(Status.UNSURE, _UNSETTLED))
        far = compare(rows, self._evaluator.image_shapes).is_far(begun)
        if bool((answers.std(0, ddof=1) > _LARGEST_SCATTER * unit).any()):
            # The answers lie outside of where the slopes hold.
            return self._moved(x, End(Status.UNSURE, _HIDDEN))
        covariance = covariance_of_mean(answers, self._evaluator.target_noise)
        return self._moved(near, End(Status.MISMATCH if far else Status.NOISE_FLOOR, covariance=covariance))

    def _by_model(self, model: Model, x: Array) -> tuple[Array, Instrument | str]:
        """Corrected point by a model's slopes, and an instrument or why there is none."""
        first = self._replicates.at(x, _FIRST_REPLICATES)
        instrument = model.instrument(x, first)
        answers = self._replicates.answers(x, instrument, first)
        if answers is None:
            return x, _UNDETERMINED
        near = self._replicates.inside(answers.mean(0))
        return near, self._replicates.calibrated(model, near, instrument) or _HIDDEN

    def _by_differences(self, x: Array, unit: float) -> tuple[Array, Instrument | str]:
        """Corrected point by differences, and an instrument or why there is none.

        Differences and correction are repeated until the point no longer moves.
        """
        slopes: list[Array] = []
        instrument = None
        for _ in range(_MOST_ROUNDS):
            slopes.append(self._replicates.differences(x, unit))
            first = self._replicates.at(x, _FIRST_REPLICATES)
            instrument, noise = self._replicates.instrument(np.mean(slopes, 0), first)
            if instrument is None or (noise > WANTED_NOISE and len(slopes) < _MOST_ROUNDS):
                continue
            answers = self._replicates.answers(x, instrument, first)
            if answers is None:
                return x, _UNDETERMINED
            before, x = x, self._replicates.inside(answers.mean(0))
            if _is_settled(x - before, answers):
                break
            # Slopes elsewhere are others.
            slopes = []
        return x, instrument or _HIDDEN


def _is_settled(moved: Array, answers: Array) -> bool:
    """Whether a correction is no longer than the scatter of the answers."""
    return bool((np.abs(moved) <= _SETTLED * answers.std(0, ddof=1)).all())


_LEFT_OVER = "residuals remain that no noise explains: another minimum may exist, or the target cannot be matched"
_HIDDEN = "noise hides how the residuals depend on some parameter, or they do not"
_UNSETTLED = "corrections by residuals under other seeds do not settle"
_UNDETERMINED = (
    "the residuals do not determine all parameters: some can change together, or alone, without changing any"
)
