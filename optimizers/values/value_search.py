"""ValueSearch: base of the methods that are generators of points."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import define, frozen
from torch import Tensor

from invopt.plugin import Estimate, Optimizer, Oracle, Order, Status

from .space import WORST, Array, Search, SearchSpace, Visit, advanced

__all__ = ["ValueSearch", "ValueSearchState"]


# Parameters for each evaluation that an iteration makes at least.
_PARAMETERS_EACH = 20


@define(eq=False)
class ValueSearchState:
    """State of a search, which is changed in place.

    Attributes
    ----------
    space : SearchSpace or None
        Its space; None before the first step.
    search : Generator or None
        The search.
    asked : ndarray, shape (k, n)
        Points that are to be evaluated.
    values : list of float
        Values of the first of them, where the budget has not allowed all at once.
    seed : int or None
        Seed that all evaluations share, unless the policy of the estimator says otherwise.
    verdict : Status
        How the search ended.
    """

    space: SearchSpace | None = None
    search: Search | None = None
    asked: Array | None = None
    values: list[float] | None = None
    seed: int | None = None
    verdict: Status = Status.RUNNING


@frozen(kw_only=True)
class ValueSearch(Optimizer):
    """Base of the methods that ask for the values of a few points at a time.

    All points that are asked for at once, such as those of a gradient or a population, are evaluated together, in
    workers if there are any. An iteration of the loop is one such evaluation, and goes to the best point so far or to
    the one that the search reports.
    """

    requires: ClassVar[Order] = Order.FUN
    noise_aware: ClassVar[bool] = True
    judges_steps: ClassVar[bool] = True

    @abc.abstractmethod
    def search(self, space: SearchSpace) -> Search:
        """Search from ``space.x``; return the status."""

    def init(self, x0: Tensor) -> Any:
        """State of a run that has not begun."""
        return ValueSearchState()

    def status(self, state: Any) -> Status:
        """Status of the search once it has ended."""
        verdict: Status = state.verdict
        return verdict

    def choice(self, state: Any) -> str:
        """What the search has measured, and which of its parts worked."""
        return "" if state.space is None else "; ".join(state.space.found)

    def close(self, state: Any) -> None:
        """End the search."""
        if state.search is not None:
            state.search.close()

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """Evaluate the points that the search asks for, and go to its best one."""
        if state.search is None:
            self._begin(x, estimate, state, oracle)
        if state.asked is None:
            return x, state
        before = state.space.nfev
        # Of many parameters a single point is a small step, and an iteration takes longer than its evaluation.
        least = before + len(x) // _PARAMETERS_EACH
        self._evaluate(x, state, oracle)
        while state.asked is not None and state.space.nfev < least:
            self._evaluate(x, state, oracle)
        return self._visited(x, state.space.nfev - before, state.space, oracle), state

    def _evaluate(self, x: Tensor, state: Any, oracle: Oracle) -> None:
        """Evaluate points that the search asks for, as many as the budget allows."""
        space, asked, known = state.space, state.asked, len(state.values)
        # With no evaluation left, the first of these ends the run.
        affordable = int(min(max(oracle.left, 1), len(asked) - known))
        rows = asked[known : known + affordable]
        found = oracle.values(torch.from_numpy(rows.copy()).to(x), seed=state.seed).double().numpy()
        values = np.where(found < WORST, found, WORST)
        space.visit = None
        space.note(rows, values)
        state.values += values.tolist()
        if len(state.values) == len(asked):
            self._advance(state, np.array(state.values))

    def _begin(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> None:
        """Start the search at `x`, whose value is known."""
        far = torch.full_like(x, torch.inf)
        state.space = SearchSpace(
            x=_array(x),
            fun=min(float(estimate.fun), WORST) if estimate.fun == estimate.fun else WORST,
            low=_array(oracle.project(-far)),
            high=_array(oracle.project(far)),
            rng=oracle.rng,
            xtol=oracle.xtol,
            remaining=lambda: oracle.left,
        )
        state.seed = estimate.seed
        state.search = self.search(state.space)
        self._advance(state, None)

    def _advance(self, state: Any, values: Array | None) -> None:
        """Send the values of all points asked for, and receive the next points."""
        try:
            with np.errstate(all="ignore"):
                state.asked, state.values = advanced(state.search, values), []
        except StopIteration as end:
            state.asked, state.verdict = None, end.value

    def _visited(self, x: Tensor, cost: int, space: SearchSpace, oracle: Oracle) -> Tensor:
        """Point of this iteration, with its estimate."""
        visit = space.visit or Visit(space.x, space.fun)
        covariance = None if visit.x_covariance is None else torch.from_numpy(visit.x_covariance).to(x)
        reached = x if np.array_equal(_array(x), visit.x) else torch.from_numpy(visit.x.copy()).to(x)
        oracle.tell(
            Estimate(
                x=reached,
                fun=visit.fun if visit.fun < WORST else float("inf"),
                jac=None if visit.jac is None else torch.from_numpy(visit.jac).to(x),
                standard_error=None if visit.error is None else torch.from_numpy(visit.error).to(x),
                x_standard_error=None if covariance is None else covariance.diagonal().sqrt(),
                x_covariance=covariance,
                nfev=cost,
            )
        )
        return reached


def _array(x: Tensor) -> Array:
    """Copy of a point in double precision."""
    array: Array = x.double().cpu().numpy().copy()
    return array
