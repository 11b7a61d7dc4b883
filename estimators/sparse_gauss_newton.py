"""Gauss-Newton for many parameters, each of which shows in few residuals."""

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

# Share of the changes that a sparse Jacobian must predict for perturbations it was not made from.
_LOCAL = 0.5
# Perturbations kept back to find out.
_HELD_BACK = 4
# Residuals on which that is checked.
_CHECKED = 2048
# Levenberg's damping, relative to the mean of the diagonal of J'J.
_DAMPING = 1e-5
_RAISE = 2
# Parameters up to which error bars are worth a dense inverse.
_MOST_ERROR_BARS = 2048
# The residuals no longer fall where their mean square is above this share of the one before.
_PAYS = 0.9


@frozen(eq=False, kw_only=True)
class _State:
    """The Jacobian, samples per pixel, and the residuals' mean square before and at first."""

    sigma: float
    spp: int | None
    jacobian: csr_matrix | None = None
    note: str = ""
    factor: int = 1
    before: float | None = None
    first: float | None = None


@frozen(kw_only=True)
class SparseGaussNewton(Estimator):
    r"""`fun`, `jac` and products of a mean of squares whose residuals depend on few parameters each.

    The first estimate perturbs all parameters at once, `n_samples` times, by :math:`\pm` `sigma` with random signs and
    one seed, and finds a sparse Jacobian J in the changes of the residuals: compressed sensing, for which the number of
    perturbations grows with the entries a row and only the logarithm of n. Every later estimate is one evaluation: the
    residuals at x with a new seed and more samples per pixel, J being kept. Gradient :math:`2 J^T r / m`, products
    :math:`2 J^T J p / m`.

    Parameters
    ----------
    sigma : float, optional
        Size of the perturbations, in units of `x_scale`, > 0; by default the problem's `sigma`.
    n_samples : int, default 28
        Joint perturbations, at least 8; one evaluation each.
    neighbours : int, default 4
        Parameters that a residual may depend on, at least 1.
    max_spp_factor : int, default 64
        Samples per pixel double with every iteration up to this factor, >= 1.
    seeds : SeedPolicy or str, default "per_pair"
        The perturbations share one, and every later estimate has another; "per_iteration" is the same. "fresh" is
        refused, for perturbations are compared.

    Notes
    -----
    Residuals must be all but linear over the perturbations, as pictures are in their textures. J is checked against
    perturbations that it was not made from; where it predicts less than half of what they change, locality does not
    hold, and the message of the result says so.

    The run ends once, at the most samples per pixel, the residuals no longer fall: with `Status.NOISE_FLOOR`, or, where
    they have not fallen since the start or locality does not hold, with `Status.UNSURE` and without error bars. With
    ``seeds="fixed"`` there is no noise: standard errors are 0, and the tolerances end the run.

    See Also
    --------
    GaussNewton : for few parameters.
    Autodiff : where the renderer's own derivative is right.
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
        if self.neighbours > self.n_samples - _HELD_BACK - 1:
            raise ValueError(f"'neighbours' must be at most n_samples - {_HELD_BACK + 1}: {self.neighbours!r}")

    def init(self, problem: Problem) -> _State:
        """State before the first estimate."""
        return _State(sigma=problem.sigma if self.sigma is None else self.sigma, spp=problem.samples)

    def cost(self, n: int) -> int:
        """Evaluations of the first estimate; each later one is a single evaluation."""
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
                state = evolve(state, factor=min(state.factor * _RAISE, self.max_spp_factor))
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
        """Find the Jacobian, and the residuals at `x`."""
        k, n = self.n_samples, objective.n
        objective.check_budget(k + 1)
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], (k, n)))
        sigma = min(state.sigma, objective.sigma_limit)
        points = objective.project(torch.cat([x[None], x + sigma * signs]))
        residuals = objective.residuals(points, seed=SeedSource(self.seeds, rng).compare(k + 1)).double().numpy()
        keep = np.isfinite(residuals).all(1)
        if not keep[0] or keep.sum() <= _HELD_BACK + self.neighbours + 1:
            raise NonFiniteError(
                "too few of the perturbed samples are finite, or that at x is not; bound the parameters"
            )
        points, residuals = points[torch.from_numpy(keep)], residuals[keep]
        steps, changes = (points[1:] - points[:1]).numpy(), residuals[1:] - residuals[:1]
        # Evenly spread residuals will tell.
        some = changes[:, :: max(1, changes.shape[1] // _CHECKED)]
        trial = identify(steps[_HELD_BACK:], some[_HELD_BACK:], self.neighbours)
        share = explained(trial, steps[:_HELD_BACK], some[:_HELD_BACK])
        note = "" if share >= _LOCAL else _NOT_LOCAL.format(100 * max(share, 0.0), self.neighbours)
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
        # Residuals as independent noise: what is left of them at the answer.
        error = 2 * np.sqrt(np.asarray(contributions.power(2).sum(0)).ravel()) / m
        estimate = Estimate(
            x=x,
            fun=value,
            jac=torch.from_numpy(2 * np.asarray(contributions.sum(0)).ravel() / m),
            standard_error=torch.from_numpy(error if self._noisy else np.zeros_like(error)),
            product=product,
            nfev=0,
            note=state.note,
            # A Jacobian that predicts less than half of what it should says nothing of a minimum either.
            blind=bool(state.note) or not jacobian.count_nonzero(),
        )
        return self._judged(estimate, residual, state)

    @property
    def _noisy(self) -> bool:
        return self.seeds is not SeedPolicy.FIXED

    def _judged(self, estimate: Estimate, residual: Tensor, state: _State) -> Estimate:
        """The end, with error bars where it deserves them, once the residuals no longer fall."""
        if state.before is None or estimate.fun <= _PAYS * state.before:
            return estimate
        # The residuals of a step that went wrong do not fall either.
        rose = state.first is not None and estimate.fun > _PAYS * state.first
        if rose or state.note:
            return evolve(estimate, note=state.note or _ROSE, status=Status.UNSURE)
        if not self._noisy:
            return estimate
        assert state.jacobian is not None
        return evolve(estimate, x_standard_error=_error_bars(state.jacobian, residual), status=Status.NOISE_FLOOR)


_ROSE = "the residuals did not fall: they are not linear over the steps"
_NOT_LOCAL = (
    "a Jacobian with few entries a row predicts only {:.0f} % of what perturbations change: more than {} parameters "
    "act on a residual, or not linearly"
)


def _error_bars(jacobian: csr_matrix, residual: Tensor) -> Tensor | None:
    if jacobian.shape[1] > _MOST_ERROR_BARS:
        return None
    covariance = sparse_parameter_covariance(jacobian, residual)
    return None if covariance is None else covariance.diagonal().clamp(min=0).sqrt()
