"""Schedules of sigma and of learning rates: a value for each iteration."""

from __future__ import annotations

import abc
import math

from attrs import field, frozen, validators

from invopt.core.validators import as_real, integer, real, require

__all__ = ["BudgetDecay", "Constant", "Exponential", "Linear", "Schedule", "StepDecay", "as_schedule"]

_positive = validators.optional(real(above=0))


@frozen(kw_only=True)
class Schedule(abc.ABC):
    """A positive number for each iteration.

    Parameters
    ----------
    start : float, optional
        First value; None leaves it to the problem (its `sigma`).
    """

    start: float | None = field(default=None, validator=_positive)

    def at(self, iteration: int, default: float, share: float = 0.0) -> float:
        """Value at `iteration`, counted from 0; `default` stands in for a `start` of None.

        `share` is the share of the run's budget that is spent, from 0 to 1.
        """
        start = default if self.start is None else self.start
        return self._ratio(iteration) * self._ratio_at_share(share) * start

    @abc.abstractmethod
    def _ratio(self, iteration: int) -> float:
        """Value at `iteration` as a multiple of `start`."""

    def _ratio_at_share(self, share: float) -> float:
        """Further factor at a share of the budget; 1 unless a schedule depends on it."""
        return 1.0


@frozen
class Constant(Schedule):
    """The same value throughout.

    Parameters
    ----------
    start : float, optional
        The value; None leaves it to the problem.
    """

    start: float | None = field(default=None, validator=_positive)

    def _ratio(self, iteration: int) -> float:
        return 1.0


@frozen
class Linear(Schedule):
    """Schedule of the paper's authors: constant, linearly decreasing, constant.

    Parameters
    ----------
    start : float, optional
        First value; None leaves it to the problem.
    ratio : float, default 0.02
        Last value as a fraction of the first, in (0, 1].
    steps : int, default 30
        Iterations from the first value to the last.
    constant : int, default 0
        Iterations at the first value before the descent.
    """

    start: float | None = field(default=None, validator=_positive)
    ratio: float = field(default=0.02, validator=real(above=0, maximum=1), kw_only=True)
    steps: int = field(default=30, validator=integer(1), kw_only=True)
    constant: int = field(default=0, validator=integer(0), kw_only=True)

    def _ratio(self, iteration: int) -> float:
        done = min(max(iteration - self.constant, 0) / self.steps, 1.0)
        return 1.0 + done * (self.ratio - 1.0)


@frozen
class Exponential(Schedule):
    """Multiplied by `factor` every iteration, down to a lower limit.

    Parameters
    ----------
    start : float, optional
        First value; None leaves it to the problem.
    factor : float, default 0.9
        Ratio of successive values, in (0, 1].
    ratio : float, default 0.001
        Lower limit as a fraction of the first value, in (0, 1].
    """

    start: float | None = field(default=None, validator=_positive)
    factor: float = field(default=0.9, validator=real(above=0, maximum=1), kw_only=True)
    ratio: float = field(default=0.001, validator=real(above=0, maximum=1), kw_only=True)

    def _ratio(self, iteration: int) -> float:
        return max(self.factor**iteration, self.ratio)


@frozen
class StepDecay(Schedule):
    """Value multiplied by `factor` every `every` iterations.

    Learning rates of networks change in this way.

    Parameters
    ----------
    start : float, optional
        First value; None leaves it to the problem.
    factor : float, default 1/3
        Ratio of successive values, in (0, 1].
    every : int, default 12000
        Iterations between two changes, at least 1.
    """

    start: float | None = field(default=None, validator=_positive)
    factor: float = field(default=1 / 3, validator=real(above=0, maximum=1), kw_only=True)
    every: int = field(default=12_000, validator=integer(1), kw_only=True)

    def _ratio(self, iteration: int) -> float:
        return float(self.factor ** (iteration // self.every))


@frozen
class BudgetDecay(Schedule):
    """Learning rate that falls smoothly over the budget of the run.

    It falls as half a cosine [1]_, from `start` to `ratio` times that. The share of the budget is the largest of those
    of `maxiter`, `maxfev` and `maxtime` that are spent. If a run is continued with a larger budget, it is that of the
    larger one. Without a budget the rate stays at `start`.

    Parameters
    ----------
    start : float, optional
        First value; None leaves it to the problem.
    ratio : float, default 1/27
        Last value as a fraction of the first, in (0, 1].

    References
    ----------
    .. [1] Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5.
    """

    start: float | None = field(default=None, validator=_positive)
    ratio: float = field(default=1 / 27, validator=real(above=0, maximum=1), kw_only=True)

    def _ratio(self, iteration: int) -> float:
        return 1.0

    def _ratio_at_share(self, share: float) -> float:
        falling = (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2
        return self.ratio + (1 - self.ratio) * falling


def as_schedule(value: Schedule | float | None) -> Schedule | None:
    """Return a schedule or None unchanged, and a number as a `Constant`."""
    if isinstance(value, BudgetDecay):
        raise ValueError(f"'sigma' cannot be a BudgetDecay, which is for learning rates: use Exponential: {value!r}")
    if value is None or isinstance(value, Schedule):
        return value
    number = as_real("sigma", value)
    require("sigma", 0 < number < math.inf, "> 0 and finite", value)
    return Constant(number)
