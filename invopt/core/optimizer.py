"""Optimizer: makes steps from estimates. Oracle: gives a step further evaluations."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from invopt.core.estimator import Estimate, Order
from invopt.core.evaluator import Evaluator
from invopt.core.quadratic.linear_rows import LinearRows
from invopt.core.result import Status
from invopt.core.seeds import SeedPolicy, SeedSource
from invopt.exceptions import NonFiniteError

__all__ = ["Optimizer", "Oracle"]


class Oracle:
    """Further estimates and values for a step; all of them are counted.

    Parameters
    ----------
    evaluator : Evaluator
        Where evaluations are spent.
    estimate : callable
        ``estimate(x) -> Estimate`` with the run's estimator at its present sigma.
    rng : Generator
        The run's rng.
    repeat : callable, optional
        The same as `estimate`, with the random numbers of the estimate that was passed to the step.
    seeds : SeedPolicy, default "per_pair"
        Policy of the estimator, which holds for the values of the step too.
    xtol : float, default 0
        Step length, in units of `x_scale`, at which the run counts as converged; 0: never.
    share : float, default 0
        Share of the run's budget that is spent, from 0 to 1: the largest of those of iterations, evaluations and
        seconds.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        estimate: Callable[[Tensor], Estimate],
        rng: np.random.Generator,
        repeat: Callable[[Tensor], Estimate] | None = None,
        seeds: SeedPolicy = SeedPolicy.PER_PAIR,
        xtol: float = 0.0,
        share: float = 0.0,
    ) -> None:
        self._evaluator = evaluator
        self._repeat = estimate if repeat is None else repeat
        self._estimate = estimate
        self._rng = rng
        self._policy = seeds
        self._seeds = SeedSource(seeds, rng)
        self._last: Estimate | None = None
        self.xtol = xtol
        self.share = share

    @property
    def rng(self) -> np.random.Generator:
        """The run's rng, for methods that draw points."""
        return self._rng

    @property
    def constraints(self) -> Any:
        """Ranges of constraints, see `Limits`, in the units of the problem.

        None if there are none.
        """
        return self._evaluator.constraints

    def linear_constraints(self) -> LinearRows | None:
        """Slopes of the last of them, the linear ones, in units of `x_scale`.

        None if none is linear.
        """
        return self._evaluator.linear_constraints()

    @property
    def left(self) -> float:
        """Evaluations that the run may still spend on its search."""
        return self._evaluator.affordable - self._evaluator.nfev

    def tell(self, estimate: Estimate) -> None:
        """Note an estimate that the method has made itself, of the point it steps to."""
        self._last = estimate

    def estimate(self, x: Tensor) -> Estimate:
        """Estimate at another point."""
        self._last = self._estimate(self.project(x))
        return self._last

    def repeat(self, x: Tensor) -> Estimate:
        """Estimate at another point with the same random numbers.

        The perturbations, the seeds and the minibatch are the same. Noise that both estimates share then cancels in
        their difference.
        """
        return self._repeat(self.project(x))

    def known(self, x: Tensor) -> Estimate | None:
        """Return the last estimate if it was at `x` and is deterministic, else None.

        It was at `x` at the end of a line search, for example.
        """
        last = self._last
        if last is None or last.sigma > 0.0 or last.partial:
            return None
        return last if torch.equal(last.x, x) else None

    def fun(self, x: Tensor) -> Tensor:
        """Values of shape (k,) at the rows of `x`; inf for a failed evaluation.

        All values of a step share one seed, unless the seed policy says otherwise.
        """
        try:
            return self.values(x)
        except NonFiniteError:
            return torch.full((x.shape[0],), torch.inf, dtype=x.dtype)

    def values(self, x: Tensor, *, seed: int | None = None) -> Tensor:
        """As `fun`, but too many failures end the run with `NonFiniteError`.

        With `seed`, all evaluations have this seed under the policy "per_pair".
        """
        k = x.shape[0]
        given = seed is not None and self._policy is SeedPolicy.PER_PAIR
        seeds = np.full(k, seed, dtype=np.int64) if given else self._seeds.compare(k)
        values = self._evaluator.fun(x, seed=seeds, keep_inf=True)
        return torch.nan_to_num(values, nan=torch.inf, posinf=torch.inf)

    def value(self, x: Tensor) -> float:
        """Value at one point of shape (n,)."""
        return float(self.fun(x[None])[0])

    def project(self, x: Tensor) -> Tensor:
        """Nearest point inside the bounds."""
        return self._evaluator.project(x)

    def projected_gradient(self, x: Tensor, jac: Tensor) -> Tensor:
        """Gradient with zeros in the components that point out of an active bound."""
        return self._evaluator.projected_gradient(x, jac)


@frozen(kw_only=True)
class Optimizer(abc.ABC):
    """Frozen configuration of a method; whatever changes lives in its state object.

    A step never prints, times, counts or seeds, and never modifies its arguments. All lengths are in units of the
    problem's `x_scale`.

    Attributes
    ----------
    requires : Order
        Quantities that an estimate must hold.
    noise_aware : bool
        Whether its own stopping rule is valid for noisy values; otherwise such an end is not a success under noise.
    stands_for : tuple of str
        Further names of it in `minimize`, each of which is passed to it as its first argument.
    calls_back_with_state : bool
        Whether callbacks may take the point and the result, as those of one of scipy's methods do.
    constrains : bool
        Whether it minimises under constraints other than bounds.
    judges_steps : bool
        Whether it ends by `xtol` itself, because its short steps do not mean that it has converged.
    eliminates : bool
        Whether its points are those of the parameters that move, and those that shade are solved for at each.
    """

    requires: ClassVar[Order] = Order.JAC
    noise_aware: ClassVar[bool] = False
    stands_for: ClassVar[tuple[str, ...]] = ()
    calls_back_with_state: ClassVar[bool] = False
    constrains: ClassVar[bool] = False
    judges_steps: ClassVar[bool] = False
    eliminates: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, x0: Tensor) -> Any:
        """State before the first step."""

    def recognises(self, state: Any, x0: Tensor) -> bool:
        """Whether a state from a checkpoint has valid values.

        The state has the form of a new one.
        """
        return True

    @abc.abstractmethod
    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """Return the next point of shape (n,) and the next state.

        Both follow from the estimate at `x`.
        """

    def status(self, state: Any) -> Status:
        """Status by the method's own stopping rule after a step.

        RUNNING unless the method has such a rule.
        """
        return Status.RUNNING

    def choice(self, state: Any) -> str:
        """What the method has chosen by itself, for ``res.choice``; empty for nothing."""
        return ""

    def close(self, state: Any) -> None:
        """Release resources of the state; called once, at the end of a run."""
        return
