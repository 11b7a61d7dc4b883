"""CountingEvaluator: values and derivatives, counted within the budget."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array
from torch import Tensor

from invopt.core.answers.shading import Shading, unpack
from invopt.core.constraints import Limits
from invopt.core.evaluator import HESS_COST, JAC_COST, SHADING_COST, price_of
from invopt.core.machine.clock import Clock
from invopt.core.objective import ADJOINT, Adjoint, Capability, Objective
from invopt.core.outcome import Chunk
from invopt.core.quadratic.linear_rows import LinearRows
from invopt.core.residual_equation import Sides
from invopt.core.result import Status
from invopt.evaluate.budget import UNBOUNDED, Budget, StopRun
from invopt.evaluate.chunked import ChunkedEvaluator, Request
from invopt.evaluate.failures import finished, levelled
from invopt.evaluate.sought import Sought
from invopt.exceptions import EvaluationError, InvoptError, NonFiniteError

__all__ = ["CountingEvaluator"]

# Rows that are handed over at once if the objective sets no `chunk_size`: bounds the memory of one call, and how late a
# deadline is noticed.
_ROWS_OF_CHUNK = 256


class CountingEvaluator(ChunkedEvaluator):
    """Evaluates the objective, counts, and ends the run at its limits.

    Estimators and methods see the objective through it.

    Parameters
    ----------
    objective : Objective
        The open objective.
    provides : Capability
        What the objective can compute.
    x_scale : Tensor, shape (n,)
        Units of each parameter.
    bounds : tuple of Tensor, optional
        Lower and upper bounds, in the problem's own units. Points outside are projected, so that f is extended by its
        value on the boundary.
    budget : Budget, default Budget()
        Limits.
    samples : int, optional
        Samples per pixel of one evaluation: a render with more counts as several.
    sought : Sought, optional
        Which of the problem's parameters are optimised; by default all.
    clock : Clock, optional
        Clock of the run; by default a new one.
    """

    def __init__(
        self,
        objective: Objective,
        provides: Capability,
        x_scale: Tensor,
        bounds: tuple[Tensor, Tensor] | None = None,
        budget: Budget = UNBOUNDED,
        samples: int | None = None,
        sought: Sought | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(objective, x_scale, bounds, sought, budget=budget, clock=clock)
        self.provides = provides
        # Number of residuals; None until some were evaluated.
        self.width: int | None = None
        self.samples = samples

    @property
    def blind_spots(self) -> str:
        """What the objective's derivative is known to leave out, as a sentence.

        Empty if nothing.
        """
        return self.objective.blind_spots

    @property
    def image_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the pictures that the residuals consist of; empty if they are none."""
        return self.objective.image_shapes

    @property
    def target_noise(self) -> float:
        """Variance of the target's noise, as a multiple of that of one evaluation."""
        return self.objective.target_noise

    @property
    def noise_std(self) -> float | None:
        """Standard deviation of one residual at the truth; None if unknown."""
        return self.objective.noise_std

    @property
    def n_residuals(self) -> int | None:
        """Number of residuals that are compared; None for all."""
        return self.objective.n_residuals

    @property
    def prior(self) -> LinearRows | None:
        """Gaussian prior of the optimised parameters, in units of `x_scale`."""
        prior = self.objective.prior
        return None if prior is None else self.scaled_rows(prior)

    def levelled(self, values: Tensor) -> Tensor:
        """Values in which inf is replaced by the highest finite value of the run."""
        return levelled(values, self.counts)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None, keep_inf: bool = False) -> Tensor:
        """Values of shape (k,) at the rows of `x`; nan for a failed evaluation.

        Where the objective is inf, the value is the largest finite one of the run so far, from which a sampled slope
        leads away; with `keep_inf` it stays inf.
        """
        if self.objective.constraints is not None:
            return self._merits(self.constrained(x, seed=seed, spp=spp), keep_inf=keep_inf)
        return self._run("fun", x, seed, spp, keep_inf=keep_inf)

    @property
    def constraints(self) -> Limits | None:
        """Ranges of constraints; None if there are none."""
        found: Limits | None = self.objective.constraints
        return found

    def constrained(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values and constraints (f, c) at the rows of `x`, shape (k, 1 + p).

        Nan for a failed evaluation.
        """
        return self._run("constrained", x, seed, spp, keep_inf=True)

    def linear_constraints(self) -> LinearRows | None:
        """Linear constraints A x - b of the optimised parameters.

        -b is what the fixed ones contribute.
        """
        limits = self.constraints
        if limits is None or not len(limits.slopes):
            return None
        return self.scaled_rows(LinearRows(matrix=csr_matrix(limits.slopes), offsets=np.zeros(len(limits.slopes))))

    def _merits(self, rows: Tensor, *, keep_inf: bool) -> Tensor:
        """Values; inf where a constraint does not hold, unless a method samples slopes."""
        assert self.constraints is not None
        values = torch.from_numpy(self.constraints.merit(rows.double().numpy()))
        finite = values[torch.isfinite(values)]
        self.counts.highest = max([self.counts.highest, *finite.tolist()])
        return values if keep_inf else levelled(values, self.counts)

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of shape (k, m) at the rows of `x`, one evaluation a row.

        Nan for a failed evaluation.
        """
        found = self._run("residuals", x, seed, spp)
        self.width = found.shape[1]
        return found

    def values_and_jacs(
        self, x: Tensor, *, seed: NDArray[np.int64], adjoint: Adjoint = ADJOINT
    ) -> tuple[Tensor, Tensor]:
        """Values and the objective's own derivatives at one point, for each seed.

        Their shapes are (k,) and (k, n) for k seeds.
        """
        point = self.rows(self.project(x))
        affordable = int(min(len(seed), max(self.affordable_at(x[None]) - self.nfev, 0) / JAC_COST))
        chunks = [Chunk(point[None].clone(), seed[i : i + 1]) for i in range(affordable)]
        found = self._ask(Request("value_and_jac", chunks, None, JAC_COST, adjoint, [x[None]] * affordable))
        if affordable < len(seed):
            raise StopRun(Status.MAXFEV)
        rows = torch.cat(found)
        self._check_derivative(rows)
        self._note(x.expand(len(rows), -1), rows[:, 0])
        jacs = rows[:, 1:] if self._sought is None else rows[:, 1:][:, self._sought.free]
        return rows[:, 0], jacs * self.x_scale

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """The objective's own Hessian of shape (n, n) at one point."""
        self.check_budget(HESS_COST)
        point = self.rows(self.project(x))
        chunk = Chunk(point[None].clone(), np.array([seed]))
        (found,) = self._ask(Request("hess", [chunk], None, HESS_COST))
        self._check_derivative(found)
        hess = found.reshape(self._whole, self._whole)
        if self._sought is not None:
            hess = hess[self._sought.free][:, self._sought.free]
        return hess * torch.outer(self.x_scale, self.x_scale)

    def shading(self, x: Tensor, *, seed: int, spp: int | None = None) -> Shading:
        """Residuals at `x` of shape (n,) and their Jacobian, in units of `x_scale`."""
        price = SHADING_COST * price_of(spp, self.samples)
        if self.nfev + price > self.affordable_at(x[None]):
            raise StopRun(Status.MAXFEV)
        chunk = Chunk(self.rows(x[None]).clone(), np.array([seed]))
        (found,) = self._ask(Request("shading", [chunk], spp, price, points=[x[None]]))
        self._check_derivative(found)
        residuals, jacobian = unpack(found[0])
        if self._sought is not None:
            jacobian = jacobian[:, self._sought.free]
        return Shading(residuals, jacobian @ diags_array(self.x_scale.numpy(), format="csr"))

    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """Both sides of the equation at `x` of shape (n,), in the problem's own units.

        Counts as one evaluation.
        """
        self.check_budget(1)
        self.check_time()
        try:
            sides = self.objective.sides(self.unscale(x), seed=seed, step=step, differentiate_right=differentiate_right)
        except InvoptError:
            raise
        except Exception as error:
            raise EvaluationError(
                f"the objective raised {type(error).__name__}: {error}; after {self.nfev} evaluations"
            ) from error
        self.spend(1)
        return sides

    def _run(self, name: str, x: Tensor, seed: NDArray[np.int64], spp: int | None, *, keep_inf: bool = False) -> Tensor:
        """Values or residuals at the rows of `x`, in chunks."""
        k, price = x.shape[0], price_of(spp, self.samples)
        if self.nfev + k * price > self.affordable_at(x):
            raise StopRun(Status.MAXFEV)
        points, size = self.rows(x), self.objective.chunk_size or _ROWS_OF_CHUNK
        # Copies: sums over rows that begin anywhere in memory may differ in the last bits.
        chunks = [Chunk(points[i : i + size].clone(), seed[i : i + size]) for i in range(0, k, size)]
        parts = self._ask(Request(name, chunks, spp, price, points=[x[i : i + size] for i in range(0, k, size)]))
        values = parts[0] if len(parts) == 1 else torch.cat(parts)
        self._note(x, values)
        return finished(values, self.counts, self.budget.max_nonfinite, keep_inf=keep_inf)

    def _check_derivative(self, rows: Tensor) -> None:
        """Count rows that are not finite, and raise if there are any.

        No other value can replace a derivative.
        """
        lost = int((~torch.isfinite(rows).all(1)).sum())
        if lost == 0:
            return
        self.counts.n_nonfinite += lost
        self.counts.n_failed += lost
        raise NonFiniteError(
            f"the derivative is not finite; bound the parameters or repair the objective{self.counts.last_said}"
        )
