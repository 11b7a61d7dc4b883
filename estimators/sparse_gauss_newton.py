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
    check_grids,
    integer,
    real,
    require,
)

from .least_squares.averaged_residuals import Average, Observed, with_observed
from .least_squares.joint_perturbations import HELD_OUT, Identified, JointPerturbations
from .least_squares.prior_rows import jacobian_with_prior, residuals_with_prior, without_prior
from .least_squares.sparse_state import LEAST_EXPLAINED, SparseState, probe

__all__ = ["SparseGaussNewton"]

# Levenberg's damping, relative to the mean of the diagonal of J'J.
# Measured (tests/benchmarks/constants.py): no influence with 5e-06 and 2e-05.
_DAMPING = 1e-5
# Samples per pixel of an estimate as a share of those of all before.
# Measured (tests/benchmarks/constants.py): with 0.125 and 0.5, 4 % fewer and 6 % more evaluations to 1 %. TEXTURE takes
# 38 to 0.1 %, with 0.5 and 1 it takes 47 and 72.
_SHARE_OF_SAMPLES = 0.25
# Evaluations that are averaged where there are no samples per pixel to raise.
_REPEATS = 4
# Ratio of the residuals' mean square to the one before from which it no longer falls.
# Measured (tests/benchmarks/constants.py): no influence with 0.45 and 1.8.
_NO_LONGER_FALLING = 0.9
# Factor of sigma where the Jacobian is identified again, because it does not hold over the steps.
_SMALLER_SIGMA = 0.25
# Identifications in a row after which the residuals have not fallen.
_MOST_IDENTIFICATIONS = 3


@frozen(kw_only=True)
class SparseGaussNewton(Estimator):
    r"""`fun`, `jac` and products of a mean of squares with a sparse Jacobian.

    For textures and other problems with thousands of parameters that each change few residuals.

    The first estimate identifies a sparse Jacobian J from perturbations of all parameters at once under one seed. If
    the parameters are in grids (`Problem.grids`), as texels are, three perturbations suffice: a constant, a ramp across
    and a ramp down (four where a grid is periodic). They tell which place of a grid each residual depends on. The
    second estimate evaluates x under the same seed and compares the residuals with the prediction. If more than 2 % of
    their change is not predicted, perturbations with random signs follow, four at a time, until they are predicted to
    5 %; all evaluations so far determine J. Without grids, or if that fails after `n_samples` perturbations, J has few
    entries a row, by compressed sensing.

    Where all parameters only shade, and the objective has their Jacobian (`Capability.SHADING`), nothing is perturbed:
    the first estimate takes residuals with their Jacobian, which counts as two evaluations.

    Every later estimate is one evaluation under a new seed, and J is kept. The gradient is :math:`2 J^T r / m`,
    products are :math:`2 J^T J p / m`, where r is the mean of the residuals of all estimates, carried to x by J.

    Parameters
    ----------
    sigma : float, optional
        Size of the perturbations, in units of `x_scale`, > 0; by default the problem's `sigma`.
    n_samples : int, default 28
        Number of joint perturbations, if ramps do not suffice, at least 8; one evaluation each.
    neighbours : int, default 4
        Largest number of parameters that a residual depends on, if ramps do not suffice, at least 1.
    max_spp_factor : int, default 64
        The run ends once the mean residuals have this many times the problem's samples per pixel, >= 1. An evaluation
        has a quarter of those of all before.
    seeds : SeedPolicy or str, default "per_pair"
        All perturbations and the second estimate share one seed, and every later estimate has a new one;
        "per_iteration" is the same. "fresh" is an error, because perturbations are compared with each other.

    Notes
    -----
    Residuals must be nearly linear over the perturbations, as images are in their textures. J is checked on held-out
    perturbations. If it predicts less than half of their changes, the message of the result says so. If the residuals
    no longer fall before they are at the noise, J is identified again, with smaller perturbations.

    Before the run ends, three evaluations show that there is noise, and that J holds in the directions in which it
    determines the parameters least. The status is then `Status.NOISE_FLOOR`; or `Status.UNSURE`, without error bars, if
    the residuals have not fallen since the start or J failed a check. Where there is no noise, and with
    ``seeds="fixed"``, the tolerances end the run. Error bars come from the differences between evaluations; they are
    infinite for parameters that no residual depends on.

    See Also
    --------
    Kriging : for few parameters.
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
        if self.neighbours > self.n_samples - HELD_OUT - 1:
            raise ValueError(f"'neighbours' must be at most n_samples - {HELD_OUT + 1}: {self.neighbours!r}")

    def init(self, problem: Problem) -> SparseState:
        """State before the first estimate."""
        check_grids(problem.grids, problem.n)
        sigma = problem.sigma if self.sigma is None else self.sigma
        shades = Capability.SHADING in problem.provides and bool(problem.shades.all())
        return SparseState(sigma=sigma, spp=problem.samples, grids=tuple(problem.grids), shades=shades)

    def cost(self, n: int) -> int:
        """Evaluations of the first estimate without grids; later ones take one each."""
        return self.n_samples + 1

    def estimate(
        self, objective: Evaluator, x: Tensor, state: SparseState, rng: np.random.Generator
    ) -> tuple[Estimate, SparseState]:
        """Estimate at `x`."""
        spent = objective.nfev
        if state.jacobian is None:
            state = self._identified(objective, x, state, rng)
        elif state.untested is not None:
            state = self._tested(objective, x, state, rng)
        else:
            state = self._evaluated(objective, x, state, rng)
        estimate, state = self._judged(objective, x, state, rng)
        return evolve(estimate, nfev=objective.nfev - spent), state

    @property
    def _perturbations(self) -> JointPerturbations:
        return JointPerturbations(n_samples=self.n_samples, neighbours=self.neighbours, seeds=self.seeds)

    def _identified(self, objective: Evaluator, x: Tensor, state: SparseState, rng: np.random.Generator) -> SparseState:
        """Identify the Jacobian around `x`."""
        if state.shades:
            return self._passed(objective, x, state, rng)
        sigma = min(state.sigma, objective.sigma_limit)
        found = self._perturbations.identify(objective, x, sigma, state.grids, rng)
        first = residuals_with_prior(objective, found.points[0], found.residuals[0])
        base = Observed(x=found.points[0], residual=first, seed=found.seed, factor=1)
        state = evolve(state, untested=found, observed=(base,), identifications=state.identifications + 1)
        return self._with(objective, state, found)

    def _tested(self, objective: Evaluator, x: Tensor, state: SparseState, rng: np.random.Generator) -> SparseState:
        """Evaluate `x` under the seed of the perturbations: a test of the Jacobian."""
        assert state.untested is not None
        new = self._observed(objective, x, state, state.untested.seed, 1)
        data = without_prior(objective, new.residual)
        found = self._perturbations.tested(objective, x, state.untested, data, state.grids, rng)
        return self._with(objective, evolve(state, untested=None, observed=(new,)), found)

    def _with(self, objective: Evaluator, state: SparseState, found: Identified) -> SparseState:
        """State with a Jacobian, and a note if it predicts too little."""
        share = 1 - found.error**2
        note = "" if share >= LEAST_EXPLAINED else _NOT_LOCAL.format(100 * max(share, 0.0), self.neighbours)
        return evolve(state, jacobian=jacobian_with_prior(objective, found.jacobian), error=found.error, note=note)

    def _evaluated(self, objective: Evaluator, x: Tensor, state: SparseState, rng: np.random.Generator) -> SparseState:
        """Evaluate `x` under another seed."""
        share = int(_SHARE_OF_SAMPLES * state.samples)
        factor = 1 if state.spp is None else min(max(share, 1), self.max_spp_factor)
        seed = int(SeedSource(self.seeds, rng).draw(1)[0])
        new = self._observed(objective, x, state, seed, factor)
        return evolve(state, observed=with_observed(state.observed, new))

    def _passed(self, objective: Evaluator, x: Tensor, state: SparseState, rng: np.random.Generator) -> SparseState:
        """Ask the objective for residuals with their Jacobian."""
        seed = int(SeedSource(self.seeds, rng).draw(1)[0])
        residual, jacobian = objective.shading(x, seed=seed)
        new = Observed(x=x.numpy(), residual=residual, seed=seed, factor=1)
        return evolve(state, jacobian=jacobian, observed=(new,), identifications=state.identifications + 1)

    def _observed(self, objective: Evaluator, x: Tensor, state: SparseState, seed: int, factor: int) -> Observed:
        spp = None if state.spp is None or factor == 1 else state.spp * factor
        residual = objective.residuals(x[None], seed=np.array([seed]), spp=spp)[0].double().numpy()
        if not np.isfinite(residual).all():
            raise NonFiniteError("the residuals are not finite at a point of the run; bound the parameters")
        return Observed(x=x.numpy(), residual=residual, seed=seed, factor=factor)

    def _judged(
        self, objective: Evaluator, x: Tensor, state: SparseState, rng: np.random.Generator
    ) -> tuple[Estimate, SparseState]:
        """Estimate of a state, and the next; the run ends at the noise.

        Where the Jacobian does not hold, it is identified again.
        """
        mean = state.average_at(x)
        last = state.observed[-1]
        # At the base of perturbations, which bounds may have moved from x, residuals are predicted.
        value = float(np.square(last.residual if np.array_equal(last.x, x.numpy()) else mean.residual).mean())
        falls = state.before is None or value <= _NO_LONGER_FALLING * state.before
        # Neither lower, nor more precise.
        stalls = not falls and mean.samples <= state.samples
        first = value if state.first is None else state.first
        known = evolve(state, before=value, samples=mean.samples, first=first)
        if falls:
            known = evolve(known, identifications=1)
        estimate = self._describe(x, value, mean, known)
        if not self._noisy or state.untested is not None:
            return estimate, known
        if mean.samples >= (_REPEATS if state.spp is None else self.max_spp_factor):
            return self._ended(objective, x, known, estimate, rng)
        if not stalls:
            return estimate, known
        if state.identifications >= _MOST_IDENTIFICATIONS:
            return evolve(estimate, note=state.note or _ROSE, status=Status.UNSURE), known
        return self._renewed(objective, x, evolve(known, sigma=_SMALLER_SIGMA * state.sigma), value, rng)

    def _renewed(
        self, objective: Evaluator, x: Tensor, state: SparseState, value: float, rng: np.random.Generator
    ) -> tuple[Estimate, SparseState]:
        """Identify the Jacobian again."""
        state = evolve(self._identified(objective, x, state, rng), samples=0.0)
        return self._describe(x, value, state.average_at(x), state), state

    def _ended(
        self, objective: Evaluator, x: Tensor, state: SparseState, estimate: Estimate, rng: np.random.Generator
    ) -> tuple[Estimate, SparseState]:
        """End the run, if what differs between evaluations is noise."""
        assert state.jacobian is not None
        sigma = min(state.sigma, objective.sigma_limit)
        found = probe(objective, x, state.jacobian, sigma, SeedSource(self.seeds, rng).draw(2), rng)
        if not found.noisy:
            state = evolve(state, noisy=False)
            return self._describe(x, estimate.fun, state.average_at(x), state), state
        # After a wrong step the residuals do not fall either.
        rose = state.first is not None and estimate.fun > _NO_LONGER_FALLING * state.first
        note = state.note or (_ROSE if rose else "") or ("" if found.holds else _INEXACT)
        if note == _INEXACT and not state.renewed:
            return self._renewed(objective, x, evolve(state, renewed=True), estimate.fun, rng)
        if note:
            return evolve(estimate, note=note, status=Status.UNSURE), state
        return evolve(estimate, x_standard_error=state.errors_at(x, objective), status=Status.NOISE_FLOOR), state

    def _describe(self, x: Tensor, value: float, mean: Average, state: SparseState) -> Estimate:
        jacobian, residual, m = state.jacobian, mean.residual, mean.residual.size
        assert jacobian is not None
        damping = _DAMPING * float(jacobian.multiply(jacobian).sum()) / x.numel()

        def product(p: Tensor) -> Measurement:
            turned = jacobian.T @ (jacobian @ p.numpy()) + damping * p.numpy()
            return Measurement(torch.from_numpy(2 * turned / m), torch.zeros_like(p))

        unchecked = state.untested is not None and state.untested.height > 0
        contributions = csr_matrix(jacobian.multiply(residual[:, None]))
        # Residuals are taken as independent noise, which they are at the answer.
        error = 2 * np.sqrt(np.asarray(contributions.power(2).sum(0)).ravel()) / m
        return Estimate(
            x=x,
            fun=value,
            jac=torch.from_numpy(2 * np.asarray(contributions.sum(0)).ravel() / m),
            standard_error=torch.from_numpy(error if self._noisy else np.zeros_like(error)),
            product=product,
            nfev=0,
            note=state.note,
            # A Jacobian that fails its check, or is not checked yet, does not indicate a minimum either.
            blind=bool(state.note) or unchecked or not jacobian.count_nonzero(),
        )

    @property
    def _noisy(self) -> bool:
        return self.seeds is not SeedPolicy.FIXED


_ROSE = "the residuals did not fall: they are not linear over the steps"
_INEXACT = "the Jacobian is too inexact to tell how precise the parameters are"
_NOT_LOCAL = (
    "a Jacobian with few entries a row predicts only {:.0f} % of the changes under perturbations: more than {} "
    "parameters act on a residual, or they do not act linearly"
)
