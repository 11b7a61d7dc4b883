"""A network in front of an inner problem, with the derivatives of its outputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import Chain, Link, Problem

from .flat_network import FlatNetwork

__all__ = ["NetworkChain"]


class NetworkChain(Chain):
    """A network in front of an inner problem.

    Parameters
    ----------
    network : FlatNetwork
        The network.
    inner : Problem
        The problem whose x are the outputs.
    inputs : callable
        ``inputs()`` returns the inputs, shape (n_items, ...). It is called when they are first needed, because it may
        render them.
    n_items : int
        Number of inputs.
    batch_size : int
        Inputs of one estimate.
    """

    def __init__(
        self, network: FlatNetwork, inner: Problem, inputs: Callable[[], Tensor], n_items: int, batch_size: int
    ) -> None:
        self.inner, self.n_items, self.batch_size = inner, n_items, batch_size
        self._network, self._read = network, inputs

    @cached_property
    def _inputs(self) -> Tensor:
        return self._network.as_inputs(self._read())

    def link(self, w: Tensor, items: NDArray[np.int64]) -> Link:
        """Return outputs for these inputs, and products with their derivatives."""
        network, inputs = self._network, self._inputs[torch.from_numpy(items)]

        def outputs(weights: Tensor) -> Tensor:
            found: Tensor = network(weights, inputs)
            return found

        w = w.to(network.device, network.dtype)
        x, pull, *_ = torch.func.vjp(outputs, w)

        def jvp(v: Tensor) -> Tensor:
            with warnings.catch_warnings():
                # Torch's forward mode calls a function that torch itself has deprecated.
                warnings.filterwarnings("ignore", message=".*torch.jit.script", category=DeprecationWarning)
                moved: Tensor = torch.func.jvp(outputs, (w,), (v.to(network.device, network.dtype),))[1]
            return moved.detach().cpu().double()

        return Link(x.detach().cpu().double(), lambda g: pull(g.to(network.device, network.dtype))[0].detach(), jvp)
