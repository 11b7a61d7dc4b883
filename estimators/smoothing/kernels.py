r"""Derivatives of the Gaussian kernel, as ratios to the Gaussian itself.

With :math:`\tau = \sigma t`, the paper's eq. 17 and 20 read :math:`\nabla \mathcal N / \mathcal N = -t / \sigma` and
:math:`\nabla^2 \mathcal N / \mathcal N = (t t^T - I) / \sigma^2`. The functions omit the powers of sigma.

Every sampled estimator is ``mean(f(x - tau) * kernel(t) / density(t))``. The density of the proposal is also given as a
ratio to the Gaussian (see `samplers`), so that the Gaussians cancel and nothing under- or overflows.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gradient", "hessian", "hessian_product"]


def gradient(t: Tensor) -> Tensor:
    """Kernel of the gradient, eq. 17: shape (k, n) from `t` of shape (k, n)."""
    return -t


def hessian(t: Tensor) -> Tensor:
    """Kernel of the Hessian, eq. 20: shape (k, n, n) from `t` of shape (k, n)."""
    return t.unsqueeze(2) * t.unsqueeze(1) - torch.eye(t.shape[1], dtype=t.dtype)


def hessian_product(t: Tensor, p: Tensor) -> Tensor:
    """Kernel of the Hessian times `p` of shape (n,), of shape (k, n).

    No matrices are formed.
    """
    return t * (t @ p).unsqueeze(1) - p
