"""AdaptiveBFGS: BFGS on noisy values, with differences that adapt to the noise."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Optimizer, Oracle, Order, Status, real

from .bfgs import update_inverse
from .descent.noise import Noise, central_differences, difference_intervals, noise_level
from .descent.quasi_newton import Visit, curvature_pair
from .descent.steps import free_gradient
from .line_search import ArmijoWolfe, Trial

__all__ = ["AdaptiveBFGS"]

_SEARCH = ArmijoWolfe()
# Expected decrease, as a share of the noise, below which backtracking ends.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 0.05 and 0.2.
_LEAST_DECREASE = 0.1
# Values of noise by which a decrease must exceed 0: one of each value, as in the relaxed line search
# of Berahas, Byrd and Nocedal.
_NOISE_OF_DIFFERENCE = 2.0
# Standard errors within which a component of the gradient is noise; by chance, 1 in 400 is beyond.
_GRADIENT_ERRORS = 3.0


class AdaptiveState(NamedTuple):
    """Noise, last visit, inverse Hessian, and verdict."""

    noise: Noise | None
    last: Visit | None
    hess_inv: Tensor | None
    verdict: Status


class _Look(NamedTuple):
    """Differences at a point, and the best point of their stencil."""

    value: float
    jac: Tensor
    free: Tensor | None
    visit: Visit
    error: Tensor
    best: Tensor
    best_value: float
    flat: bool


@frozen(kw_only=True)
class AdaptiveBFGS(Optimizer):
    r"""Quasi-Newton method for noisy values without gradients [1]_.

    The FDLM method of Berahas, Byrd and Nocedal. It measures the standard deviation of the noise, :math:`\epsilon_f`,
    by ECnoise [2]_. It chooses finite-difference intervals that balance noise against truncation errors, and its line
    search relaxes the conditions by :math:`2 \epsilon_f`. If a line search fails, both are measured again at the
    present point.

    Parameters
    ----------
    initial_step : float, default 1
        Length of the first trial, > 0, in units of `x_scale`, also after a reset.
    max_step : float, default 100
        Longest step, > 0, in units of `x_scale`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    See Also
    --------
    BFGS : if the estimator's derivatives are accurate.

    Notes
    -----
    A step costs 1 + 2n values, and 3 for each trial of the line search. Measuring the noise costs 7 to 35 values, and
    finding intervals 4 for each parameter and trial. All values of a step share a seed; noise that they share cancels
    and is not measured.

    Differences from the paper: only central differences; an interval for each parameter, by the ratio test of [3]_ (the
    paper assumes a bound on the third derivative); the full BFGS matrix, because differences cost 2n values anyway; s'y
    must exceed two standard errors. After a failed search, noise and intervals are measured again, the matrix is reset,
    and steepest descent is tried; then the best point of the stencil, if it is lower by more than
    :math:`2 \epsilon_f`. The paper perturbs x instead.

    If nothing is lower, the run ends: with PLATEAU if all values are equal; with FINISHED if each component of the
    gradient is within three standard errors of 0, or the decrease predicted by the quasi-Newton model is within the
    noise; else with LINE_SEARCH. The noise is measured again before each of these verdicts.

    References
    ----------
    .. [1] Berahas, Byrd, Nocedal, "Derivative-Free Optimization of Noisy Functions via Quasi-Newton Methods", SIAM J.
       Optim. 29(2), 2019.
    .. [2] Moré, Wild, "Estimating Computational Noise", SIAM J. Sci. Comput. 33(3), 2011.
    .. [3] Shi, Xie, Xuan, Nocedal, "Adaptive Finite-Difference Interval Estimation for Noisy Derivative-Free
       Optimization", SIAM J. Sci. Comput. 44(4), 2022.

    Examples
    --------
    >>> AdaptiveBFGS().max_step
    100.0
    """

    noise_aware: ClassVar[bool] = True
    requires: ClassVar[Order] = Order.FUN

    initial_step: float = field(default=1.0, validator=real(above=0))
    max_step: float = field(default=100.0, validator=real(above=0))

    def init(self, x0: Tensor) -> Any:
        """State before the first step."""
        return AdaptiveState(None, None, None, Status.RUNNING)

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """One step from values of the oracle; the estimate is not used."""
        hess_inv = None
        if state.noise is not None:
            look = _look(x, state.noise, oracle)
            hess_inv = self._updated(state.hess_inv, state.last, look)
            new = self._search(x, look, state.noise, _direction(hess_inv, look), oracle)
            if new is not None:
                return new, AdaptiveState(state.noise, look.visit, hess_inv, Status.RUNNING)
        noise = _measure(x, oracle)
        look = _look(x, noise, oracle)
        new = self._search(x, look, noise, self._steepest(look), oracle)
        if new is None and look.best_value < look.value - _NOISE_OF_DIFFERENCE * noise.level:
            new = look.best
        if new is not None:
            return new, AdaptiveState(noise, look.visit, None, Status.RUNNING)
        converged = _is_noise(look) or _is_at_minimum(hess_inv, look, noise)
        verdict = Status.FINISHED if converged else Status.LINE_SEARCH
        if look.flat:
            verdict = Status.PLATEAU
        return x, AdaptiveState(noise, look.visit, None, verdict)

    def status(self, state: Any) -> Status:
        """Verdict once recovery has failed; see the notes of the class."""
        verdict: Status = state.verdict
        return verdict

    def _updated(self, hess_inv: Tensor | None, last: Visit | None, look: _Look) -> Tensor | None:
        pair = curvature_pair(last, look.visit, look.free)
        return update_inverse(hess_inv, pair) if pair is not None and pair.significant else hess_inv

    def _steepest(self, look: _Look) -> Tensor | None:
        size = float(torch.linalg.vector_norm(look.jac))
        return look.jac * (-self.initial_step / size) if size > 0 else None

    def _search(self, x: Tensor, look: _Look, noise: Noise, direction: Tensor | None, oracle: Oracle) -> Tensor | None:
        """Lower point along a direction, or None.

        Also None if the gradient is within its own error.
        """
        if direction is None:
            direction = self._steepest(look)
        if direction is None or _is_noise(look):
            return None
        length = float(torch.linalg.vector_norm(direction))
        line = _DifferencedLine(x, direction, look, noise, oracle)
        if not (line.slope < 0 and 0 < length < torch.inf):
            return None
        t = _SEARCH.search(line, self.max_step / length)
        return None if t is None else line.point(t)


class _DifferencedLine:
    """Line with values of the oracle and slopes by their differences."""

    def __init__(self, x: Tensor, direction: Tensor, look: _Look, noise: Noise, oracle: Oracle) -> None:
        self._x, self._direction, self._look = x, direction, look
        self._oracle, self._noise = oracle, noise.level
        self.slope = float(torch.dot(look.jac, direction))
        # Interval in t that corresponds to the parameters' own intervals.
        self._interval = 1.0 / float(torch.linalg.vector_norm(direction / noise.intervals))

    def point(self, t: float) -> Tensor:
        """Point at `t`, inside the bounds."""
        return self._oracle.project(self._x + t * self._direction)

    def trial(self, t: float) -> Trial:
        """Value at `t`, relative to 0.

        Infinite once the expected decrease is far below the noise.
        """
        point = self.point(t)
        expected = float(torch.dot(self._look.jac, point - self._x))
        if t < 1.0 and -expected < _LEAST_DECREASE * self._noise:
            # Noise would decide, and a very short step would look like convergence.
            return Trial(math.inf, expected, 0.0)
        return Trial(self._oracle.value(point) - self._look.value, expected, _NOISE_OF_DIFFERENCE * self._noise)

    def derivative(self, t: float) -> float:
        """Slope at `t` by a central difference, plus two standard errors."""
        ends = torch.stack([self.point(t + self._interval), self.point(t - self._interval)])
        values = self._oracle.fun(ends)
        slope = float(values[0] - values[1]) / (2 * self._interval)
        return slope + 2**0.5 * self._noise / self._interval


def _measure(x: Tensor, oracle: Oracle) -> Noise:
    # Any direction that is neither an axis nor a diagonal; a fixed one keeps the step a pure function.
    direction = torch.cos(torch.arange(1, x.numel() + 1, dtype=x.dtype))
    level = noise_level(oracle.fun, x, direction / torch.linalg.vector_norm(direction), oracle.project)
    return Noise(level, difference_intervals(oracle.fun, x, level, oracle.project))


def _look(x: Tensor, noise: Noise, oracle: Oracle) -> _Look:
    value = oracle.value(x)
    jac, error, points, values = central_differences(oracle.fun, x, value, noise, oracle.project)
    # A value that is not finite does not determine a slope.
    jac = torch.nan_to_num(jac, nan=0.0, posinf=0.0, neginf=0.0)
    projected, free = free_gradient(x, jac, oracle)
    best = int(torch.argmin(values))
    flat = bool((values == value).all())
    return _Look(value, projected, free, Visit(x, jac, error.square()), error, points[best], float(values[best]), flat)


def _direction(hess_inv: Tensor | None, look: _Look) -> Tensor | None:
    if hess_inv is None:
        return None
    direction = -(hess_inv @ look.jac)
    return direction if look.free is None else torch.where(look.free, direction, 0.0)


def _is_noise(look: _Look) -> bool:
    """Whether each component of the gradient is within its own error."""
    return bool((look.jac.abs() <= _GRADIENT_ERRORS * look.error).all())


def _is_at_minimum(hess_inv: Tensor | None, look: _Look, noise: Noise) -> bool:
    """Whether the decrease predicted by the model is within the noise of two values."""
    return hess_inv is not None and 0.5 * float(look.jac @ hess_inv @ look.jac) <= _NOISE_OF_DIFFERENCE * noise.level
