"""Stopping rules: tolerances, and plateaus where samples do not differ."""

from __future__ import annotations

import math

import torch
from attrs import field, frozen

from invopt.core.estimator import Estimate, Point
from invopt.core.evaluator import Evaluator
from invopt.core.result import Status
from invopt.core.validators import real

__all__ = ["VALUE_ROUNDING", "PlateauWatch", "StallWatch", "Tolerances", "is_flat", "lower_bound"]

# Values that differ by no more than this share of their size differ by rounding: 4,500 times the machine precision of
# 2.2e-16, because values are sums of many terms.
VALUE_ROUNDING = 1e-12

# Standard errors by which `fun` must have fallen before a small sampled gradient counts as a minimum's. Gaussian noise
# alone falls as far with a probability of 1e-23; standard errors from few samples are themselves uncertain.
_DECREASE_IN_ERRORS = 10.0
# Flat estimates in a row, and evaluations in them, before a run ends with PLATEAU: a random sample can miss a nearby
# slope, and few samples miss it often.
_FLAT_ESTIMATES = 20
_FLAT_EVALUATIONS = 100
# Share by which residuals' mean square must fall below its lowest value, in so many estimates and half as many more as
# there are parameters, for a descent to go on, under noise and without. Before the first fall, patience is that of a
# plateau.
_LEAST_FALL, _LEAST_FALL_IF_EXACT, _PATIENCE = 0.1, 1e-7, 5


@frozen(kw_only=True)
class Tolerances:
    """Stopping tolerances, for quantities in units of `x_scale`.

    Parameters
    ----------
    gtol : float
        Converged when ``max_i |jac_i| + 2 standard_error_i <= gtol``, over the projected gradient; 0: never. The
        gradient is zero on a plateau too: if the estimator smooths, the rule applies only after `fun` has fallen ten
        standard errors below an earlier value.
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
        """Return the status at `current`.

        It was reached from `previous` by a step of length `step`. `highest` is the point with the highest `lower_bound`
        of the run.
        """
        estimate = current.estimate
        # One minibatch is not the whole objective; and an infinite value is no minimum.
        if estimate.partial or not math.isfinite(estimate.fun):
            return Status.RUNNING
        # While sigma changes, the smoothed objective does.
        if is_flat(estimate) or (previous is not None and estimate.sigma != previous.estimate.sigma):
            return Status.RUNNING
        if estimate.sigma > 0 and not _has_fallen(highest.estimate, estimate):
            return Status.RUNNING
        if self.gtol > 0 and estimate.jac is not None and self._gradient_vanishes(current, evaluator):
            return Status.CONVERGED
        # With samples, a step of exactly 0 is no convergence: the next samples may show a slope.
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
        # The first component decides quickly where errors are unknown (inf): a network has a million.
        if jac is whole and error is not None and 2 * float(error[0]) > self.gtol:
            return False
        # A component that points out of an active bound does not count, nor does its error.
        bound = jac.abs() if error is None else jac.abs() + 2 * torch.where(jac == whole, error, 0.0)
        return float(bound.max()) <= self.gtol

    def _value_settled(self, before: Estimate, now: Estimate) -> bool:
        error = 2 * math.hypot(before.fun_standard_error, now.fun_standard_error)
        return abs(now.fun - before.fun) + error <= self.ftol * max(abs(now.fun), abs(before.fun))


def is_flat(estimate: Estimate) -> bool:
    """Return whether the samples of an estimate do not depend on x.

    They may be noisy.
    """
    if estimate.blind:
        return True
    if estimate.sigma == 0 or estimate.jac is None:
        return False
    return estimate.spread <= VALUE_ROUNDING * abs(estimate.fun) or not bool(estimate.jac.any())


def lower_bound(estimate: Estimate) -> float:
    """Return the value minus ten standard errors, which the true value is not below."""
    return estimate.fun - _DECREASE_IN_ERRORS * estimate.fun_standard_error


def _has_fallen(highest: Estimate, now: Estimate) -> bool:
    error = math.hypot(highest.fun_standard_error, now.fun_standard_error)
    return now.fun + _DECREASE_IN_ERRORS * error < highest.fun


class PlateauWatch:
    """Counts flat estimates in a row."""

    def __init__(self) -> None:
        self.flat = 0
        self.spent = 0

    def status(self, estimate: Estimate) -> Status:
        """Return PLATEAU once too many estimates in a row were flat."""
        flat = is_flat(estimate)
        self.flat = self.flat + 1 if flat else 0
        self.spent = self.spent + estimate.nfev if flat else 0
        lost = self.flat >= _FLAT_ESTIMATES and self.spent >= _FLAT_EVALUATIONS
        return Status.PLATEAU if lost else Status.RUNNING


class StallWatch:
    """Counts estimates since the value has last fallen.

    Under noise no step becomes as small as a tolerance asks.
    """

    def __init__(self) -> None:
        self._first = self._lowest = math.inf
        self._since = 0
        self._sigma = math.nan

    def stalls(self, estimate: Estimate, *, exact: bool) -> bool:
        """Return whether a descent has come to where values no longer fall.

        By a tenth; or if they are `exact`, by more than rounding, once sigma is constant.
        """
        fun = estimate.fun if estimate.incumbent is None else estimate.incumbent.fun
        if not math.isfinite(fun):
            return False
        if self._first == math.inf:
            self._first = fun
        changed = exact and estimate.sigma != self._sigma
        self._sigma = estimate.sigma
        fallen = changed or fun < (1 - (_LEAST_FALL_IF_EXACT if exact else _LEAST_FALL)) * self._lowest
        self._lowest, self._since = (fun, 0) if fallen else (self._lowest, self._since + 1)
        descended = self._lowest < (1 - _LEAST_FALL) * self._first
        patience = (_PATIENCE if descended else _FLAT_ESTIMATES) + len(estimate.x) // 2
        return not is_flat(estimate) and self._since >= patience
