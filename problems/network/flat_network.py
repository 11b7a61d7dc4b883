"""A torch module as a function of one flat vector of its weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from invopt.plugin import Problem, require, shown

__all__ = ["FlatNetwork", "check_outputs"]


class FlatNetwork:
    """Copy of a module whose trainable parameters are pieces of one vector w of shape (N,), in their own order.

    Parameters
    ----------
    model : Module
        In evaluation mode here, whatever it was in: dropout and the statistics of batches would make another function
        of every call.
    """

    def __init__(self, model: nn.Module) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"'model' must be a torch.nn.Module: {shown(model)}")
        self.module = copy.deepcopy(model).eval()
        # A call leaves its tensors in a module that is there under two names.
        self._called = copy.deepcopy(self.module)
        self._counts = any(isinstance(layer, nn.Embedding | nn.EmbeddingBag) for layer in self.module.modules())
        self._trained = {name: part for name, part in self.module.named_parameters() if part.requires_grad}
        require("model", bool(self._trained), "a module with parameters that require a gradient", model)
        kinds = {(part.dtype, part.device) for part in self._trained.values()}
        require("model", len(kinds) == 1, "of one dtype on one device", sorted(map(str, kinds)))
        ((self.dtype, self.device),) = kinds
        require("model", self.dtype.is_floating_point, "of a real dtype", self.dtype)
        self._sizes = [part.numel() for part in self._trained.values()]

    @property
    def n(self) -> int:
        """Number of weights."""
        return sum(self._sizes)

    @property
    def weights(self) -> NDArray[np.float64]:
        """The module's own weights, shape (N,)."""
        flat = torch.cat([part.detach().reshape(-1) for part in self._trained.values()])
        return flat.cpu().double().numpy()

    def names(self) -> tuple[str, ...]:
        """Name of each weight: the parameter's, with the place in it."""
        return tuple(f"{name}[{i}]" for name, part in self._trained.items() for i in range(part.numel()))

    def as_tensor(self, w: NDArray[np.float64]) -> Tensor:
        """A vector in the module's dtype, on its device."""
        return torch.tensor(w, dtype=self.dtype, device=self.device)

    def parts(self, w: Tensor) -> dict[str, Tensor]:
        """Views of the vector, by the names of the parameters."""
        pieces = torch.split(w, self._sizes)
        return {name: piece.view(part.shape) for (name, part), piece in zip(self._trained.items(), pieces, strict=True)}

    def __call__(self, w: Tensor, inputs: Tensor) -> Any:
        """Outputs of the module with the weights `w`."""
        with _plain_kernels():
            return torch.func.functional_call(self._called, self.parts(w), (inputs,))

    def identity_content(self) -> nn.Module:
        """The module, its code and everything in it but the values of the weights that are sought."""
        module = copy.deepcopy(self.module)
        with torch.no_grad():
            for part in module.parameters():
                if part.requires_grad:
                    part.zero_()
        return module

    def as_inputs(self, inputs: Tensor) -> Tensor:
        """Inputs in the module's dtype, on its device; integers stay what they are where they are looked up."""
        whole = self._counts and not (inputs.is_floating_point() or inputs.dtype == torch.bool)
        return inputs.to(self.device) if whole else inputs.to(self.device, self.dtype)

    def with_weights(self, w: NDArray[np.float64]) -> nn.Module:
        """A module of its own with the weights `w`."""
        module = copy.deepcopy(self.module)
        module.load_state_dict(
            {name: part.clone() for name, part in self.parts(self.as_tensor(w)).items()}, strict=False
        )
        return module

    def redrawn(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Weights that every layer with a `reset_parameters` draws anew; torch's own generators stay as they are."""
        module = copy.deepcopy(self.module)
        with torch.random.fork_rng(devices=[] if self.device.type == "cpu" else [self.device]):
            torch.manual_seed(int(rng.integers(2**63)))
            for layer in module.modules():
                if callable(reset := getattr(layer, "reset_parameters", None)):
                    reset()
        return FlatNetwork(module).weights


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Attention without torch's fused kernels, which have no forward mode."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def check_outputs(network: FlatNetwork, inner: Problem, inputs: Tensor) -> None:
    """Refuse a network whose outputs are not points of the inner problem."""
    some = network.as_inputs(inputs[:2])
    with torch.no_grad():
        found = network(network.as_tensor(network.weights), some)
    wanted = (len(some), inner.n)
    if not isinstance(found, Tensor) or tuple(found.shape) != wanted:
        got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(
            f"'model' must return shape {wanted} for {len(some)} inputs, a column for each of the {inner.n} parameters "
            f"of {type(inner).__name__}: it returns {got}"
        )
    if not math.isfinite(float(found.double().sum())):
        raise ValueError("'model' must return finite numbers: for the first inputs it does not")
