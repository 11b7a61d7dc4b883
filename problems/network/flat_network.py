"""A torch module as a function of one flat vector of weights."""

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

from invopt.plugin import Problem, one_thread, require, shown

__all__ = ["FlatNetwork", "check_outputs"]


class FlatNetwork:
    """A torch module as a function of one vector of its trainable parameters.

    The vector w has shape (N,).

    Parameters
    ----------
    model : Module
        The module, which is copied. The copy is in evaluation mode, because with dropout or batch statistics equal
        weights would give different outputs.
    """

    def __init__(self, model: nn.Module) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"'model' must be a torch.nn.Module: {shown(model)}")
        self.module = copy.deepcopy(model).eval()
        # A copy of its own: a call leaves its tensors in modules that have shared parameters.
        self._called = copy.deepcopy(self.module)
        self._looks_up = any(isinstance(layer, nn.Embedding | nn.EmbeddingBag) for layer in self.module.modules())
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
        """The module's weights, shape (N,)."""
        flat = torch.cat([part.detach().reshape(-1) for part in self._trained.values()])
        return flat.cpu().double().numpy()

    def names(self) -> tuple[str, ...]:
        """Name of each weight: that of the parameter, and its index there."""
        return tuple(f"{name}[{i}]" for name, part in self._trained.items() for i in range(part.numel()))

    def as_tensor(self, w: NDArray[np.float64]) -> Tensor:
        """Return a vector in the module's dtype, on its device."""
        return torch.tensor(w, dtype=self.dtype, device=self.device)

    def parts(self, w: Tensor) -> dict[str, Tensor]:
        """Return views of the vector by the names of the parameters."""
        pieces = torch.split(w, self._sizes)
        return {name: piece.view(part.shape) for (name, part), piece in zip(self._trained.items(), pieces, strict=True)}

    def __call__(self, w: Tensor, inputs: Tensor) -> Any:
        """Return the module's outputs with the weights `w`."""
        with _plain_kernels():
            return torch.func.functional_call(self._called, self.parts(w), (inputs,))

    def identity_content(self) -> nn.Module:
        """The module with its code, and all its tensors except the unknown weights."""
        module = copy.deepcopy(self.module)
        with torch.no_grad():
            for part in module.parameters():
                if part.requires_grad:
                    part.zero_()
        return module

    def as_inputs(self, inputs: Tensor) -> Tensor:
        """Return inputs in the module's dtype, on its device.

        Integers are not converted if the module has an embedding, which looks them up.
        """
        whole = self._looks_up and not (inputs.is_floating_point() or inputs.dtype == torch.bool)
        return inputs.to(self.device) if whole else inputs.to(self.device, self.dtype)

    def with_weights(self, w: NDArray[np.float64]) -> nn.Module:
        """Return a new module with the weights `w`."""
        module = copy.deepcopy(self.module)
        module.load_state_dict(
            {name: part.clone() for name, part in self.parts(self.as_tensor(w)).items()}, strict=False
        )
        return module

    def redrawn(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return new random weights for every layer that has a method `reset_parameters`.

        Torch's global generators are not changed.
        """
        module = copy.deepcopy(self.module)
        with torch.random.fork_rng(devices=[] if self.device.type == "cpu" else [self.device]):
            torch.manual_seed(int(rng.integers(2**63)))
            for layer in module.modules():
                if callable(reset := getattr(layer, "reset_parameters", None)):
                    reset()
        return FlatNetwork(module).weights


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Disable torch's fused attention kernels, which have no forward mode."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def check_outputs(network: FlatNetwork, inner: Problem, inputs: Tensor) -> None:
    """Raise if a network's outputs are not points of the inner problem."""
    some = network.as_inputs(inputs[:2])
    # In a forked process the threads of torch do not exist.
    with torch.no_grad(), one_thread(weights=True):
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
