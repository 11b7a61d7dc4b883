"""Newton steps of a quadratic model.

By Cholesky, damped, and on the free parameters alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

__all__ = ["damped_newton_step", "newton_step", "on_free"]

Step = TypeVar("Step", Tensor, Tensor | None)


def newton_step(jac: Tensor, hess: Tensor) -> Tensor | None:
    r"""Compute the Newton step :math:`-H^{-1} g` by a Cholesky factorisation.

    Parameters
    ----------
    jac : Tensor, shape (n,)
        Gradient g.
    hess : Tensor, shape (n, n)
        Hessian H, symmetric.

    Returns
    -------
    Tensor, shape (n,), or None
        None if H is not positive definite: the model then has no minimum.
    """
    factor, failed = torch.linalg.cholesky_ex(hess)
    if int(failed) > 0:
        return None
    step: Tensor = torch.cholesky_solve(-jac[:, None], factor)[:, 0]
    return step


def damped_newton_step(jac: Tensor, hess: Tensor, damping: float) -> Tensor:
    r"""Compute the damped Newton step :math:`-(|H| + \lambda I)^{-1} g`.

    :math:`|H|` is H with all eigenvalues made positive.

    Parameters
    ----------
    jac : Tensor, shape (n,)
        Gradient g.
    hess : Tensor, shape (n, n)
        Hessian H, symmetric or made so; it may be indefinite.
    damping : float
        :math:`\lambda` as a multiple of the mean eigenvalue of :math:`|H|`, > 0.

    Returns
    -------
    Tensor, shape (n,)
        Minus g if H is 0.
    """
    values, vectors = torch.linalg.eigh((hess + hess.T) / 2)
    values = values.abs()
    values = values + damping * values.mean()
    along = vectors.T @ jac
    step: Tensor = -vectors @ (along / values if bool((values > 0).all()) else along)
    return step


def on_free(solve: Callable[[Tensor, Tensor], Step], jac: Tensor, hess: Tensor, free: Tensor | None) -> Step:
    """Minimise a quadratic model over the free parameters; the others do not move.

    Parameters
    ----------
    solve : callable
        ``solve(jac, hess) -> step``, such as `newton_step`, for the free parameters alone.
    jac : Tensor, shape (n,)
        Gradient.
    hess : Tensor, shape (n, n)
        Hessian.
    free : Tensor of bool, shape (n,), or None
        Which parameters are free; None if all are.

    Returns
    -------
    Tensor, shape (n,), or None
        None if `solve` returns None.
    """
    if free is None:
        return solve(jac, hess)
    part = solve(jac[free], hess[free][:, free])
    if part is None:
        return part
    step = torch.zeros_like(jac)
    step[free] = part
    return step
