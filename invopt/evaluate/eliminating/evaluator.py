"""Evaluator of the parameters that move, with those that shade eliminated."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.answers.shading import unpack
from invopt.core.evaluator import SHADING_COST, price_of
from invopt.core.machine.clock import Clock
from invopt.core.objective import Capability, Objective
from invopt.core.outcome import Chunk
from invopt.core.parameters.grid import Grid
from invopt.core.result import Status
from invopt.evaluate.budget import UNBOUNDED, Budget, StopRun
from invopt.evaluate.chunked import Request
from invopt.evaluate.eliminating.identifiability import Identifiability, identifiability_of
from invopt.evaluate.eliminating.least_squares import Normal
from invopt.evaluate.eliminating.passes import Passes
from invopt.evaluate.eliminating.prior import prior_of
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.evaluate.failures import finished
from invopt.evaluate.sought import Sought

__all__ = ["EliminatingEvaluator"]


# Difference, in units of `x_scale`, from which the effect of what moves is measured: about half a pixel.
_STEP = 0.1


class EliminatingEvaluator(CountingEvaluator):
    r"""Evaluates what moves, once what shades is solved for.

    Residuals are nearly linear in the parameters that shade. At each point p of the others, they are eliminated by
    least squares: :math:`r(p) = \min_s |r(p, s)|` is a function of p alone (variable projection [1]_). A prior keeps
    the shading close to its start, see `eliminate`.

    An evaluation takes residuals with their Jacobian and counts as `SHADING_COST`, until `settled` is set: evaluations
    are then ordinary ones at p and the shading found near p.

    Parameters
    ----------
    objective, provides, budget, samples, clock
        As of `CountingEvaluator`.
    x_scale, bounds : Tensor, shape (n,)
        Units and bounds of all parameters of the problem.
    sought : Sought
        The parameters that move; `held` is the start.
    shaded : ndarray of bool, shape (n,)
        Those that are eliminated.
    grids : sequence of Grid, default ()
        The problem's grids.
    names : sequence of str, default ()
        Names of the parameters that move.

    References
    ----------
    .. [1] Golub, Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
       separate", SIAM J. Numer. Anal. 10(2), 1973.
    """

    def __init__(
        self,
        objective: Objective,
        provides: Capability,
        x_scale: Tensor,
        bounds: tuple[Tensor, Tensor] | None = None,
        budget: Budget = UNBOUNDED,
        samples: int | None = None,
        *,
        sought: Sought,
        shaded: NDArray[np.bool_],
        grids: Sequence[Grid] = (),
        names: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        moves = torch.from_numpy(sought.free)
        limits = None if bounds is None else (bounds[0][moves], bounds[1][moves])
        super().__init__(objective, provides, x_scale[moves], limits, budget, samples, sought, clock)
        self.settled = False
        self.identifiability: Identifiability | None = None
        self._names = tuple(names) or tuple(f"x{i}" for i in np.flatnonzero(sought.free))
        self._first: NDArray[np.float64] | None = None
        self._numbers = np.flatnonzero(shaded)
        self._units = x_scale.numpy()[shaded]
        infinite = np.full(self._units.size, np.inf)
        sides = (-infinite, infinite) if bounds is None else tuple(side.numpy()[shaded] for side in bounds)
        self._sides = sides
        start = sought.held[shaded] / self._units
        prior = prior_of(start, sides[0] / self._units, sides[1] / self._units, grids, self._numbers)
        self.passes = Passes(prior)

    def unscale(self, x: Tensor) -> Tensor:
        """Point of all parameters, in their own units, with the shading near it."""
        points = super().unscale(x)
        rows = points.reshape(-1, points.shape[-1])
        for row, own in zip(rows, x.reshape(-1, self.n), strict=True):
            row[self._numbers] = self._in_bounds(self.passes.solution(own.numpy()))
        return points

    def whole_errors(self, x: Tensor, errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard errors of all; of the shading, from the scatter between seeds."""
        found = super().whole_errors(x, errors).copy()
        found[self._numbers] = self.passes.errors(x.numpy()) * self._units
        return found

    def examine(self, x: Tensor, seeds: Callable[[], NDArray[np.int64]]) -> None:
        """Measure once how identifiable parameters are; warn if some hardly are."""
        if self.identifiability is not None or self.affordable - self.nfev < 2 * (self.n + 1):
            return
        steps = _STEP * torch.eye(self.n, dtype=torch.float64)
        steps = torch.where((self.project(x + steps) != x + steps).any(1)[:, None], -steps, steps)
        rows = torch.cat([x[None], self.project(x + steps)])
        shading, slopes = self._in_bounds(self.passes.solution(x.numpy())), []
        for seed in seeds().tolist():
            points = super().unscale(rows)
            points[:, self._numbers] = shading
            chunks = [Chunk(point[None].clone(), np.array([seed])) for point in points]
            found = torch.cat(self._ask(Request("residuals", chunks, None, 1))).double().numpy()
            slopes.append(((found[1:] - found[0]) / (rows[1:] - rows[0]).diagonal().numpy()[:, None]).T)
        jacobian, right = self.passes.averaged(x.numpy())
        normal = Normal(jacobian, right, self.passes.prior)
        level = normal.left(self.passes.solution(x.numpy()))
        self.identifiability = identifiability_of(self._names, (slopes[0], slopes[1]), jacobian, normal, level)
        if self.identifiability is not None and self.identifiability.warning:
            warnings.warn(self.identifiability.warning, stacklevel=2)

    @property
    def first_residuals(self) -> NDArray[np.float64] | None:
        """Residuals of the start, before anything was solved for."""
        return self._first

    def settle(self) -> None:
        """Evaluate the answer: what shades is no longer solved for."""
        self.settled = True

    def _in_bounds(self, shading: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.clip(shading * self._units, *self._sides))

    def _run(self, name: str, x: Tensor, seed: NDArray[np.int64], spp: int | None, *, keep_inf: bool = False) -> Tensor:
        """Values or residuals over the parameters that move."""
        if self.settled:
            return super()._run(name, x, seed, spp, keep_inf=keep_inf)
        reduced = torch.stack([self._passed(row, int(s), spp) for row, s in zip(x, seed, strict=True)])
        values = reduced if name == "residuals" else reduced.square().mean(1)
        self._note(x, values)
        return finished(values, self.counts, self.budget.max_nonfinite, keep_inf=keep_inf)

    def _passed(self, x: Tensor, seed: int, spp: int | None) -> Tensor:
        """Residuals at `x` of shape (k,) that no shading explains, shape (m,)."""
        price = SHADING_COST * price_of(spp, self.samples)
        if self.nfev + price > self.affordable_at(x[None]):
            raise StopRun(Status.MAXFEV)
        point = super().unscale(x[None])
        point[0, self._numbers] = self._in_bounds(self.passes.shading)
        (found,) = self._ask(Request("shading", [Chunk(point, np.array([seed]))], spp, price))
        self._check_derivative(found)
        residuals, jacobian = unpack(found[0])
        if self._first is None:
            self._first = residuals
        own = jacobian.tocsc()[:, self._numbers].multiply(self._units[None]).tocsr()
        return torch.from_numpy(self.passes.add(self.project(x).numpy().copy(), seed, residuals, own))
