"""Curvature pairs that exceed their noise, and the base of quasi-Newton methods."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from invopt.plugin import Estimate, Optimizer, Oracle, Status

from ..line_search import EstimatedLine, LineSearch
from .steps import gradient, unit

__all__ = ["Pair", "QuasiNewton", "Visit", "are_of", "curvature_pair", "visit"]

# Share of |s||y| below which s'y is taken for rounding: 500,000 times machine precision.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 1e-12 and 1e-08.
_LEAST_CURVATURE = 1e-10


class Visit(NamedTuple):
    """Visited point, its gradient and the variance of that gradient."""

    x: Tensor
    jac: Tensor
    variance: Tensor | None


class Pair(NamedTuple):
    """Step s, change of gradient y, s'y, and whether s'y exceeds noise and rounding."""

    s: Tensor
    y: Tensor
    sy: float
    significant: bool


def visit(x: Tensor, estimate: Estimate) -> Visit:
    """Make a visit of an estimate.

    A standard error that is 0 or unknown (inf) counts as none.
    """
    error = estimate.standard_error
    if error is None or not bool(error.any()):
        return Visit(x, gradient(estimate), None)
    return Visit(x, gradient(estimate), torch.where(torch.isfinite(error), error, 0.0).square())


def are_of(state: Any, x0: Tensor) -> bool:
    """Whether visits are complete, and a state fits `x0`.

    All tensors of the state must have the size and type of `x0`.
    """
    if isinstance(state, Tensor):
        return state.dtype == x0.dtype and 1 <= state.ndim <= 2 and set(state.shape) == set(x0.shape)
    if isinstance(state, Visit) and any(part is None for part in (state.x, state.jac)):
        return False
    return not isinstance(state, tuple) or all(are_of(part, x0) for part in state)


def curvature_pair(before: Visit | None, now: Visit, free: Tensor | None) -> Pair | None:
    """Pair between two visits, on the free parameters; None if nothing moved.

    It is significant if s'y exceeds two of its standard errors, computed from those of both gradients.
    """
    if before is None:
        return None
    s, y = now.x - before.x, now.jac - before.jac
    if free is not None:
        s, y = torch.where(free, s, 0.0), torch.where(free, y, 0.0)
    if not bool(s.any()):
        return None
    sy, yy = float(torch.dot(s, y)), float(torch.dot(y, y))
    least = _LEAST_CURVATURE * float(torch.linalg.vector_norm(s)) * math.sqrt(yy)
    if before.variance is not None or now.variance is not None:
        variance = sum(v for v in (before.variance, now.variance) if v is not None)
        least = max(least, 2 * math.sqrt(float((s.square() * variance).sum())))
    return Pair(s, y, sy, yy > 0 and math.isfinite(yy) and sy > least)


class Descent(NamedTuple):
    """End of a line search, whether the matrix is reset, and whether both failed."""

    x: Tensor
    reset: bool
    failed: bool


class QuasiNewton(Optimizer):
    """Base of the quasi-Newton methods with a line search.

    Subclasses define these fields.
    """

    __slots__ = ()

    line_search: LineSearch
    initial_step: float
    max_step: float

    def status(self, state: Any) -> Status:
        """LINE_SEARCH once even steepest descent finds no lower point."""
        return Status.LINE_SEARCH if state.failed else Status.RUNNING

    def _descend(self, x: Tensor, jac: Tensor, estimate: Estimate, direction: Tensor | None, oracle: Oracle) -> Descent:
        """Search along `direction`, else along steepest descent."""
        scale, size = unit(estimate), float(torch.linalg.vector_norm(jac))
        if size == 0.0:
            return Descent(x, reset=True, failed=False)
        first = self.initial_step
        line = EstimatedLine(x, jac * (-first * scale / size), jac, estimate, oracle)
        if direction is not None:
            length = float(torch.linalg.vector_norm(direction))
            along = line.along(direction)
            if along.slope < 0 and math.isfinite(length):
                t = self.line_search.search(along, self.max_step * scale / length)
                if t is not None:
                    return Descent(along.point(t), reset=False, failed=False)
                line = along.along(jac * (-first * scale / size))
        t = self.line_search.search(line, self.max_step / first)
        if t is None:
            return Descent(x, reset=True, failed=True)
        return Descent(line.point(t), reset=True, failed=False)
