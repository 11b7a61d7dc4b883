"""NewtonTarget: outputs of a network follow targets that Newton steps move."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from attrs import evolve, field, frozen, validators
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import (
    Capability,
    Estimate,
    Estimator,
    Evaluator,
    Order,
    Problem,
    SeedPolicy,
    SeedSource,
    damped_newton_step,
    integer,
    real,
    require,
    shown,
)

from .gauss_newton import GaussNewton

__all__ = ["NewtonTarget"]

# Seeds under which the ends of two descents are compared: two are the fewest that average noise.
_COMPARED_SEEDS = 2


class NewtonTargetState(NamedTuple):
    """State of a target.

    Attributes
    ----------
    fresh, inner : object
        First and present state of the estimator that moves it.
    seen : Estimate or None
        Last estimate, without derivatives.
    target : Tensor or None
        Present target.
    rival : Tensor or None
        Final target of the descent before.
    calls : int
        Number of calls so far.
    """

    fresh: object
    inner: object
    seen: Estimate | None = None
    target: Tensor | None = None
    rival: Tensor | None = None
    calls: int = 0


def _with_hessian(_: object, attribute: object, value: object) -> None:
    if not isinstance(value, Estimator):
        raise TypeError(f"'estimator' must be an estimator: {shown(value)}")
    require("estimator", Order.HESS in value.provides, "one that provides a Hessian", value)


@frozen(kw_only=True)
class NewtonTarget(Estimator):
    r"""Gradient of half the squared distance to a target that Newton steps move [1]_.

    Use it to train a network in front of a black box (`problems.GreyBox`), with `Adam` or `GradientDescent`.

    The target starts at the point of the first call. Derivatives are estimated at the target: with gradient g and
    Hessian H of another estimator, in units of `x_scale`, :math:`\hat x` moves by :math:`-(|H| + \lambda I)^{-1} g`,
    shortened to the trust radius; :math:`|H|` is H with all eigenvalues made positive. `jac` is :math:`x - \hat x`.

    Each input of the network has its own target, and the network learns to output the targets while they move. Each
    output counts by its distance from the target, however steep the objective is in it, and a target keeps its progress
    when the network changes. With the plain gradient the steep outputs, and their noise, dominate the shared features.

    Parameters
    ----------
    estimator : Estimator, optional
        Estimates g and H; it must provide a Hessian. By default `GaussNewton`.
    damping : float, default 0.01
        :math:`\lambda`, > 0, as a multiple of the mean eigenvalue of :math:`|H|`.
    trust_radius : float, default 1
        Longest step of a target, > 0, in sigmas.
    steps : int, optional
        Number of steps of a target, >= 1; then it stays, and calls cost no evaluation. By default it never stops.
        If given, `maxiter` ends the run and has a default.
    restarts : int, default 0
        Number of restarts of each target, >= 0. After `rest` calls without steps, a target restarts from the point of
        the call, for `steps` steps; the lower one of the two ends is kept. If some targets are in wrong minima, a
        network that has learned from many targets, most of them right, gives them a better start.
    rest : int, default 8
        Calls without evaluations before each restart, >= 0.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    Notes
    -----
    `jac` is not the gradient of the objective but that of a proxy with the same minimum. `fun` is the value at the
    target. For few parameters without a network, `Newton` takes the same step directly. Each input has its own memory:
    for `GaussNewton` the residuals of all samples of its window.

    One call costs as many evaluations as one of `estimator`, Hessian included, and none once the target stays. The last
    step after a restart costs four more, at both ends under the same two seeds; two if seeds are "fixed".

    References
    ----------
    .. [1] Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022: there with
       the step of any solver, here with a Newton step.

    Examples
    --------
    >>> NewtonTarget(estimator=GaussNewton(n_samples=2)).cost(5)
    4
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC
    comparable: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False
    proxy: ClassVar[bool] = True

    estimator: Estimator = field(factory=GaussNewton, validator=_with_hessian)
    damping: float = field(default=0.01, validator=real(above=0))
    trust_radius: float = field(default=1.0, validator=real(above=0))
    steps: int | None = field(default=None, validator=validators.optional(integer(1)))
    restarts: int = field(default=0, validator=integer(0))
    rest: int = field(default=8, validator=integer(0))
    seeds: SeedPolicy = field(init=False, repr=False)

    @seeds.default
    def _its_seeds(self) -> SeedPolicy:
        return getattr(self.estimator, "seeds", SeedPolicy.PER_PAIR)

    def __attrs_post_init__(self) -> None:
        require("restarts", self.steps is not None or self.restarts == 0, "0 where `steps` have no end", self.restarts)

    @property
    def endless(self) -> bool:  # type: ignore[override]
        """Whether some calls cost no evaluation."""
        return self.steps is not None

    @property
    def needs(self) -> Capability:  # type: ignore[override]
        """Capabilities that the estimator needs."""
        return self.estimator.needs

    def why_not(self, problem: Problem) -> str:
        """Why the estimator provides no Hessian for the problem, if so."""
        if Order.HESS not in self.estimator.provided(problem):
            return f"{type(self.estimator).__name__} provides no Hessian for it: give NewtonTarget another 'estimator'"
        return self.estimator.why_not(problem)

    def init(self, problem: Problem) -> NewtonTargetState:
        """State without a target."""
        fresh = self.estimator.init(problem)
        return NewtonTargetState(fresh, fresh)

    def cost(self, n: int) -> int:
        """Largest number of evaluations of a step of the target."""
        return self.estimator.cost(n) + self.estimator.hess_cost(n) + (2 * self._repeats if self.restarts > 0 else 0)

    def next_cost(self, n: int, state: NewtonTargetState) -> int:
        """Evaluations of the next call: none while the target stays."""
        descent, step = self._phase(state.calls)
        if not self._moves(descent, step):
            return 0
        weighed = descent > 0 and step + 1 == self.steps
        return self.estimator.cost(n) + self.estimator.hess_cost(n) + (2 * self._repeats if weighed else 0)

    @property
    def _repeats(self) -> int:
        """Evaluations at each of two ends."""
        return 1 if self.seeds is SeedPolicy.FIXED else _COMPARED_SEEDS

    def _phase(self, calls: int) -> tuple[int, int]:
        """Number of descents before this one, and of steps taken in it."""
        return (0, 0) if self.steps is None else divmod(calls, self.steps + self.rest)

    def _moves(self, descent: int, step: int) -> bool:
        return self.steps is None or (descent <= self.restarts and step < self.steps)

    def estimate(
        self, objective: Evaluator, x: Tensor, state: NewtonTargetState, rng: np.random.Generator
    ) -> tuple[Estimate, NewtonTargetState]:
        """Move the target by a step, if steps are left, and estimate the offset of `x`."""
        descent, step = self._phase(state.calls)
        moves = self._moves(descent, step)
        if moves:
            if descent > 0 and step == 0:
                state = state._replace(inner=state.fresh, target=None, rival=state.target)
            state = self._found(objective, x, state, rng)
            if descent > 0 and step + 1 == self.steps:
                state = _lower(objective, state, SeedSource(self.seeds, rng).repeat(self._repeats, 2))
        seen, target = state.seen, state.target
        assert seen is not None
        assert target is not None
        jac = x - target
        estimate = evolve(
            seen,
            x=x,
            # A value that is not measured anew must not look as if it had converged.
            fun_standard_error=seen.fun_standard_error if moves else math.inf,
            jac=jac,
            standard_error=torch.full_like(jac, torch.inf),
            nfev=seen.nfev if moves else 0,
        )
        return estimate, state._replace(calls=state.calls + 1)

    def _found(
        self, objective: Evaluator, x: Tensor, state: NewtonTargetState, rng: np.random.Generator
    ) -> NewtonTargetState:
        before = objective.nfev
        x = x.clone() if state.target is None else state.target
        found, inner = self.estimator.estimate(objective, x, state.inner, rng)
        assert found.jac is not None
        step = damped_newton_step(found.jac, found.hess, self.damping)
        length, longest = (
            float(torch.linalg.vector_norm(step)),
            self.trust_radius * (found.sigma or (found.model.unit if found.model else 0.0)),
        )
        if 0 < longest < length:
            step = step * (longest / length)
        seen = Estimate(
            x=x,
            fun=found.fun,
            fun_standard_error=found.fun_standard_error,
            nfev=objective.nfev - before,
            sigma=found.sigma,
            spread=found.spread,
            blind=found.blind,
            note=found.note,
        )
        return state._replace(inner=inner, seen=seen, target=objective.project(x + step))


def _lower(objective: Evaluator, state: NewtonTargetState, seeds: NDArray[np.int64]) -> NewtonTargetState:
    """Keep the lower end of the last two descents; half of the seeds are for each."""
    assert state.seen is not None
    assert state.target is not None
    assert state.rival is not None
    ends, before = torch.stack([state.target, state.rival]), objective.nfev
    values = objective.fun(ends.repeat_interleave(len(seeds) // 2, 0), seed=seeds).reshape(2, -1).mean(1)
    seen = evolve(state.seen, nfev=state.seen.nfev + objective.nfev - before)
    return state._replace(seen=seen, target=ends[int(values.nan_to_num(torch.inf).argmin())], rival=None)
