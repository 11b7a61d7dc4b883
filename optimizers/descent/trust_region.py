"""Minimisers of a quadratic model inside a ball: exact, and by truncated conjugate gradients; and inside a box."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import Oracle

__all__ = ["solve_ball", "step_into_box", "to_boundary", "truncated_cg"]

_EPS = float(np.finfo(np.float64).eps)
# Share of the linear decrease that a step cut by the box must keep (Nocedal and Wright, sec. 3.1).
_SUFFICIENT = 1e-4
_MAX_HALVINGS = 12
# Below, the inverse would overflow.
_LEAST_EXPONENT = -1000


def solve_ball(jac: Tensor, hess: Tensor, radius: float) -> Tensor:
    r"""Global minimiser of :math:`g^T p + \frac12 p^T H p` over :math:`|p| \le` `radius`.

    Parameters
    ----------
    jac : Tensor, shape (n,)
        Gradient g.
    hess : Tensor, shape (n, n)
        Hessian H, symmetric or made so; indefinite is fine.
    radius : float
        Radius of the ball, > 0.

    Returns
    -------
    Tensor, shape (n,)
        The Newton step if H is positive definite and the step fits; otherwise the point of the boundary where
        :math:`(H + \mu I) p = -g` with the smallest :math:`\mu \ge 0` that makes H + mu I positive semi-definite [1]_,
        the hard case included. 0 for a zero gradient; steepest descent to the boundary for a non-finite H.

    References
    ----------
    .. [1] Moré, Sorensen, "Computing a Trust Region Step", SIAM J. Sci. Stat. Comput. 4(3), 1983.
    """
    largest = float(jac.abs().max())
    if largest == 0.0:
        return torch.zeros_like(jac)
    # The unit of the values does not move the minimum; a power of two rounds nothing.
    unit = 2.0 ** -max(math.frexp(largest)[1], _LEAST_EXPONENT)
    g, H = (jac * unit).numpy(), (hess * unit).numpy()
    size = float(np.sqrt(g @ g))
    # Infinite entries of both signs have no sum.
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(H.sum())
    if not math.isfinite(total):
        return jac * (unit * -radius / size)
    values, vectors = np.linalg.eigh(0.5 * (H + H.T))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        p = vectors @ _solve_diagonal(vectors.T @ g, values, radius)
    return torch.from_numpy(p) if math.isfinite(float(p @ p)) else jac * (unit * -radius / size)


def _solve_diagonal(c: NDArray[np.float64], values: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """The same problem for a diagonal Hessian with ascending `values`."""
    least, tiny = float(values[0]), _EPS * len(c) * float(np.abs(values).max())
    if least > tiny:
        p = -c / values
        if float(np.sqrt(p @ p)) <= radius:
            return p
    gaps = values - least
    if least <= tiny:
        flat = gaps <= tiny
        if float(np.abs(c[flat]).max()) <= _EPS * float(np.abs(c).max()):
            # Hard case: the gradient does not see the lowest eigenvector, so mu stays at its lower end.
            p = np.where(flat, 0.0, -c / np.where(flat, 1.0, gaps + max(least, 0.0)))
            room = radius**2 - float(p @ p)
            if room >= 0:
                p[0] = math.sqrt(room) if least < -tiny else 0.0
                return p
    return _on_boundary(c, gaps, max(least, 0.0), radius)


def _on_boundary(c: NDArray[np.float64], gaps: NDArray[np.float64], floor: float, radius: float) -> NDArray[np.float64]:
    """Solve |c / (gaps + s)| = radius for s > floor: Newton on 1/|p|, safeguarded by bisection."""
    size = float(np.sqrt(c @ c))
    if radius * radius == 0.0:
        # Of a radius too small to be squared, steepest descent is all that can be told.
        return -c * (radius / size)
    low, high = floor, max(floor, size / radius)
    s = high
    p = -c / (gaps + s)
    length = float(np.sqrt(p @ p))
    for _ in range(100):
        if abs(length - radius) <= 1e-13 * radius or high - low <= 4 * _EPS * high:
            break
        low, high = (s, high) if length > radius else (low, s)
        slope = float((p * p / (gaps + s)).sum()) / length**2
        s += (length / radius - 1) / slope
        if not low < s < high:
            s = 0.5 * (low + high)
        p = -c / (gaps + s)
        length = float(np.sqrt(p @ p))
    return p * (radius / length)


def truncated_cg(
    jac: Tensor, hessp: Callable[[Tensor], Tensor], radius: float, *, forcing: float, maxiter: int
) -> Tensor:
    """Conjugate gradients on the model, stopped by the ball, by negative curvature or by accuracy [1]_.

    Parameters
    ----------
    jac : Tensor, shape (n,)
        Gradient.
    hessp : callable
        Product of the Hessian with a vector of shape (n,).
    radius : float
        Radius of the ball, > 0.
    forcing : float
        Stop once the model's gradient is below this fraction of the gradient.
    maxiter : int
        Most products to ask for.

    Returns
    -------
    Tensor, shape (n,)
        The step, never longer than `radius`. Where the curvature along a direction is not a positive number,
        it goes on along that direction to the boundary.

    References
    ----------
    .. [1] Steihaug, "The Conjugate Gradient Method and Trust Regions in Large Scale Optimization", SIAM J. Numer.
       Anal. 20(3), 1983.
    """
    step, residual, direction = torch.zeros_like(jac), jac, -jac
    square = float(torch.dot(jac, jac))
    enough = forcing * forcing * square
    for _ in range(maxiter if square > 0.0 else 0):
        product = hessp(direction)
        curvature = float(torch.dot(direction, product))
        if not 0.0 < curvature < math.inf:
            return to_boundary(step, direction, radius)
        alpha = square / curvature
        longer = torch.add(step, direction, alpha=alpha)
        if not float(torch.dot(longer, longer)) < radius * radius:
            return to_boundary(step, direction, radius)
        step = longer
        residual = torch.add(residual, product, alpha=alpha)
        previous, square = square, float(torch.dot(residual, residual))
        if square <= enough:
            break
        direction = (square / previous) * direction - residual
    return step


def to_boundary(step: Tensor, direction: Tensor, radius: float) -> Tensor:
    """Go on from `step`, inside the ball, along `direction` to its boundary."""
    direction = direction / float(torch.linalg.vector_norm(direction))
    along, room = float(torch.dot(step, direction)), radius * radius - float(torch.dot(step, step))
    root = math.sqrt(along * along + max(room, 0.0))
    # The form without cancellation, of the two roots of |step + tau direction| = radius.
    tau = root - along if along <= 0 else max(room, 0.0) / (along + root)
    reached = torch.add(step, direction, alpha=tau)
    length = float(torch.linalg.vector_norm(reached))
    return reached if length <= radius else reached * (radius / length)


def step_into_box(
    x: Tensor, step: Tensor, jac: Tensor, hessp: Callable[[Tensor], Tensor], oracle: Oracle
) -> tuple[Tensor, bool]:
    """Point reached from `x` by `step`, shortened along the projected path until the model decreases.

    Without active bounds this is ``x + step`` and asks for no product. Cutting a Newton step at the bounds can
    increase the model, and would then repeat itself for ever; hence Bertsekas' search along the projected path [1]_,
    here on the model, so that it costs products but no values. Also says whether the box has cut the step.

    References
    ----------
    .. [1] Bertsekas, "Projected Newton Methods for Optimization Problems with Simple Constraints", SIAM J. Control
       Optim. 20(2), 1982.
    """
    free = x + step
    target = oracle.project(free)
    if target is free or torch.equal(target, free):
        return free, False
    for _ in range(_MAX_HALVINGS):
        moved = target - x
        linear = float(torch.dot(jac, moved))
        if linear < 0 and linear + 0.5 * float(torch.dot(moved, hessp(moved))) <= _SUFFICIENT * linear:
            break
        step = 0.5 * step
        target = oracle.project(x + step)
    return target, True
