"""A network in front of a black box."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from attrs import field, frozen
from torch import nn

from invopt.plugin import Capability, Problem, as_vector, integer, require, shown

from .network.flat_network import FlatNetwork, check_outputs
from .network.greybox_problem import GreyBoxProblem
from .network.items import Items

__all__ = ["GreyBox"]


@frozen(kw_only=True, eq=False, slots=False, repr=False)
class GreyBox(GreyBoxProblem):
    """A network trained through a black box, without labels (paper, supplement E).

    Parameters
    ----------
    model : Module
        Network; for inputs of shape (b, ...) it returns shape (b, n), the inner problem's points in its own units. Its
        trainable parameters are what is sought.
    inner : Problem
        Black box. Where its target can be exchanged, as of a `Scene` with one camera or of a `Function` with
        ``targeted=True``, the target of each item is set before its values are taken.
    data : iterable
        Inputs, all of one shape; or pairs (input, truth), where the truth of shape (n,) serves reports alone.
    targets : iterable, optional
        Target of each input; by default the input itself.
    held_out : iterable, optional
        As `data`; what errors are reported on. By default `data`.
    held_out_targets : iterable, optional
        As `targets`, for the held-out inputs; what pictures show beside what the network says.
    batch_size : int, default 16
        Inputs an estimate takes; all of them, where there are fewer.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind, the data empty, a weight not finite, or the network's output not as wide
        as the inner problem.

    Notes
    -----
    Where the inner problem has bounds, outputs outside are projected, as all points are: the black box is extended by
    its values on the boundary. Far outside it is flat, so a network had better end with a function that keeps it
    inside, such as a sigmoid.

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
    data: Items = field(kw_only=False)
    targets: Any = field(default=None)
    _held_out: Any = field(default=None)
    batch_size: int = field(default=16, validator=integer(1))
    held_out_targets: Any = field(default=None)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self._inner, Problem):
            raise TypeError(f"'inner' must be a Problem: {shown(self._inner)}")
        inner = self._inner.provides
        require("inner", Capability.CHAIN not in inner, "a black box, not a chain", self._inner)
        if (self.targets is not None or self.held_out_targets is not None) and Capability.TARGET not in inner:
            raise ValueError(
                f"'targets' mean nothing to {type(self._inner).__name__}, whose target cannot be exchanged"
            )
        data = self.data if isinstance(self.data, Items) else Items.read("data", self.data, self.targets)
        held = self._held_out
        require("held_out_targets", held is not None or self.held_out_targets is None, "given with 'held_out'", held)
        if held is not None and not isinstance(held, Items):
            held = Items.read("held_out", held, self.held_out_targets)
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
        """What all networks have, and the data."""
        return {**super().identity_content(), "data": [self.data.inputs, self.data.targets, self.minibatch]}

    @cached_property
    def network(self) -> FlatNetwork:
        """The network at its start."""
        return FlatNetwork(self.model)

    @property
    def inner(self) -> Problem:
        """The black box."""
        return self._inner

    @property
    def training(self) -> Items:
        """What it is trained on."""
        return self.data

    @property
    def held_out(self) -> Items:
        """What its error is measured on."""
        held: Items | None = self._held_out
        return self.data if held is None else held

    @property
    def n_items(self) -> int:
        """Inputs there are to train on."""
        return len(self.data)

    @property
    def minibatch(self) -> int:
        """Inputs an estimate takes."""
        return min(self.batch_size, self.n_items)


def _check_truth(name: str, items: Items, n: int) -> None:
    if items.truth is not None and items.truth.shape != (len(items), n):
        raise ValueError(f"'{name}' must have truths of shape ({n},), one number for each parameter of 'inner'")
