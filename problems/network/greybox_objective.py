"""The black part of a grey box: the inner problem, aimed at one item after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import ADJOINT, Adjoint, Capability, Objective, Problem

from .items import Items

__all__ = ["GreyBoxObjective"]

Predict: TypeAlias = Callable[[NDArray[np.float64], Any], NDArray[np.float64]]

# Items a picture shows, side by side.
_SHOWN = 6


class GreyBoxObjective(Objective):
    """The inner objective of a grey box, opened once.

    Points of the ``item_`` methods are the number of an item followed by the inner problem's x.

    Parameters
    ----------
    inner : Problem
        The inner problem, which is opened.
    training, held_out : Items
        Inputs and targets.
    predict : callable
        ``predict(w, inputs)``, the network's outputs at weights `w`.
    """

    def __init__(self, inner: Problem, training: Items, held_out: Items, predict: Predict) -> None:
        self._training, self._held_out, self._predict = training, held_out, predict
        self._targets = training.targets
        self._aims = Capability.TARGET in inner.provides
        self._item = -1
        self._inner = inner.open()
        self.chunk_size = self._inner.chunk_size
        shape = held_out.targets.shape[1:]
        if self._inner.reference is not None and shape == self._inner.reference.shape:
            self.reference = np.concatenate(list(held_out.targets[:_SHOWN]), axis=1)

    def item_fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values of shape (k,) at points of shape (k, 1 + n)."""
        return torch.cat([self._inner.fun(rows, seed=s, spp=spp) for rows, s in self._aimed(x, seed)])

    def item_residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of shape (k, m) at points of shape (k, 1 + n)."""
        return torch.cat([self._inner.residuals(rows, seed=s, spp=spp) for rows, s in self._aimed(x, seed)])

    def item_value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and derivative of shape (n,) at a point of shape (1 + n,)."""
        self._aim(int(x[0]))
        return self._inner.value_and_jac(x[1:], seed=seed, spp=spp, adjoint=adjoint)

    def item_hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Hessian of shape (n, n) at a point of shape (1 + n,)."""
        self._aim(int(x[0]))
        return self._inner.hess(x[1:], seed=seed)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Means over all items, shape (k,), at weights of shape (k, N)."""
        return torch.stack([self.item_fun(rows, seed=s, spp=spp).mean() for rows, s in self._all(x, seed)])

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of all items in a row, shape (k, n_items m), at weights of shape (k, N)."""
        return torch.stack([self.item_residuals(rows, seed=s, spp=spp).reshape(-1) for rows, s in self._all(x, seed)])

    @property
    def blind_spots(self) -> str:
        """What the inner derivative leaves out."""
        return self._inner.blind_spots

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Pictures at what the network says of the first held-out inputs, side by side."""
        if self.reference is None:
            return None
        outputs = self._predict(x, self._held_out.inputs[:_SHOWN])
        pictures = [self._inner.image(output, seed=seed, spp=spp) for output in outputs]
        found = [picture for picture in pictures if picture is not None]
        return np.concatenate(found, axis=1) if found else None

    def close(self) -> None:
        """Close the inner objective."""
        self._inner.close()

    def _aim(self, item: int) -> None:
        if self._aims and item != self._item:
            self._inner.set_target(self._targets[item])
            self._item = item

    def _aimed(self, x: Tensor, seed: NDArray[np.int64]) -> Any:
        """Stretches of points of one item, without its number, once the target is set."""
        items = x[:, 0].numpy().astype(np.int64)
        edges = np.flatnonzero(np.diff(items)) + 1
        for first, last in zip([0, *edges], [*edges, len(items)], strict=True):
            self._aim(int(items[first]))
            yield x[first:last, 1:], seed[first:last]

    def _all(self, x: Tensor, seed: NDArray[np.int64]) -> Any:
        """For each row of weights, the points of all items, and the row's seed for each."""
        numbers = np.arange(len(self._targets))
        for row, s in zip(x, seed, strict=True):
            outputs = torch.from_numpy(self._predict(row.detach().cpu().numpy(), self._training.inputs))
            yield torch.cat((torch.from_numpy(numbers).double()[:, None], outputs), 1), np.full(len(numbers), s)
