"""ScaledEvaluator: points in units of `x_scale`, inside the bounds."""

from __future__ import annotations

import math

import numpy as np
import torch
from attrs import evolve
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array
from torch import Tensor

from invopt.core.evaluator import Evaluator
from invopt.core.quadratic.linear_rows import LinearRows
from invopt.evaluate.sought import Sought

__all__ = ["ScaledEvaluator"]


class ScaledEvaluator(Evaluator):
    """Evaluator that knows scales, bounds and fixed parameters.

    How it evaluates is left to subclasses.

    Parameters
    ----------
    x_scale : Tensor, shape (n,)
        Units of each parameter.
    bounds : tuple of Tensor, optional
        Lower and upper bounds, in the problem's own units. Points outside are projected, so that f is extended by its
        value on the boundary.
    sought : Sought, optional
        Which of the problem's parameters are optimised; by default all.
    """

    def __init__(
        self, x_scale: Tensor, bounds: tuple[Tensor, Tensor] | None = None, sought: Sought | None = None
    ) -> None:
        self.periods = torch.full(x_scale.shape, math.inf, dtype=torch.float64)
        self.n = x_scale.numel()
        self.x_scale = x_scale
        self._unit = bool((x_scale == 1).all())
        self._bounds = bounds
        self._scaled = None if bounds is None else (bounds[0] / x_scale, bounds[1] / x_scale)
        # Which parameters are optimised, and how many there are in all.
        self._sought = None if sought is None or sought.all else sought
        self._whole = self.n if sought is None else sought.free.size

    @property
    def indices(self) -> NDArray[np.int64]:
        """Index in the problem's x of each optimised parameter, shape (n,)."""
        return np.arange(self.n) if self._sought is None else np.flatnonzero(self._sought.free)

    def project(self, x: Tensor) -> Tensor:
        """Nearest point inside the bounds."""
        return x if self._scaled is None else torch.clamp(x, *self._scaled)

    @property
    def sigma_limit(self) -> float:
        """Largest sigma that the bounds leave room for.

        It is half the smallest box width; inf without bounds.
        """
        if self._scaled is None or self.n == 0:
            return math.inf
        return float((self._scaled[1] - self._scaled[0]).min()) / 2

    def extent(self, x: Tensor) -> Tensor:
        """Box widths, shape (n,); inf where there is no bound."""
        return torch.full_like(x, math.inf) if self._scaled is None else self._scaled[1] - self._scaled[0]

    def inside(self, x: Tensor, margin: Tensor) -> Tensor:
        """Nearest point that is `margin` away from the bounds in every parameter.

        The box must be that wide.
        """
        return x if self._scaled is None else torch.clamp(x, self._scaled[0] + margin, self._scaled[1] - margin)

    def projected_gradient(self, x: Tensor, jac: Tensor) -> Tensor:
        """Gradient in which components that only push against an active bound are 0."""
        return jac if self._scaled is None else torch.where(self.free(x, jac), jac, 0.0)

    def free(self, x: Tensor, jac: Tensor) -> Tensor:
        """Which parameters are not pushed against an active bound, shape (n,)."""
        if self._scaled is None:
            return torch.ones_like(x, dtype=torch.bool)
        lower, upper = self._scaled
        return ~(((x <= lower) & (jac > 0)) | ((x >= upper) & (jac < 0)))

    def unscale(self, x: Tensor) -> Tensor:
        """Nearest point inside the bounds, in the problem's own units."""
        points = x if self._unit else x * self.x_scale
        # After the change of units: its rounding could put a point outside the bounds by the last bit.
        points = points if self._bounds is None else torch.clamp(points, *self._bounds)
        return points if self._sought is None else self._sought.points(points)

    def whole_errors(self, x: Tensor, errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard errors of all parameters at `x`, in the problem's own units.

        From those of the optimised ones, in units of `x_scale`; 0 for those that bounds fix.
        """
        own = errors if self._unit else errors * self.x_scale.numpy()
        return own if self._sought is None else self._sought.whole(own)

    def rows(self, x: Tensor) -> Tensor:
        """Rows that are handed to the objective for the points `x`."""
        return self.unscale(x)

    def scaled_rows(self, rows: LinearRows) -> LinearRows:
        """Convert linear functions of the problem's x to these parameters and units."""
        sought = self._sought
        held = np.zeros(self._whole) if sought is None else np.where(sought.free, 0.0, sought.held)
        offsets = rows.offsets - (rows.matrix @ held)
        matrix = csr_matrix(rows.matrix[:, self.indices] @ diags_array(self.x_scale.double().numpy()))
        return evolve(rows, matrix=matrix, offsets=offsets)

    def scale_gradient(self, jac: Tensor) -> Tensor:
        """Convert a gradient from the problem's own units to units of `x_scale`."""
        return jac if self._unit else jac * self.x_scale
