"""NewtonTarget: every output of a network is drawn to a target of its own, which Newton's method moves."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from attrs import evolve, field, frozen, validators
from torch import Tensor

from invopt._estimator import Estimate, Estimator, Order
from invopt._evaluate import Evaluator
from invopt._problem import Capability, Problem
from invopt._seeds import SeedPolicy
from invopt._validators import integer, real, require

from .gauss_newton import GaussNewton

__all__ = ["NewtonTarget"]


class NewtonTargetState(NamedTuple):
    """The estimator's own state, its last estimate without derivatives, the target found there, and calls so far."""

    inner: object
    seen: Estimate | None = None
    target: Tensor | None = None
    calls: int = 0


def _with_hessian(_: object, attribute: object, value: object) -> None:
    if not isinstance(value, Estimator):
        raise TypeError(f"'estimator' must be an estimator: {value!r}")
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

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    Notes
    -----
    `jac` is not the gradient of the objective: it is that of a proxy with the same minimum. `fun` is the value at the
    target. For `Adam` and `GradientDescent` behind a network; for few parameters alone `Newton` takes the step itself.
    Each input has its own memory, for `GaussNewton` the residuals of all samples of its window.

    One call costs what `estimator` does, Hessian included, and nothing once the target stays.

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
    seeds: SeedPolicy = field(init=False, repr=False)

    @seeds.default
    def _its_seeds(self) -> SeedPolicy:
        return getattr(self.estimator, "seeds", SeedPolicy.PER_PAIR)

    @property
    def endless(self) -> bool:  # type: ignore[override]
        """Whether there are calls without evaluations."""
        return self.steps is not None

    @property
    def needs(self) -> Capability:  # type: ignore[override]
        """What the estimator does."""
        return self.estimator.needs

    def init(self, problem: Problem) -> NewtonTargetState:
        """No target yet."""
        return NewtonTargetState(self.estimator.init(problem))

    def cost(self, n: int) -> int:
        """Evaluations of a step of the target."""
        return self.estimator.cost(n) + self.estimator.hess_cost(n)

    def estimate(
        self, objective: Evaluator, x: Tensor, state: NewtonTargetState, rng: np.random.Generator
    ) -> tuple[Estimate, NewtonTargetState]:
        """Offset of `x` from the target, which takes a step first, unless it has taken all."""
        known = self.steps is not None and state.calls >= self.steps
        if not known:
            state = self._found(objective, x, state, rng)
        seen, target = state.seen, state.target
        assert seen is not None
        assert target is not None
        jac = x - target
        estimate = evolve(
            seen,
            x=x,
            # What is not measured anew is no sign that the value has settled.
            fun_standard_error=math.inf if known else seen.fun_standard_error,
            jac=jac,
            standard_error=torch.full_like(jac, torch.inf),
            nfev=0 if known else seen.nfev,
        )
        return estimate, state._replace(calls=state.calls + 1)

    def _found(
        self, objective: Evaluator, x: Tensor, state: NewtonTargetState, rng: np.random.Generator
    ) -> NewtonTargetState:
        before = objective.nfev
        x = x.clone() if state.target is None else state.target
        found, inner = self.estimator.estimate(objective, x, state.inner, rng)
        assert found.jac is not None
        step = _damped_newton(found.jac, found.hess, self.damping)
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


def _damped_newton(jac: Tensor, hess: Tensor, damping: float) -> Tensor:
    """The step -(|H| + lambda I)^-1 g; minus g where there is no curvature at all."""
    values, vectors = torch.linalg.eigh((hess + hess.T) / 2)
    values = values.abs()
    values = values + damping * values.mean()
    along = vectors.T @ jac
    step: Tensor = -vectors @ (along / values if bool((values > 0).all()) else along)
    return step
