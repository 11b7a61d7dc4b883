"""Exact minimiser of a quadratic model in a ball: the trust-region subproblem."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["solve_ball"]

_EPS = float(np.finfo(np.float64).eps)
# Smallest exponent of a gradient that is scaled to 1: its inverse, 2^1000, is still finite in float64 (below 2^1024).
_LEAST_EXPONENT = -1000
# Relative accuracy of the length |p| = radius: some hundred roundings, which the last rescaling of p removes.
_LENGTH_ACCURACY = 1e-13
# Most iterations: bisection alone halves an interval to machine precision in about 50, Newton steps need under 10.
_MAX_ITERATIONS = 100


def solve_ball(jac: Tensor, hess: Tensor, radius: float) -> Tensor:
    r"""Minimise :math:`g^T p + \frac12 p^T H p` in a ball, globally.

    The ball is :math:`|p| \le` `radius`.

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
    # Scaling g and H does not move the minimiser. A power of two causes no rounding.
    unit = 2.0 ** -max(math.frexp(largest)[1], _LEAST_EXPONENT)
    g, H = (jac * unit).numpy(), (hess * unit).numpy()
    size = float(np.sqrt(g @ g))
    # The sum of infinite entries of both signs is nan.
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(H.sum())
    if not math.isfinite(total):
        return jac * (unit * -radius / size)
    values, vectors = np.linalg.eigh(0.5 * (H + H.T))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        p = vectors @ _solve_diagonal(vectors.T @ g, values, radius)
    return torch.from_numpy(p) if math.isfinite(float(p @ p)) else jac * (unit * -radius / size)


def _solve_diagonal(c: NDArray[np.float64], values: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Solve the problem for a diagonal Hessian with ascending `values`."""
    least, tiny = float(values[0]), _EPS * len(c) * float(np.abs(values).max())
    if least > tiny:
        p = -c / values
        if float(np.sqrt(p @ p)) <= radius:
            return p
    gaps = values - least
    if least <= tiny:
        flat = gaps <= tiny
        if float(np.abs(c[flat]).max()) <= _EPS * float(np.abs(c).max()):
            # Hard case: the gradient is orthogonal to the lowest eigenvectors, so mu is at its lower end.
            p = np.where(flat, 0.0, -c / np.where(flat, 1.0, gaps + max(least, 0.0)))
            room = radius**2 - float(p @ p)
            if room >= 0:
                p[0] = math.sqrt(room) if least < -tiny else 0.0
                return p
    return _on_boundary(c, gaps, max(least, 0.0), radius)


def _on_boundary(c: NDArray[np.float64], gaps: NDArray[np.float64], floor: float, radius: float) -> NDArray[np.float64]:
    """Solve |c / (gaps + s)| = radius for s > floor by safeguarded Newton steps."""
    size = float(np.sqrt(c @ c))
    if radius * radius == 0.0:
        # The square of the radius underflows: only steepest descent can be computed.
        return -c * (radius / size)
    low, high = floor, max(floor, size / radius)
    s = high
    p = -c / (gaps + s)
    length = float(np.sqrt(p @ p))
    for _ in range(_MAX_ITERATIONS):
        if abs(length - radius) <= _LENGTH_ACCURACY * radius or high - low <= 4 * _EPS * high:
            break
        low, high = (s, high) if length > radius else (low, s)
        slope = float((p * p / (gaps + s)).sum()) / length**2
        s += (length / radius - 1) / slope
        if not low < s < high:
            s = 0.5 * (low + high)
        p = -c / (gaps + s)
        length = float(np.sqrt(p @ p))
    return p * (radius / length)
