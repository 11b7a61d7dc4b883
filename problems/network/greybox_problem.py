"""Base class of networks in front of a black box."""

from __future__ import annotations

import abc
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor, nn

from invopt.plugin import Capability, Problem, Runtime, as_vector

from .dataset import Dataset
from .flat_network import FlatNetwork
from .greybox_objective import GreyBoxObjective
from .network_chain import NetworkChain

__all__ = ["GreyBoxProblem"]

# Inputs of one forward pass: bounds the memory that its activations take.
_FORWARD_BATCH = 64


@frozen(kw_only=True, eq=False, slots=False)
class GreyBoxProblem(Problem):
    """Base class: weights of a network in front of an inner problem.

    The network's outputs are the parameters of the inner problem.

    The objective is the mean of f(m(w, u); u) over the inputs u, where m is the network and f the objective of the
    inner problem. x is the flat vector w, in the dtype and on the device of the network. A subclass defines the
    network, the inner problem and the data.
    """

    default_estimator: ClassVar[str] = "fr22"

    @property
    @abc.abstractmethod
    def network(self) -> FlatNetwork:
        """The network with its initial weights."""

    @property
    @abc.abstractmethod
    def inner(self) -> Problem:
        """The black box."""

    @property
    @abc.abstractmethod
    def training(self) -> Dataset:
        """Data to train on."""

    @property
    @abc.abstractmethod
    def held_out(self) -> Dataset:
        """Data on which errors are measured."""

    @property
    @abc.abstractmethod
    def n_items(self) -> int:
        """Number of training inputs."""

    @property
    @abc.abstractmethod
    def minibatch(self) -> int:
        """Inputs of one estimate."""

    def __getstate__(self) -> dict[str, Any]:
        # Caches are made again where they are needed.
        kept = {name for cls in type(self).__mro__ for name, item in vars(cls).items() if _is_cache(item)}
        return {name: value for name, value in self.__dict__.items() if name not in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The method that attrs generated for the slotted base class restores that class's fields only.
        self.__dict__.update(state)

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """What the inner problem provides, and the chain rule through the network."""
        known = Capability.FUN | Capability.RESIDUALS | Capability.JAC | Capability.HESS
        return self.inner.provides & known | Capability.CHAIN

    @property
    def runtime(self) -> Runtime:  # type: ignore[override]
        """What the inner problem needs of its process."""
        return self.inner.runtime

    @cached_property
    def x0(self) -> NDArray[np.float64]:
        """The network's initial weights."""
        return self.network.weights

    @property
    def n(self) -> int:
        """Number of weights."""
        return self.network.n

    @property
    def sigma(self) -> float:
        """Initial sigma of smoothing of the inner problem, in units of its scales."""
        return self.inner.sigma

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each weight."""
        return self.network.names()

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` random starts of shape (k, N), drawn by the layers' own initialisation."""
        return np.stack([self.network.redrawn(rng) for _ in range(k)])

    def parameters(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Weights by the names of the network's parameters."""
        return {name: part.cpu().numpy() for name, part in self.network.parts(self.network.as_tensor(x)).items()}

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """Number of weights: they are too many to be read."""
        return {"weights": f"{self.n}"}

    @property
    def default_method(self) -> Any:
        """Adam, as in the paper."""
        return "adam"

    def as_tensor(self, x: NDArray[np.float64]) -> Tensor:
        """Return weights in the network's dtype, on its device."""
        return self.network.as_tensor(x)

    def identity_content(self) -> dict[str, Any]:
        """The inner problem, the network without its weights, and the batch size."""
        seen = {"data": [self.n_items, self.minibatch]}
        return {**self.inner.identity_content(), "network": [type(self), self.network], **seen}

    def chain(self) -> NetworkChain:
        """Return the network with the training inputs."""
        return NetworkChain(self.network, self.inner, lambda: self.training.inputs, self.n_items, self.minibatch)

    def open(self) -> GreyBoxObjective:
        """Open the inner problem."""
        return GreyBoxObjective(self.inner, self.training, self.held_out, self.predict)

    def predict(self, x: NDArray[np.float64], inputs: Any = None) -> NDArray[np.float64]:
        """Return outputs, shape (k, n), projected onto the inner bounds.

        Without `inputs`, for the held-out inputs.
        """
        network = self.network
        given = self.held_out.inputs if inputs is None else torch.as_tensor(inputs)
        w = network.as_tensor(np.asarray(x))
        with torch.no_grad():
            parts = [network(w, network.as_inputs(part)).cpu() for part in torch.split(given, _FORWARD_BATCH)]
        found: NDArray[np.float64] = torch.cat(parts).double().numpy()
        box = self.inner.bounds
        return found if box is None else found.clip(box.lb, box.ub)

    def errors(self, x: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return errors on the held-out inputs, shape (k, n), modulo the periods.

        None if the truth is not known.
        """
        truth = self.held_out.truth
        return None if truth is None else self.inner.wrap(self.predict(x) - truth)

    def parameter_error(self, x: NDArray[np.float64]) -> float:
        """Mean squared error on the held-out inputs, in units of the inner scales.

        nan if the truth is not known.
        """
        errors = self.errors(x)
        return float("nan") if errors is None else float(np.mean((errors / self.inner.x_scale) ** 2))

    def trained(self, result: Any) -> nn.Module:
        """Return the network with the weights of a result, or of an array of shape (N,)."""
        return self.network.with_weights(as_vector("x", getattr(result, "x", result), size=self.n))

    def save(self, result: Any, path: str | Path) -> None:
        """Write the weights of a result, or an array, as a safetensors file."""
        from safetensors.torch import save_file

        x = as_vector("x", getattr(result, "x", result), size=self.n)
        parts = self.network.parts(self.network.as_tensor(x))
        save_file({name: part.cpu().clone() for name, part in parts.items()}, Path(path))

    def load(self, path: str | Path) -> NDArray[np.float64]:
        """Read weights that `save` wrote, as a vector that `minimize` takes as `x0`."""
        from safetensors.torch import load_file

        found = load_file(Path(path))
        wanted = self.network.parts(self.network.as_tensor(self.x0))
        shapes = {name: tuple(part.shape) for name, part in found.items()}
        expected = {name: tuple(part.shape) for name, part in wanted.items()}
        if shapes != expected:
            raise ValueError(f"'path' must hold the network's parameters, {expected}: it holds {shapes}")
        return as_vector("path", torch.cat([found[name].reshape(-1) for name in wanted]), size=self.n)


def _is_cache(item: Any) -> bool:
    return isinstance(item, cached_property)
