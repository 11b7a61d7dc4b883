"""Chained: an estimator carried through a network by the chain rule."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.estimator import Estimate, Estimator, Measurement, Order
from invopt.core.evaluator import Evaluator
from invopt.core.formatting import shown
from invopt.core.objective import Capability
from invopt.core.problem import Link, Problem
from invopt.exceptions import IncompatibleError, NonFiniteError
from invopt.network.evaluators import ChainEvaluator

__all__ = ["Chained", "ChainedState", "chained"]

# Share of the items of a minibatch that may have no finite value: the default of `max_nonfinite` of `minimize`.
_MAX_SHARE_FAILED = 0.5


class ChainedState(NamedTuple):
    """State of `Chained`.

    Attributes
    ----------
    fresh : object
        State of the inner estimator for an item that has not been seen.
    memory : dict
        State of the inner estimator for each item seen so far.
    order : ndarray of int, shape (n_items,), or None
        Order of the items in this pass.
    position : int
        Items of this pass that have been used.
    """

    fresh: Any
    memory: dict[int, Any]
    order: NDArray[np.int64] | None
    position: int


@frozen(kw_only=True)
class Chained(Estimator):
    r"""Derivatives for a network's weights from an estimator for its outputs.

    Let :math:`x_i` be the output for input i of a minibatch of b, :math:`J_i` its Jacobian, and :math:`g_i, H_i` the
    estimated derivatives of the black box at :math:`x_i` (paper, supplement E). Then

    .. math:: g = \frac1b \sum_i J_i^T g_i, \qquad H v = \frac1b \sum_i J_i^T H_i (J_i v).

    The gradient needs one product J'g; a product Hv needs one Jv and one J'g. No matrix with a row for each weight is
    formed. The curvature of the network itself, :math:`\sum_k g_{ik} \nabla^2 x_{ik}`, is left out, as in Gauss-Newton
    methods [1]_; it vanishes with g.

    The estimator has a state for each item, so that schedules advance with passes over the data. Minibatches are
    consecutive pieces of a random order, drawn anew for each pass; a remainder at the end of a pass is skipped.

    Parameters
    ----------
    estimator : Estimator
        Estimator of the inner problem.
    n : int
        Parameters of the inner problem.
    n_items, batch_size : int
        Number of items, and items of a minibatch.

    Notes
    -----
    The standard error of the gradient is not known and is reported as infinite, unless all errors are 0. Items without
    a finite value add nothing to their minibatch; if more than half of its items have none, the estimate fails.

    References
    ----------
    .. [1] Schraudolph, "Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent", Neural Computation
       14(7), 2002.
    """

    estimator: Estimator
    n: int
    n_items: int
    batch_size: int

    @property
    def provides(self) -> Order:  # type: ignore[override]
        """What the inner estimator provides, except a Hessian, which would be N x N."""
        return _carried(self.estimator.provides)

    def provided(self, problem: Problem) -> Order:
        """What the inner estimator provides for the inner problem, except a Hessian."""
        return _carried(self.estimator.provided(problem.chain().inner))

    @property
    def needs(self) -> Capability:  # type: ignore[override]
        """What the inner estimator needs, and a chain."""
        return self.estimator.needs | Capability.CHAIN

    @property
    def comparable(self) -> bool:  # type: ignore[override]
        """Whether all items are in each minibatch.

        Values of different minibatches cannot be compared.
        """
        return self.batch_size == self.n_items

    def init(self, problem: Problem) -> ChainedState:
        """State before any item has been seen."""
        return ChainedState(self.estimator.init(problem.chain().inner), {}, None, 0)

    def recognises(self, state: ChainedState) -> bool:
        """Whether the order holds each item once, and the memory only items that exist."""
        order, items = state.order, set(range(self.n_items))
        known = isinstance(state.memory, dict) and state.memory.keys() <= items
        ordered = order is None or (isinstance(order, np.ndarray) and order.shape == (self.n_items,))
        return known and ordered and state.position >= 0 and (order is None or set(order.tolist()) == items)

    def cost(self, n: int) -> int:
        """Evaluations of one estimate."""
        return self.batch_size * self.estimator.cost(self.n)

    def next_cost(self, n: int, state: ChainedState) -> int:
        """Evaluations of the next minibatch, at most, by the states of its items."""
        end, items = state.position + self.batch_size, np.arange(self.n_items)
        if state.order is not None and end <= self.n_items:
            items = state.order[state.position : end]
        costs = sorted(self.estimator.next_cost(self.n, state.memory.get(int(item), state.fresh)) for item in items)
        return sum(costs[-self.batch_size :])

    def hess_cost(self, n: int) -> int:
        """Evaluations of the Hessians of all items, on first use."""
        return self.batch_size * self.estimator.hess_cost(self.n)

    def hessp_cost(self, n: int) -> int:
        """Evaluations of one product."""
        return self.batch_size * self.estimator.hessp_cost(self.n)

    def estimate(
        self, objective: Evaluator, x: Tensor, state: ChainedState, rng: np.random.Generator
    ) -> tuple[Estimate, ChainedState]:
        """Estimate derivatives at weights `x` on the next minibatch."""
        assert isinstance(objective, ChainEvaluator)
        # Before an order is drawn: a minibatch that ends half way would be wasted.
        objective.check_budget(self.next_cost(objective.n, state))
        order, position = self._next_batch(state, rng)
        objective.items = items = order[position : position + self.batch_size]
        link, memory, failed, spent = objective.link(x), dict(state.memory), 0, objective.nfev
        found = []
        for item, point in zip(items.tolist(), link.x / objective.item.x_scale, strict=True):
            known = memory.get(item, state.fresh)
            try:
                estimate, memory[item] = self.estimator.estimate(objective.item.of(item), point, known, rng)
            except NonFiniteError:
                failed += 1
                if failed > _MAX_SHARE_FAILED * self.batch_size:
                    raise
                estimate = _nothing(point)
            found.append(estimate)
        joined = self._joined(x, found, _Backward(link, objective.item.x_scale), objective.nfev - spent)
        return joined, ChainedState(state.fresh, memory, order, position + self.batch_size)

    def _next_batch(self, state: ChainedState, rng: np.random.Generator) -> tuple[NDArray[np.int64], int]:
        if self.batch_size == self.n_items:
            return np.arange(self.n_items), 0
        if state.order is None or state.position + self.batch_size > self.n_items:
            return rng.permutation(self.n_items), 0
        return state.order, state.position

    def _joined(self, x: Tensor, found: list[Estimate], back: _Backward, nfev: int) -> Estimate:
        """Join the estimates of all items to one."""
        partial = self.batch_size < self.n_items
        known = [estimate for estimate in found if not math.isnan(estimate.fun)]
        jac = back.jac(found) if Order.JAC in self.provides else None
        return Estimate(
            x=x,
            fun=math.fsum(estimate.fun for estimate in known) / len(known),
            fun_standard_error=_error_of_mean(known, partial),
            jac=jac,
            standard_error=None if jac is None else torch.full_like(jac, 0.0 if _exact(found, partial) else math.inf),
            product=(lambda p: back.product(found, p)) if Order.HESSP in self.provides else None,
            nfev=nfev,
            sigma=max(estimate.sigma for estimate in found),
            spread=max(estimate.spread for estimate in known),
            blind=all(estimate.blind for estimate in found),
            note=next((estimate.note for estimate in found if estimate.note), ""),
            partial=partial,
            unit=None if jac is None else lambda: back.unit(found, jac),
        )


def _carried(inner: Order) -> Order:
    return (inner | Order.HESSP if Order.HESS in inner else inner) & ~Order.HESS


def _nothing(x: Tensor) -> Estimate:
    """Estimate of an item without a finite value: it adds nothing to its minibatch."""
    zero = torch.zeros_like(x)
    unknown = torch.full_like(x, math.inf)
    return Estimate(
        x=x,
        fun=math.nan,
        fun_standard_error=math.inf,
        jac=zero,
        standard_error=unknown,
        product=lambda p: Measurement(torch.zeros_like(p), unknown),
        nfev=0,
        blind=True,
    )


class _Backward:
    """Carries derivatives of the items to the weights.

    Inner points are in units of `scale`.
    """

    def __init__(self, link: Link, scale: Tensor) -> None:
        self._link, self._scale = link, scale

    def jac(self, found: list[Estimate]) -> Tensor:
        return self._pull(torch.stack([estimate.jac for estimate in found if estimate.jac is not None]))

    def product(self, found: list[Estimate], p: Tensor) -> Measurement:
        moved = self._link.jvp(p) / self._scale
        value = self._pull(torch.stack([item.hessp(v) for item, v in zip(found, moved, strict=True)]))
        return Measurement(value, lambda: torch.full_like(value, torch.inf))

    def unit(self, found: list[Estimate], jac: Tensor) -> float:
        """Length of a step along the gradient that moves the outputs by one sigma.

        Their movement is measured by its root mean square.
        """
        length = float(torch.linalg.vector_norm(jac))
        sigma = max(estimate.sigma for estimate in found) or 1.0
        if length == 0.0:
            return sigma
        moved = self._link.jvp(jac / length) / self._scale
        size = float(torch.sqrt(moved.square().sum(1).mean()))
        return sigma / size if size > 0 else sigma

    def _pull(self, gradients: Tensor) -> Tensor:
        return self._link.vjp(gradients / (self._scale * len(gradients)))


def _error_of_mean(found: list[Estimate], partial: bool) -> float:
    """Standard error of the mean of `fun`.

    For a part of the items, as an estimate for all items.
    """
    k = len(found)
    if not partial:
        return math.sqrt(math.fsum(estimate.fun_standard_error**2 for estimate in found)) / k
    return float(np.std([estimate.fun for estimate in found], ddof=1)) / math.sqrt(k) if k > 1 else math.inf


def _exact(found: list[Estimate], partial: bool) -> bool:
    errors = [estimate.standard_error for estimate in found]
    return not partial and all(error is not None and not bool(error.any()) for error in errors)


def chained(estimator: Estimator, problem: Problem) -> Estimator:
    """Carry an estimator through a problem's chain, if it has one."""
    if Capability.CHAIN not in problem.provides:
        return estimator
    chain = problem.chain()
    if Capability.CHAIN in estimator.needs:
        raise IncompatibleError(f"the estimator must be that of the inner problem: {shown(estimator)}")
    return Chained(
        seeds=estimator.seeds,
        estimator=estimator,
        n=chain.inner.n,
        n_items=chain.n_items,
        batch_size=chain.batch_size,
    )
