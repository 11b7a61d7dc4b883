"""Conjugate gradients on a quadratic model, truncated at the boundary of a ball."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["to_boundary", "truncated_cg"]


def truncated_cg(
    jac: Tensor, hessp: Callable[[Tensor], Tensor], radius: float, *, forcing: float, maxiter: int
) -> Tensor:
    """Minimise a quadratic model in a ball by conjugate gradients, approximately [1]_.

    They stop at the boundary of the ball, at a direction of negative curvature, or once they are accurate enough.

    Parameters
    ----------
    jac : Tensor, shape (n,)
        Gradient.
    hessp : callable
        Product of the Hessian with a vector of shape (n,).
    radius : float
        Radius of the ball, > 0.
    forcing : float
        Stop once the norm of the model's gradient is below this fraction of that of `jac`.
    maxiter : int
        Maximum number of products.

    Returns
    -------
    Tensor, shape (n,)
        The step, never longer than `radius`. If the curvature along a direction is not a positive number, the step
        continues along that direction to the boundary.

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
    """Continue from `step`, inside the ball, along `direction` to its boundary.

    Parameters
    ----------
    step, direction : Tensor, shape (n,)
        A point of the ball, and a direction other than 0.
    radius : float
        Radius of the ball, > 0.

    Returns
    -------
    Tensor, shape (n,)
    """
    direction = direction / float(torch.linalg.vector_norm(direction))
    along, room = float(torch.dot(step, direction)), radius * radius - float(torch.dot(step, step))
    root = math.sqrt(along * along + max(room, 0.0))
    # Positive root of |step + tau direction| = radius, in the form without cancellation.
    tau = root - along if along <= 0 else max(room, 0.0) / (along + root)
    reached = torch.add(step, direction, alpha=tau)
    length = float(torch.linalg.vector_norm(reached))
    return reached if length <= radius else reached * (radius / length)
