"""Estimator of derivatives from evaluations, and its result, Estimate.

An Estimate comes with its uncertainty and cost.
"""

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
from invopt.core.model import Model, ValueModel
from invopt.core.objective import Capability
from invopt.core.problem import Problem
from invopt.core.result import Status
from invopt.core.seeds import SeedPolicy, as_seed_policy

__all__ = ["Estimate", "Estimator", "Incumbent", "Measurement", "Order", "Point"]


class Order(enum.Flag):
    """Quantities that an estimate holds.

    An estimator provides some, an optimizer requires some: FUN, the value; JAC, the gradient; HESS, the Hessian; HESSP,
    its products with vectors; MODEL and VALUE_MODEL, predictions at other points, see `Model` and `ValueModel`.
    """

    FUN = enum.auto()
    JAC = enum.auto()
    HESS = enum.auto()
    HESSP = enum.auto()
    MODEL = enum.auto()
    VALUE_MODEL = enum.auto()


class Measurement:
    """A sampled quantity and the standard error of each component.

    The standard error may be computed only when it is asked for.

    Parameters
    ----------
    value : Tensor
        The estimate.
    error : callable or Tensor
        Its standard error, of the same shape, or a function that computes it.
    """

    __slots__ = ("_error", "value")

    def __init__(self, value: Tensor, error: Tensor | Callable[[], Tensor]) -> None:
        self.value = value
        self._error = error

    @property
    def standard_error(self) -> Tensor:
        """Standard error of each component.

        0 if deterministic, inf if there are too few samples to estimate it.
        """
        if callable(self._error):
            self._error = self._error()
        return self._error


class Incumbent(NamedTuple):
    """The lowest point that was evaluated so far, and its value.

    Attributes
    ----------
    x : Tensor, shape (n,)
        The point.
    fun : float
        The value there.
    """

    x: Tensor
    fun: float


@frozen(kw_only=True, eq=False, slots=False)
class Estimate:
    """Result of one call of an estimator at `x`.

    All quantities are in units of the problem's `x_scale`. A standard error is 0 for a deterministic estimator and
    inf where there are too few samples to estimate it.

    Parameters
    ----------
    x : Tensor, shape (n,)
        The point.
    fun : float
        Value at `x`, or an estimate of the smoothed value there.
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
        Standard deviation of the smoothing kernel, in units of `x_scale`; 0 where nothing is smoothed.
    spread : float, default nan
        Standard deviation of the sampled values: 0 on a plateau; nan where nothing was sampled.
    blind : bool, default False
        Whether a small gradient does not indicate a minimum: no sample depends on `x`, or the gradient is unreliable.
    note : str, default ""
        A sentence about this estimate for the message of the result; empty for none.
    partial : bool, default False
        Whether only a part of the objective was estimated, a minibatch; `fun` of two estimates is then not comparable.
    unit : callable, optional
        ``unit() -> float``, the length of a step that corresponds to one `sigma`, where x itself is not smoothed.
    metrics : mapping of str to float, default {}
        Further numbers for the progress bar, by name.
    model : Model, optional
        Prediction of the residuals at other points.
    value_model : ValueModel, optional
        Prediction of the value at other points.
    incumbent : Incumbent, optional
        Best point so far, where `x` is a trial; the history shows it instead of `x`.
    x_standard_error : Tensor, shape (n,), optional
        Standard error of each parameter, if `x` is the answer.
    x_covariance : Tensor, shape (n, n), optional
        Covariance of the parameters' errors, whose diagonal holds the squares of `x_standard_error`.
    status : Status, default "RUNNING"
        The estimator's own verdict; anything but RUNNING ends the run.
    seed : int, optional
        Seed of a single evaluation at `x`.
    constrained : Tensor, shape (1 + p,), optional
        Value and constraints at `x`, if the problem has any; `fun` is inf where they do not hold.
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
    metrics: Mapping[str, float] = field(factory=dict)
    model: Model | None = field(default=None, repr=False)
    value_model: ValueModel | None = field(default=None, repr=False)
    incumbent: Incumbent | None = None
    x_standard_error: Tensor | None = None
    x_covariance: Tensor | None = None
    status: Status = Status.RUNNING
    seed: int | None = None
    constrained: Tensor | None = None

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
        # Elements of a row are assumed independent, which is exact where each was sampled separately.
        return Measurement(hessian.value @ p, lambda: torch.sqrt(hessian.standard_error.square() @ p.square()))


class Point(NamedTuple):
    """A visited point and the estimate there."""

    x: Tensor
    estimate: Estimate


@frozen(kw_only=True)
class Estimator(abc.ABC):
    """Frozen configuration of a derivative estimator.

    Whatever changes lives in a state object.

    Parameters
    ----------
    seeds : SeedPolicy or str, default "per_pair"
        Which evaluations share a renderer seed.

    Attributes
    ----------
    provides : Order
        Quantities that an estimate holds.
    needs : Capability
        What the objective must offer.
    comparable : bool
        Whether `fun` at two points may be compared; if not, the answer of a run is its last point.
    unbiased : bool
        Whether the derivatives of a quadratic are unbiased for any number of samples; otherwise they are consistent.
    proxy : bool
        Whether `jac` is the gradient of another function with the same minimum.
    endless : bool
        Whether any number of estimates may cost no evaluation, so that `maxfev` alone does not end a run.
    """

    provides: ClassVar[Order]
    needs: ClassVar[Capability] = Capability.FUN
    comparable: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    proxy: ClassVar[bool] = False
    endless: ClassVar[bool] = False

    seeds: SeedPolicy = field(default=SeedPolicy.PER_PAIR, converter=as_seed_policy)

    def provided(self, problem: Problem) -> Order:
        """Quantities that an estimate of a problem holds.

        They are `provides`, unless they depend on the problem.
        """
        return self.provides

    def why_not(self, problem: Problem) -> str:
        """Reason why this estimator cannot work on a problem that offers what it needs.

        It names estimators that can; it is empty if this one can.
        """
        return ""

    @abc.abstractmethod
    def init(self, problem: Problem) -> Any:
        """State before the first estimate."""

    @abc.abstractmethod
    def estimate(self, objective: Evaluator, x: Tensor, state: Any, rng: np.random.Generator) -> tuple[Estimate, Any]:
        """Estimate at `x` of shape (n,), and the next state."""

    def recognises(self, state: Any) -> bool:
        """Whether a state from a checkpoint has valid values.

        The state has the form of a new one.
        """
        return True

    @abc.abstractmethod
    def cost(self, n: int) -> int:
        """Evaluations of one estimate of `fun` and `jac`."""

    def next_cost(self, n: int, state: Any) -> int:
        """Most evaluations that the next estimate may spend."""
        return self.cost(n)

    def hess_cost(self, n: int) -> int:
        """Further evaluations of the Hessian, spent once, on first use."""
        return 0

    def hessp_cost(self, n: int) -> int:
        """Further evaluations of each Hessian-vector product."""
        return 0
