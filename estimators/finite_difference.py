"""FiniteDifference: gradient and Hessian by central differences."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen, validators
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import Estimate, Estimator, Evaluator, Measurement, Order, Problem, SeedSource, real, shown

__all__ = ["FiniteDifference"]

_EPS = float(np.finfo(np.float64).eps)


@frozen(kw_only=True)
class FiniteDifference(Estimator):
    r"""Gradient and Hessian by central differences.

    For smooth functions with few parameters and little noise.

    .. math::
        \partial_i f \approx \frac{f(x + h e_i) - f(x - h e_i)}{2 h}, \qquad
        \partial_{ij} f \approx \frac{f_{++} - f_{+-} - f_{-+} + f_{--}}{4 H^2},

    and on the diagonal :math:`(\bar f(H) - \bar f(h))\, 2 / (H^2 - h^2)` with :math:`\bar f(h)` the mean of the
    values at :math:`x \pm h e_i`, which are known from the gradient.

    `jac` costs ``2 n`` evaluations; `hess` costs ``2 n**2`` more, spent when it is first used. Near a bound the points
    are shifted inside by up to h (H), and the derivatives are those at the shifted point; `hess` then costs another
    ``2 n``.

    Parameters
    ----------
    rel_step : float, optional
        :math:`h / \max(1, |x_i|)`, in (0, 1), x in units of `x_scale`; by default the cube root of machine precision
        [1]_, and for :math:`H` its fourth root.
    abs_step : float, optional
        :math:`h` itself, in (0, inf), in units of `x_scale`, for noisy functions or functions with steps; then
        :math:`H = 2 h`.

    Notes
    -----
    Deterministic: standard errors are 0, even if the function is noisy. `fun` is the mean over the points of the
    gradient, which differs from f(x) by order h^2.

    References
    ----------
    .. [1] Nocedal, Wright, "Numerical Optimization", 2nd ed., 2006, sec. 8.1.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP

    rel_step: float | None = field(default=None, validator=validators.optional(real(above=0, below=1)))
    abs_step: float | None = field(default=None, validator=validators.optional(real(above=0)))

    def __attrs_post_init__(self) -> None:
        if self.rel_step is not None and self.abs_step is not None:
            raise ValueError(f"give 'rel_step' or 'abs_step', not both: {shown(self.rel_step)}, {shown(self.abs_step)}")

    def init(self, problem: Problem) -> None:
        """There is no state."""
        return

    def cost(self, n: int) -> int:
        """Evaluations of one gradient."""
        return 2 * n

    def hess_cost(self, n: int) -> int:
        """Evaluations of one Hessian, beyond its gradient's."""
        return 2 * n**2

    def estimate(self, objective: Evaluator, x: Tensor, state: None, rng: np.random.Generator) -> tuple[Estimate, None]:
        """Estimate at `x`."""
        n = x.numel()
        h, _ = self._steps(x, objective.extent(x))
        centre = objective.inside(x, h)
        # By default one seed a parameter, used again for the diagonal of the Hessian, so that noise cancels in both.
        seeds = SeedSource(self.seeds, rng)
        near_seed, far_seed = np.split(seeds.draw(n, 4), 2)
        near = _axis_values(objective, centre, h, near_seed)
        # Where it is inf on both sides, the difference of what stands for inf is no derivative.
        blind = bool(torch.isinf(near).all(0).any())
        near = objective.levelled(near)
        jac = (near[0] - near[1]) / (2 * h)
        estimate = Estimate(
            x=x,
            fun=float(near.mean()),
            jac=jac,
            standard_error=torch.zeros_like(jac),
            hessian=lambda: self._hessian(objective, x, (centre, near, near_seed), far_seed, seeds),
            nfev=2 * n,
            blind=blind,
        )
        return estimate, None

    def _steps(self, x: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
        """Steps h and H, shape (n,), that fit into a box of this extent."""
        size = torch.clamp(x.abs(), min=1.0)
        rel = _EPS ** (1 / 3) if self.rel_step is None else self.rel_step
        h, H = rel * size, rel**0.75 * size
        if self.abs_step is not None:
            h = torch.full_like(x, self.abs_step)
            H = 2 * h
        if bool((x + h == x).any()):
            name = "rel_step" if self.abs_step is None else "abs_step"
            raise ValueError(f"'{name}' must be large enough to change x = {x.tolist()}: {shown(getattr(self, name))}")
        return torch.minimum(h, extent / 8), torch.minimum(H, extent / 4)

    def _hessian(
        self,
        objective: Evaluator,
        x: Tensor,
        gradient: tuple[Tensor, Tensor, NDArray[np.int64]],
        far_seed: NDArray[np.int64],
        seeds: SeedSource,
    ) -> Measurement:
        n = x.numel()
        h, H = self._steps(x, objective.extent(x))
        centre, near, near_seed = gradient
        x = objective.inside(x, H)
        if not torch.equal(x, centre):
            near = objective.levelled(_axis_values(objective, x, h, near_seed))
        far = objective.levelled(_axis_values(objective, x, H, far_seed))
        hess = torch.diag(2 * (far.mean(0) - near.mean(0)) / (H.square() - h.square()))
        rows, columns = (torch.from_numpy(index) for index in np.triu_indices(n, 1))
        if rows.numel():
            first, second = torch.diag(H)[rows], torch.diag(H)[columns]
            corners = torch.cat((x + first + second, x + first - second, x - first + second, x - first - second))
            corner = _values(objective, corners, seeds.draw(rows.numel(), 4))
            pp, pm, mp, mm = objective.levelled(corner).view(4, -1)
            cross = (pp - pm - mp + mm) / (4 * H[rows] * H[columns])
            hess[rows, columns] = cross
            hess[columns, rows] = cross
        return Measurement(hess, torch.zeros_like(hess))


def _axis_values(objective: Evaluator, x: Tensor, h: Tensor, seed: NDArray[np.int64]) -> Tensor:
    """Values at ``x + h_i e_i`` and at ``x - h_i e_i``, shape (2, n)."""
    steps = torch.diag(h)
    return _values(objective, torch.cat((x + steps, x - steps)), seed).view(2, -1)


def _values(objective: Evaluator, points: Tensor, seed: NDArray[np.int64]) -> Tensor:
    """Evaluate points of which none may fail: a difference needs all of them."""
    values = objective.fun(points, seed=seed, keep_inf=True)
    if bool(torch.isnan(values).any()):
        raise NonFiniteError(
            "a finite difference needs all its values, and some evaluations failed; bound the parameters"
        )
    return values
