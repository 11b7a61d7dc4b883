"""Matrices of motions, differentiable with respect to vectors and angles."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["about", "rotate", "translate", "turn"]


def translate(vector: Tensor) -> Tensor:
    """4x4 matrix of a displacement."""
    top = torch.cat([torch.eye(3, dtype=vector.dtype), vector[:, None]], dim=1)
    return _with_last_row(top)


def about(linear: Tensor, center: Tensor) -> Tensor:
    """4x4 matrix of a linear map about a point."""
    return _with_last_row(torch.cat([linear, (center - linear @ center)[:, None]], dim=1))


def _with_last_row(top: Tensor) -> Tensor:
    return torch.cat([top, torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=top.dtype)])


def turn(axis: NDArray[np.float64], angle: Tensor) -> Tensor:
    """3x3 rotation about a unit vector, by Rodrigues' formula."""
    x, y, z = axis
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=angle.dtype)
    turned: Tensor = torch.eye(3, dtype=angle.dtype) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)
    return turned


def rotate(vector: Tensor) -> Tensor:
    """3x3 rotation by a vector along the axis whose length is the angle in radians."""
    x, y, z = vector
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)
    # The matrix exponential also has a derivative at 0, where Rodrigues' formula has none.
    rotation: Tensor = torch.linalg.matrix_exp(cross)
    return rotation
