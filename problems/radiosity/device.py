"""Where the weights of a field are, and what they are kept as."""

from __future__ import annotations

import torch

from invopt.rendering.backend import Backend

__all__ = ["DTYPE", "device_of"]

# What the weights are kept as.
DTYPE = torch.float32


def device_of(backend: Backend) -> torch.device:
    """Where the weights are, for a backend that is active."""
    return torch.device("cuda" if backend is Backend.CUDA else "cpu")
