"""Estimator: how derivatives are estimated. Estimate: what one call of it found, with its uncertainty and cost."""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from invopt.core.evaluator import Evaluator
from invopt.core.objective import Capability
from invopt.core.problem import Problem
from invopt.core.result import Status
from invopt.core.seeds import SeedPolicy, as_seed_policy

__all__ = ["Estimate", "Estimator", "Lowest", "Measurement", "Order", "Point"]


class Order(enum.Flag):
    """What an estimator provides and an optimizer requires."""

    FUN = enum.auto()
    JAC = enum.auto()
    HESS = enum.auto()
    HESSP = enum.auto()


class Measurement:
    """A sampled quantity and the standard error of each of its components, the latter computed when asked for.

    Parameters
    ----------
    value : Tensor
        The estimate.
    error : callable or Tensor
        Its standard error, of the same shape, or what computes it.
    """

    __slots__ = ("_error", "value")

    def __init__(self, value: Tensor, error: Tensor | Callable[[], Tensor]) -> None:
        self.value = value
        self._error = error

    @property
    def standard_error(self) -> Tensor:
        """Standard error of each component: 0 if deterministic, inf if there were too few samples to tell."""
        if callable(self._error):
            self._error = self._error()
        return self._error


class Lowest(NamedTuple):
    """Lowest value that an estimator has sampled, and its point inside the bounds.

    `predicted` is a function of a step of shape (n,): the value, not smoothed, that the estimator's model predicts.
    """

    x: Tensor
    fun: float
    predicted: Callable[[Tensor], float]


@frozen(kw_only=True, eq=False, slots=False)
class Estimate:
    """What one call of an estimator found at `x`.

    All quantities are in units of the problem's `x_scale`. A standard error is 0 for a deterministic estimator and
    inf where there were too few samples to tell.

    Parameters
    ----------
    x : Tensor, shape (n,)
        Where.
    fun : float
        Value at `x`, or the estimate of its smoothed value.
    fun_standard_error : float, default 0
        Standard error of `fun`.
    jac : Tensor, shape (n,), optional
        Gradient.
    standard_error : Tensor, shape (n,), optional
        Standard error of `jac`.
    hessian : callable, optional
        ``hessian() -> Measurement`` of shape (n, n); called at most once, on first use, and may spend evaluations.
    product : callable, optional
        ``product(p) -> Measurement`` of shape (n,), the Hessian times `p`; may spend evaluations.
    nfev : int
        Evaluations spent before this record was returned.
    sigma : float, default 0
        Smoothing width, in units of `x_scale`; 0 where nothing is smoothed.
    spread : float, default nan
        Standard deviation of the sampled values: 0 on a plateau; nan where nothing was sampled.
    blind : bool, default False
        Whether the gradient says nothing of a minimum: it is exactly zero for lack of anything to see, or not reliable.
    note : str, default ""
        What a reader of the result should know about this estimate; empty if nothing.
    partial : bool, default False
        Whether it is of a part of the objective only, a minibatch; `fun` then says little about other estimates' `fun`.
    unit : callable, optional
        ``unit() -> float``, the length of a step that is worth one `sigma`, where x is not what is smoothed.
    facts : mapping of str to float, default {}
        What else the progress shows, by name.
    lowest : Lowest, optional
        Lowest sample remembered; a method may prefer it to a step for which a higher value is predicted.
    x_standard_error : Tensor, shape (n,), optional
        Standard error of each parameter, `x` being taken for the answer.
    status : Status, default "RUNNING"
        The estimator's own verdict; anything but RUNNING ends the run.
    """

    x: Tensor
    fun: float
    fun_standard_error: float = 0.0
    jac: Tensor | None = None
    standard_error: Tensor | None = None
    hessian: Callable[[], Measurement] | None = field(default=None, repr=False)
    product: Callable[[Tensor], Measurement] | None = field(default=None, repr=False)
    nfev: int
    sigma: float = 0.0
    spread: float = float("nan")
    blind: bool = False
    note: str = ""
    partial: bool = False
    unit: Callable[[], float] | None = field(default=None, repr=False)
    facts: Mapping[str, float] = field(factory=dict)
    lowest: Lowest | None = None
    x_standard_error: Tensor | None = None
    status: Status = Status.RUNNING

    @cached_property
    def _hessian(self) -> Measurement:
        if self.hessian is None:
            raise TypeError("this estimate has no Hessian")
        return self.hessian()

    @property
    def hess(self) -> Tensor:
        """Hessian, shape (n, n)."""
        return self._hessian.value

    @property
    def hess_standard_error(self) -> Tensor:
        """Standard error of `hess`, shape (n, n)."""
        return self._hessian.standard_error

    def hessp(self, p: Tensor) -> Tensor:
        """Hessian times `p`, shape (n,)."""
        return self.measure_hessp(p).value

    def measure_hessp(self, p: Tensor) -> Measurement:
        """Hessian times `p` with the standard error of each component."""
        if self.product is not None:
            return self.product(p)
        hessian = self._hessian
        # Elements of a row are taken as independent: exact where each was sampled on its own.
        return Measurement(hessian.value @ p, lambda: torch.sqrt(hessian.standard_error.square() @ p.square()))


class Point(NamedTuple):
    """A visited point and the estimate there."""

    x: Tensor
    estimate: Estimate


@frozen(kw_only=True)
class Estimator(abc.ABC):
    """Frozen configuration of a derivative estimator; what it remembers lives in a state object.

    Parameters
    ----------
    seeds : SeedPolicy or str, default "per_pair"
        Which evaluations share a renderer seed.

    Attributes
    ----------
    provides : Order
        What an estimate holds.
    needs : Capability
        What is asked of the objective.
    unbiased : bool
        Whether the derivatives of a quadratic are right in the mean, however few the samples; else they only converge.
    proxy : bool
        Whether `jac` is the gradient of another function with the same minimum.
    endless : bool
        Whether estimates may cost no evaluation for ever, so that `maxfev` alone ends no run.
    """

    provides: ClassVar[Order]
    needs: ClassVar[Capability] = Capability.FUN
    # Whether `fun` at two points may be compared; if not, the answer of a run is its last point.
    comparable: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    proxy: ClassVar[bool] = False
    endless: ClassVar[bool] = False

    seeds: SeedPolicy = field(default=SeedPolicy.PER_PAIR, converter=as_seed_policy)

    def provided(self, problem: Problem) -> Order:
        """What an estimate of a problem holds: `provides`, unless it depends on the problem."""
        return self.provides

    def why_not(self, problem: Problem) -> str:
        """Why it does not serve a problem that has what it needs, and what does; empty if it does."""
        return ""

    @abc.abstractmethod
    def init(self, problem: Problem) -> Any:
        """State before the first estimate."""

    @abc.abstractmethod
    def estimate(self, objective: Evaluator, x: Tensor, state: Any, rng: np.random.Generator) -> tuple[Estimate, Any]:
        """Estimate at `x` of shape (n,), and the next state."""

    def recognises(self, state: Any) -> bool:
        """Whether a state from a checkpoint, of the form of a fresh one, is one that it could have had."""
        return True

    @abc.abstractmethod
    def cost(self, n: int) -> int:
        """Evaluations that one estimate of `fun` and `jac` spends."""

    def next_cost(self, n: int, state: Any) -> int:
        """Evaluations that the next estimate spends, at most."""
        return self.cost(n)

    def hess_cost(self, n: int) -> int:
        """Evaluations that the Hessian spends on top, once, on first use."""
        return 0

    def hessp_cost(self, n: int) -> int:
        """Evaluations that each Hessian-vector product spends on top."""
        return 0
