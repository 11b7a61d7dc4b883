"""A network in front of a black box."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from attrs import field, frozen
from torch import nn

from invopt.plugin import Capability, Problem, as_vector, integer, require, shown

from .network.dataset import Dataset
from .network.flat_network import FlatNetwork, check_outputs
from .network.greybox_problem import GreyBoxProblem

__all__ = ["GreyBox"]


@frozen(kw_only=True, eq=False, slots=False, repr=False)
class GreyBox(GreyBoxProblem):
    """A network trained through a black box, without labels (paper, supplement E).

    The network's outputs are the parameters of another problem, the black box. Only values of the black box are needed:
    the derivative with respect to the network's weights follows from the chain rule.

    Parameters
    ----------
    model : Module
        Network. For inputs of shape (b, ...) it returns points of the inner problem, shape (b, n), in the inner
        problem's units. Its trainable parameters are the unknowns.
    inner : Problem
        Black box. If its target can be exchanged, as that of a `Scene` with one camera or of a `Function` with
        ``targeted=True``, each input is evaluated with a target of its own.
    data : iterable
        Inputs, all of one shape; or pairs (input, truth). The truth, of shape (n,), is used in reports only.
    targets : iterable, optional
        Target of each input; by default the input.
    held_out : iterable, optional
        Inputs on which errors are measured, given as `data` is. By default `data`.
    held_out_targets : iterable, optional
        Targets of the held-out inputs, which reports show beside the pictures at the network's outputs.
    batch_size : int, default 16
        Inputs of one estimate; all of them if there are fewer.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind, there are no data, a weight is not finite, or the network's output does not
        have a column for each parameter of the inner problem.

    Notes
    -----
    Outputs outside the inner problem's bounds are projected onto them, as all points are. The objective is therefore
    constant far outside, so that the network should end with a function that keeps its outputs inside, such as a
    sigmoid.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025, supplement E.

    Examples
    --------
    >>> import torch, invopt
    >>> inner = invopt.problems.Function(fun=lambda x, target: float((x - 2 * target) @ (x - 2 * target)), x0=[0.0],
    ...                                  targeted=True)
    >>> model = torch.nn.Linear(1, 1, dtype=torch.float64)
    >>> problem = invopt.problems.GreyBox(model, inner, [[0.0], [0.5], [1.0]])
    >>> res = invopt.minimize(problem, invopt.estimators.SharedSamples(), "newton-cg", rng=0, maxfev=2000)
    >>> problem.predict(res.x, [[3.0]]).round(1)
    array([[6.]])
    """

    model: nn.Module = field(kw_only=False)
    _inner: Problem = field(kw_only=False)
    data: Dataset = field(kw_only=False)
    targets: Any = field(default=None)
    _held_out: Any = field(default=None)
    batch_size: int = field(default=16, validator=integer(1))
    held_out_targets: Any = field(default=None)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self._inner, Problem):
            raise TypeError(f"'inner' must be a Problem: {shown(self._inner)}")
        inner = self._inner.provides
        require("inner", Capability.CHAIN not in inner, "a black box, not a network in front of one", self._inner)
        if (self.targets is not None or self.held_out_targets is not None) and Capability.TARGET not in inner:
            raise ValueError(
                f"'targets' must be left out: the target of {type(self._inner).__name__} cannot be exchanged"
            )
        data = self.data if isinstance(self.data, Dataset) else Dataset.read("data", self.data, self.targets)
        held = self._held_out
        require("held_out_targets", held is not None or self.held_out_targets is None, "given with 'held_out'", held)
        if held is not None and not isinstance(held, Dataset):
            held = Dataset.read("held_out", held, self.held_out_targets)
        for name, value in {"data": data, "targets": None, "_held_out": held, "held_out_targets": None}.items():
            object.__setattr__(self, name, value)
        as_vector("model (weights)", self.network.weights)
        for name, items in {"data": data, "held_out": self.held_out}.items():
            _check_truth(name, items, self._inner.n)
            check_outputs(self.network, self._inner, items.inputs)

    def __repr__(self) -> str:
        return (
            f"GreyBox({type(self.model).__name__}, {self._inner!r}, {len(self.data)} items, {self.batch_size} a batch)"
        )

    def identity_content(self) -> dict[str, Any]:
        """The network, the inner problem and the data."""
        return {**super().identity_content(), "data": [self.data.inputs, self.data.targets, self.minibatch]}

    @cached_property
    def network(self) -> FlatNetwork:
        """The network with its initial weights."""
        return FlatNetwork(self.model)

    @property
    def inner(self) -> Problem:
        """The black box."""
        return self._inner

    @property
    def training(self) -> Dataset:
        """Data to train on."""
        return self.data

    @property
    def held_out(self) -> Dataset:
        """Data on which errors are measured."""
        held: Dataset | None = self._held_out
        return self.data if held is None else held

    @property
    def n_items(self) -> int:
        """Number of training inputs."""
        return len(self.data)

    @property
    def minibatch(self) -> int:
        """Inputs of one estimate."""
        return min(self.batch_size, self.n_items)


def _check_truth(name: str, items: Dataset, n: int) -> None:
    if items.truth is not None and items.truth.shape != (len(items), n):
        raise ValueError(f"'{name}' must have truths of shape ({n},), one number for each parameter of 'inner'")
