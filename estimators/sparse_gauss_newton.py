"""SparseGaussNewton: many parameters, each of which changes few residuals."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from attrs import evolve, field, frozen
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import (
    Capability,
    Estimate,
    Estimator,
    Evaluator,
    Measurement,
    Order,
    Problem,
    SeedPolicy,
    SeedSource,
    Status,
    integer,
    real,
    require,
)

from .least_squares.parameter_covariance import sparse_parameter_covariance
from .least_squares.sparse_jacobian import explained, identify

__all__ = ["SparseGaussNewton"]

# Share of the changes under held-out perturbations that a sparse Jacobian must predict: more than half.
_LEAST_EXPLAINED = 0.5
# Number of these perturbations.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 2 and 8.
_HELD_OUT = 4
# Residuals on which the Jacobian is checked; a share of 0.5 of these many has a standard error of about 0.01.
_CHECKED_RESIDUALS = 2048
# Levenberg's damping, relative to the mean of the diagonal of J'J.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 5e-06 and 2e-05.
_DAMPING = 1e-5
# Factor of the samples per pixel from one estimate to the next.
# Measured (tests/benchmarks/constants.py): with 1 and 4, 9 % more and 5 % more evaluations.
_SPP_GROWTH = 2
# Most parameters for error bars, which take a dense inverse: 34 MB.
_MAX_DENSE = 2048
# Ratio of the residuals' mean square to the one before from which it no longer falls.
# Measured (tests/benchmarks/constants.py): with 0.45 and 1.8, 1 % fewer and 80 % more evaluations.
_NO_LONGER_FALLING = 0.9


@frozen(eq=False, kw_only=True)
class _State:
    """Jacobian, samples per pixel, and the residuals' last and first mean square."""

    sigma: float
    spp: int | None
    jacobian: csr_matrix | None = None
    note: str = ""
    factor: int = 1
    before: float | None = None
    first: float | None = None


@frozen(kw_only=True)
class SparseGaussNewton(Estimator):
    r"""`fun`, `jac` and products of a mean of squares with a sparse Jacobian.

    For textures and other problems with thousands of parameters that each change few residuals.

    The first estimate perturbs all parameters at once, `n_samples` times, by :math:`\pm` `sigma` with random signs and
    one seed. It identifies a sparse Jacobian J from the changes of the residuals by compressed sensing: the number of
    perturbations needed grows with the entries a row and the logarithm of n. Every later estimate is one evaluation,
    the residuals at x with a new seed and more samples per pixel; J is kept. The gradient is :math:`2 J^T r / m`,
    products are :math:`2 J^T J p / m`.

    Parameters
    ----------
    sigma : float, optional
        Size of the perturbations, in units of `x_scale`, > 0; by default the problem's `sigma`.
    n_samples : int, default 28
        Number of joint perturbations, at least 8; one evaluation each.
    neighbours : int, default 4
        Largest number of parameters that a residual depends on, at least 1.
    max_spp_factor : int, default 64
        Largest factor of the samples per pixel, >= 1; they double with every iteration up to it.
    seeds : SeedPolicy or str, default "per_pair"
        All perturbations share one seed, and every later estimate has a new one; "per_iteration" is the same. "fresh"
        is an error, because perturbations are compared with each other.

    Notes
    -----
    Residuals must be nearly linear over the perturbations, as images are in their textures. J is checked on held-out
    perturbations. If it predicts less than half of their changes, the message of the result says so.

    The run ends once the residuals no longer fall with the largest number of samples per pixel. The status is
    `Status.NOISE_FLOOR`; or `Status.UNSURE`, without error bars, if the residuals have not fallen since the start or J
    failed the check. With ``seeds="fixed"`` there is no noise: standard errors are 0, and the tolerances end the run.

    See Also
    --------
    GaussNewton : for few parameters.
    Autodiff : the renderer's own derivative, if it is complete.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESSP
    needs: ClassVar[Capability] = Capability.FUN | Capability.RESIDUALS
    unbiased: ClassVar[bool] = False

    sigma: float | None = field(default=None)
    n_samples: int = field(default=28, validator=integer(8))
    neighbours: int = field(default=4, validator=integer(1))
    max_spp_factor: int = field(default=64, validator=integer(1))

    def __attrs_post_init__(self) -> None:
        if self.sigma is not None:
            real(above=0)(self, self.__attrs_attrs__.sigma, self.sigma)
        compared = self.seeds is not SeedPolicy.FRESH
        require("seeds", compared, "per_pair, per_iteration or fixed: perturbations are compared", self.seeds.value)
        if self.neighbours > self.n_samples - _HELD_OUT - 1:
            raise ValueError(f"'neighbours' must be at most n_samples - {_HELD_OUT + 1}: {self.neighbours!r}")

    def init(self, problem: Problem) -> _State:
        """State before the first estimate."""
        return _State(sigma=problem.sigma if self.sigma is None else self.sigma, spp=problem.samples)

    def cost(self, n: int) -> int:
        """Evaluations of the first estimate; each later estimate is one evaluation."""
        return self.n_samples + 1

    def estimate(
        self, objective: Evaluator, x: Tensor, state: _State, rng: np.random.Generator
    ) -> tuple[Estimate, _State]:
        """Estimate at `x`."""
        spent = objective.nfev
        if state.jacobian is None:
            state, residual = self._identify(objective, x, state, rng)
        else:
            if state.spp is not None:
                state = evolve(state, factor=min(state.factor * _SPP_GROWTH, self.max_spp_factor))
            spp = None if state.spp is None else state.spp * state.factor
            seed = SeedSource(self.seeds, rng).draw(1)
            residual = objective.residuals(x[None], seed=seed, spp=spp)[0].double()
        estimate = evolve(self._describe(x, residual, state), nfev=objective.nfev - spent)
        highest = state.spp is None or state.factor >= self.max_spp_factor
        before = estimate.fun if highest else None
        return estimate, evolve(state, before=before, first=estimate.fun if state.first is None else state.first)

    def _identify(
        self, objective: Evaluator, x: Tensor, state: _State, rng: np.random.Generator
    ) -> tuple[_State, Tensor]:
        """Identify the Jacobian, and evaluate the residuals at `x`."""
        k, n = self.n_samples, objective.n
        objective.check_budget(k + 1)
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], (k, n)))
        sigma = min(state.sigma, objective.sigma_limit)
        points = objective.project(torch.cat([x[None], x + sigma * signs]))
        residuals = objective.residuals(points, seed=SeedSource(self.seeds, rng).compare(k + 1)).double().numpy()
        keep = np.isfinite(residuals).all(1)
        if not keep[0] or keep.sum() <= _HELD_OUT + self.neighbours + 1:
            raise NonFiniteError(
                "too few of the perturbed samples are finite, or the one at x is not; bound the parameters"
            )
        points, residuals = points[torch.from_numpy(keep)], residuals[keep]
        steps, changes = (points[1:] - points[:1]).numpy(), residuals[1:] - residuals[:1]
        # Evenly spaced residuals suffice for the check.
        some = changes[:, :: max(1, changes.shape[1] // _CHECKED_RESIDUALS)]
        trial = identify(steps[_HELD_OUT:], some[_HELD_OUT:], self.neighbours)
        share = explained(trial, steps[:_HELD_OUT], some[:_HELD_OUT])
        note = "" if share >= _LEAST_EXPLAINED else _NOT_LOCAL.format(100 * max(share, 0.0), self.neighbours)
        jacobian = identify(steps, changes, self.neighbours)
        return evolve(state, jacobian=jacobian, note=note), torch.from_numpy(residuals[0])

    def _describe(self, x: Tensor, residual: Tensor, state: _State) -> Estimate:
        jacobian, m, value = state.jacobian, residual.numel(), float(residual.square().mean())
        assert jacobian is not None
        damping = _DAMPING * float(jacobian.multiply(jacobian).sum()) / x.numel()

        def product(p: Tensor) -> Measurement:
            turned = jacobian.T @ (jacobian @ p.numpy()) + damping * p.numpy()
            return Measurement(torch.from_numpy(2 * turned / m), torch.zeros_like(p))

        contributions = jacobian.multiply(residual.numpy()[:, None])
        # Residuals are taken as independent noise, which they are at the answer.
        error = 2 * np.sqrt(np.asarray(contributions.power(2).sum(0)).ravel()) / m
        estimate = Estimate(
            x=x,
            fun=value,
            jac=torch.from_numpy(2 * np.asarray(contributions.sum(0)).ravel() / m),
            standard_error=torch.from_numpy(error if self._noisy else np.zeros_like(error)),
            product=product,
            nfev=0,
            note=state.note,
            # A Jacobian that fails its check does not indicate a minimum either.
            blind=bool(state.note) or not jacobian.count_nonzero(),
        )
        return self._judged(estimate, residual, state)

    @property
    def _noisy(self) -> bool:
        return self.seeds is not SeedPolicy.FIXED

    def _judged(self, estimate: Estimate, residual: Tensor, state: _State) -> Estimate:
        """End the run once the residuals no longer fall."""
        if state.before is None or estimate.fun <= _NO_LONGER_FALLING * state.before:
            return estimate
        # After a wrong step the residuals do not fall either.
        rose = state.first is not None and estimate.fun > _NO_LONGER_FALLING * state.first
        if rose or state.note:
            return evolve(estimate, note=state.note or _ROSE, status=Status.UNSURE)
        if not self._noisy:
            return estimate
        assert state.jacobian is not None
        return evolve(estimate, x_standard_error=_error_bars(state.jacobian, residual), status=Status.NOISE_FLOOR)


_ROSE = "the residuals did not fall: they are not linear over the steps"
_NOT_LOCAL = (
    "a Jacobian with few entries a row predicts only {:.0f} % of the changes under perturbations: more than {} "
    "parameters act on a residual, or they do not act linearly"
)


def _error_bars(jacobian: csr_matrix, residual: Tensor) -> Tensor | None:
    if jacobian.shape[1] > _MAX_DENSE:
        return None
    covariance = sparse_parameter_covariance(jacobian, residual)
    return None if covariance is None else covariance.diagonal().clamp(min=0).sqrt()
