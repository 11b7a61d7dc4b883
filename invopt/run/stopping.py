"""When a run ends by tolerance or because nothing varies."""

from __future__ import annotations

import math

import torch
from attrs import field, frozen

from invopt.core.estimator import Estimate, Point
from invopt.core.evaluator import Evaluator
from invopt.core.result import Status
from invopt.core.validators import real

__all__ = ["PlateauWatch", "Tolerances", "is_flat", "lower_bound"]

# Values that differ by no more than this, relative to their size, differ by rounding.
_ROUNDING = 1e-12
# Standard errors by which `fun` must have fallen before a sampled gradient that vanishes is taken for a minimum's.
_EVIDENCE = 10.0
# Consecutive estimates, and evaluations in them, without any variation before a run is called stuck: a random draw can
# miss what is near, and few draws miss it often.
_PLATEAU_PATIENCE = 20
_PLATEAU_EVALUATIONS = 100


@frozen(kw_only=True)
class Tolerances:
    """Stopping tolerances, all on quantities in units of `x_scale`.

    Parameters
    ----------
    gtol : float
        Converged when ``max_i |jac_i| + 2 standard_error_i <= gtol``, over the projected gradient;
        0: never. On a plateau a gradient vanishes too, and a few samples cannot tell: where an estimator smooths,
        this counts only once `fun` has fallen by ten standard errors from an earlier value.
    xtol : float
        Converged when ``|step| <= xtol``; 0: never.
    ftol : float
        Converged when ``|fun - fun_previous| + 2 standard_error <= ftol * max(|fun|, |fun_previous|)``.
    """

    gtol: float = field(validator=real(minimum=0))
    xtol: float = field(validator=real(minimum=0))
    ftol: float = field(validator=real(minimum=0))

    def status(
        self, highest: Point, previous: Point | None, current: Point, step: float, evaluator: Evaluator
    ) -> Status:
        """Verdict on `current`, reached from `previous` by a step of length `step`; `highest` as in `Standing`."""
        estimate = current.estimate
        # What one minibatch says is no verdict on all of them; and inf is nobody's minimum.
        if estimate.partial or not math.isfinite(estimate.fun):
            return Status.RUNNING
        # While the width still changes, the objective that is left to minimise is not yet this one.
        if is_flat(estimate) or (previous is not None and estimate.sigma != previous.estimate.sigma):
            return Status.RUNNING
        if estimate.sigma > 0 and not _has_fallen(highest.estimate, estimate):
            return Status.RUNNING
        if self.gtol > 0 and estimate.jac is not None and self._gradient_vanishes(current, evaluator):
            return Status.CONVERGED
        # With samples, a step of exactly 0 is none: the next ones may see where to go.
        if previous is None or (step == 0.0 and estimate.sigma > 0):
            return Status.RUNNING
        if self.xtol > 0 and step <= self.xtol:
            return Status.XTOL
        if self.ftol > 0 and self._value_settled(previous.estimate, estimate):
            return Status.FTOL
        return Status.RUNNING

    def _gradient_vanishes(self, point: Point, evaluator: Evaluator) -> bool:
        whole, error = point.estimate.jac, point.estimate.standard_error
        assert whole is not None
        jac = evaluator.projected_gradient(point.x, whole)
        # One component tells where nothing is known of their errors; a network has a million.
        if jac is whole and error is not None and 2 * float(error[0]) > self.gtol:
            return False
        # Of what only pushes against a bound, the size does not matter.
        bound = jac.abs() if error is None else jac.abs() + 2 * torch.where(jac == whole, error, 0.0)
        return float(bound.max()) <= self.gtol

    def _value_settled(self, before: Estimate, now: Estimate) -> bool:
        error = 2 * math.hypot(before.fun_standard_error, now.fun_standard_error)
        return abs(now.fun - before.fun) + error <= self.ftol * max(abs(now.fun), abs(before.fun))


def is_flat(estimate: Estimate) -> bool:
    """Whether a sampled estimate saw nothing that depends on x, whatever noise it saw."""
    if estimate.blind:
        return True
    if estimate.sigma == 0 or estimate.jac is None:
        return False
    return estimate.spread <= _ROUNDING * abs(estimate.fun) or not bool(estimate.jac.any())


def lower_bound(estimate: Estimate) -> float:
    """What the value is at least, but for the worst of luck."""
    return estimate.fun - _EVIDENCE * estimate.fun_standard_error


def _has_fallen(highest: Estimate, now: Estimate) -> bool:
    error = math.hypot(highest.fun_standard_error, now.fun_standard_error)
    return now.fun + _EVIDENCE * error < highest.fun


class PlateauWatch:
    """Counts consecutive flat estimates."""

    def __init__(self) -> None:
        self.flat = 0
        self.spent = 0

    def status(self, estimate: Estimate) -> Status:
        """PLATEAU once too many estimates in a row saw no variation."""
        flat = is_flat(estimate)
        self.flat = self.flat + 1 if flat else 0
        self.spent = self.spent + estimate.nfev if flat else 0
        lost = self.flat >= _PLATEAU_PATIENCE and self.spent >= _PLATEAU_EVALUATIONS
        return Status.PLATEAU if lost else Status.RUNNING
