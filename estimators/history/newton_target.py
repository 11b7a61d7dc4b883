"""NewtonTarget: every output of a network is drawn to a target of its own, which Newton's method moves."""

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

from ..gauss_newton import GaussNewton

__all__ = ["NewtonTarget"]

# Seeds under which two ends are compared, where seeds vary.
_SEEDS = 2


class NewtonTargetState(NamedTuple):
    """Where a target is.

    Attributes
    ----------
    fresh, inner : object
        First and present state of the estimator that moves it.
    seen : Estimate or None
        The last estimate, without derivatives.
    target : Tensor or None
        What was found there.
    rival : Tensor or None
        What the descent before has found.
    calls : int
        Calls so far.
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
    r"""Gradient of :math:`\frac12 |x - \hat x|^2`, where :math:`\hat x` is a target on its own way to the minimum [1]_.

    The target starts where the first call is. From there on derivatives are those at the target: with gradient g and
    Hessian H of another estimator, in units of `x_scale`, :math:`\hat x` moves by :math:`-(|H| + \lambda I)^{-1} g`,
    shortened to the trust radius; :math:`|H|` is H with all eigenvalues positive. `jac` is :math:`x - \hat x`.

    Behind a network (`problems.GreyBox`) each input has a target of its own. The network learns to say what the
    targets say, while they are still moving: every output counts by its distance, however steep the objective is in
    it, and a target loses nothing of what it has found when the network changes. With the plain gradient the steep
    outputs, and their noise, take the features that all outputs share.

    Parameters
    ----------
    estimator : Estimator, optional
        Where g and H come from; it must provide a Hessian. By default `GaussNewton`.
    damping : float, default 0.01
        :math:`\lambda`, > 0, as a multiple of the mean eigenvalue of :math:`|H|`.
    trust_radius : float, default 1
        Longest step of a target, > 0, in units of the smoothing width.
    steps : int, optional
        Steps a target takes, >= 1; then it stays, and calls cost no evaluation. By default there is no end to them.
        Such a run is ended by `maxiter`, which then has a default.
    restarts : int, default 0
        How often a target that has stayed for `rest` calls sets out again, >= 0, from where the call then is, for as
        many `steps`; the lower of the two ends stays. Where some targets are in wrong minima, a network that learns
        from many, most of them right, knows better.
    rest : int, default 8
        Calls without evaluations before each of them, >= 0.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    Notes
    -----
    `jac` is not the gradient of the objective: it is that of a proxy with the same minimum. `fun` is the value at the
    target. For `Adam` and `GradientDescent` behind a network; for few parameters alone `Newton` takes the step itself.
    Each input has its own memory, for `GaussNewton` the residuals of all samples of its window.

    One call costs what `estimator` does, Hessian included, and nothing once the target stays; the last step after a
    restart costs four evaluations more, of both ends under the same two seeds; two where seeds are "fixed".

    References
    ----------
    .. [1] Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022: there the
       step of any solver, here the one of Newton's method.

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
        """Whether there are calls without evaluations."""
        return self.steps is not None

    @property
    def needs(self) -> Capability:  # type: ignore[override]
        """What the estimator does."""
        return self.estimator.needs

    def why_not(self, problem: Problem) -> str:
        """A Hessian is needed of every problem."""
        if Order.HESS not in self.estimator.provided(problem):
            return f"{type(self.estimator).__name__} provides no Hessian for it: give NewtonTarget another 'estimator'"
        return self.estimator.why_not(problem)

    def init(self, problem: Problem) -> NewtonTargetState:
        """No target yet."""
        fresh = self.estimator.init(problem)
        return NewtonTargetState(fresh, fresh)

    def cost(self, n: int) -> int:
        """Evaluations of a step of the target, at most."""
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
        return 1 if self.seeds is SeedPolicy.FIXED else _SEEDS

    def _phase(self, calls: int) -> tuple[int, int]:
        """Descents before this one, and steps taken in it."""
        return (0, 0) if self.steps is None else divmod(calls, self.steps + self.rest)

    def _moves(self, descent: int, step: int) -> bool:
        return self.steps is None or (descent <= self.restarts and step < self.steps)

    def estimate(
        self, objective: Evaluator, x: Tensor, state: NewtonTargetState, rng: np.random.Generator
    ) -> tuple[Estimate, NewtonTargetState]:
        """Offset of `x` from the target, which takes a step first, unless it has taken all."""
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
            # What is not measured anew is no sign that the value has settled.
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
        length, longest = float(torch.linalg.vector_norm(step)), self.trust_radius * found.sigma
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
    """The better end of the last two descents; half of the seeds are for each."""
    assert state.seen is not None
    assert state.target is not None
    assert state.rival is not None
    ends, before = torch.stack([state.target, state.rival]), objective.nfev
    values = objective.fun(ends.repeat_interleave(len(seeds) // 2, 0), seed=seeds).reshape(2, -1).mean(1)
    seen = evolve(state.seen, nfev=state.seen.nfev + objective.nfev - before)
    return state._replace(seen=seen, target=ends[int(values.nan_to_num(torch.inf).argmin())], rival=None)
