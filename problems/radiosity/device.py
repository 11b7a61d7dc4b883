"""Device and type of the weights of a field."""

from __future__ import annotations

import torch

from invopt.rendering.backend import Backend

__all__ = ["DTYPE", "device_of"]

# Type of the weights: that of Dr.Jit's arrays.
DTYPE = torch.float32


def device_of(backend: Backend) -> torch.device:
    """Return the device of the weights for a backend."""
    return torch.device("cuda" if backend is Backend.CUDA else "cpu")
