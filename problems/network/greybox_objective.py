"""Objective of a grey box: the inner problem, whose target is set for each input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import ADJOINT, Adjoint, Capability, Objective, Problem

from .dataset import Dataset

__all__ = ["GreyBoxObjective"]

Predict: TypeAlias = Callable[[NDArray[np.float64], Any], NDArray[np.float64]]

# Held-out inputs that a picture shows side by side: a strip that fits on a page.
_PICTURED_ITEMS = 6


class GreyBoxObjective(Objective):
    """Objective of a grey box; it opens the inner problem once.

    A point of the methods named ``item_...`` is the number of an input followed by the inner problem's x.

    Parameters
    ----------
    inner : Problem
        The inner problem.
    training, held_out : Dataset
        Inputs and targets.
    predict : callable
        ``predict(w, inputs)`` returns the network's outputs with the weights `w`.
    """

    def __init__(self, inner: Problem, training: Dataset, held_out: Dataset, predict: Predict) -> None:
        self._training, self._held_out, self._predict = training, held_out, predict
        self._targets = training.targets
        self._has_targets = Capability.TARGET in inner.provides
        self._item = -1
        self._inner = inner.open()
        self.chunk_size = self._inner.chunk_size
        shape = held_out.targets.shape[1:]
        if self._inner.reference is not None and shape == self._inner.reference.shape:
            self.reference = np.concatenate(list(held_out.targets[:_PICTURED_ITEMS]), axis=1)

    def item_fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values of shape (k,) at points of shape (k, 1 + n)."""
        return torch.cat([self._inner.fun(rows, seed=s, spp=spp) for rows, s in self._by_item(x, seed)])

    def item_residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of shape (k, m) at points of shape (k, 1 + n)."""
        return torch.cat([self._inner.residuals(rows, seed=s, spp=spp) for rows, s in self._by_item(x, seed)])

    def item_value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and derivative of shape (n,) at a point of shape (1 + n,)."""
        self._set_target(int(x[0]))
        return self._inner.value_and_jac(x[1:], seed=seed, spp=spp, adjoint=adjoint)

    def item_hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Hessian of shape (n, n) at a point of shape (1 + n,)."""
        self._set_target(int(x[0]))
        return self._inner.hess(x[1:], seed=seed)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Means over all inputs, shape (k,), at weights of shape (k, N)."""
        return torch.stack([self.item_fun(rows, seed=s, spp=spp).mean() for rows, s in self._all_items(x, seed)])

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of all inputs, shape (k, n_items m), at weights of shape (k, N)."""
        return torch.stack(
            [self.item_residuals(rows, seed=s, spp=spp).reshape(-1) for rows, s in self._all_items(x, seed)]
        )

    @property
    def blind_spots(self) -> str:
        """What the derivative of the inner objective leaves out."""
        return self._inner.blind_spots

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Pictures at the network's outputs for the first held-out inputs, side by side."""
        if self.reference is None:
            return None
        outputs = self._predict(x, self._held_out.inputs[:_PICTURED_ITEMS])
        pictures = [self._inner.image(output, seed=seed, spp=spp) for output in outputs]
        found = [picture for picture in pictures if picture is not None]
        return np.concatenate(found, axis=1) if found else None

    def close(self) -> None:
        """Close the inner objective."""
        self._inner.close()

    def _set_target(self, item: int) -> None:
        if self._has_targets and item != self._item:
            self._inner.set_target(self._targets[item])
            self._item = item

    def _by_item(self, x: Tensor, seed: NDArray[np.int64]) -> Any:
        """Set each input's target; yield its points, without the number, and seeds."""
        items = x[:, 0].numpy().astype(np.int64)
        edges = np.flatnonzero(np.diff(items)) + 1
        for first, last in zip([0, *edges], [*edges, len(items)], strict=True):
            self._set_target(int(items[first]))
            yield x[first:last, 1:], seed[first:last]

    def _all_items(self, x: Tensor, seed: NDArray[np.int64]) -> Any:
        """Yield, for each row of weights, the points of all inputs and their seeds."""
        numbers = np.arange(len(self._targets))
        for row, s in zip(x, seed, strict=True):
            outputs = torch.from_numpy(self._predict(row.detach().cpu().numpy(), self._training.inputs))
            yield torch.cat((torch.from_numpy(numbers).double()[:, None], outputs), 1), np.full(len(numbers), s)
