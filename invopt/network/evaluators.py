"""Evaluators of a black box behind a network: of the chain and of one item."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.machine.clock import Clock
from invopt.core.objective import Capability, Objective
from invopt.core.problem import Chain, Link, Problem
from invopt.evaluate.budget import Budget
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.exceptions import NonFiniteError

__all__ = ["ChainEvaluator", "ItemEvaluator"]


class ItemEvaluator(CountingEvaluator):
    """Evaluator of the black box for one item of the data.

    Points are in units of the inner problem's `x_scale`.

    Parameters
    ----------
    outer : CountingEvaluator
        Evaluator of the chain, whose budget and counts this one uses.
    inner : Problem
        The inner problem.
    """

    prefix = "item_"

    def __init__(self, outer: CountingEvaluator, inner: Problem) -> None:
        box = inner.bounds
        limits = None if box is None else (torch.as_tensor(box.lb), torch.as_tensor(box.ub))
        scale = torch.from_numpy(inner.x_scale)
        super().__init__(outer.objective, inner.provides, scale, limits, outer.budget, inner.samples, clock=outer.clock)
        self.counts = outer.counts
        self._item = 0

    def of(self, item: int) -> ItemEvaluator:
        """The evaluator of another item."""
        other = copy.copy(self)
        other._item = int(item)
        return other

    def rows(self, x: Tensor) -> Tensor:
        """Points, each with the number of the item in front."""
        points = self.unscale(x)
        number = torch.full((*points.shape[:-1], 1), float(self._item), dtype=points.dtype)
        return torch.cat((number, points), -1)


class ChainEvaluator(CountingEvaluator):
    """Evaluator of a chain as a function of the weights, on the present minibatch.

    At first, on all items.

    Parameters
    ----------
    objective, provides, x_scale, bounds, budget
        As of `CountingEvaluator`.
    chain : Chain
        The network.
    clock : Clock
        Clock of the run.
    """

    def __init__(
        self,
        objective: Objective,
        provides: Capability,
        x_scale: Tensor,
        bounds: tuple[Tensor, Tensor] | None,
        budget: Budget,
        *,
        chain: Chain,
        clock: Clock,
    ) -> None:
        super().__init__(objective, provides, x_scale, bounds, budget, clock=clock)
        self.chain = chain
        self.items: NDArray[np.int64] = np.arange(chain.n_items)
        self.item = ItemEvaluator(self, chain.inner)

    def link(self, x: Tensor) -> Link:
        """The network at `x` on the minibatch, with its derivatives."""
        link = self.chain.link(self.unscale(x), self.items)
        if not bool(torch.isfinite(link.x).all()):
            raise NonFiniteError(
                "the network's output is not finite; use shorter steps, such as a smaller learning rate"
            )
        if self._unit:
            return link
        return Link(link.x, lambda g: link.vjp(g) * self.x_scale, lambda v: link.jvp(v * self.x_scale))

    def _run(self, name: str, x: Tensor, seed: NDArray[np.int64], spp: int | None, *, keep_inf: bool = False) -> Tensor:
        """Means of the values over the minibatch; residuals of all its items in one row."""
        found, options = [], {"keep_inf": keep_inf} if name == "fun" else {}
        for row, s in zip(x, seed, strict=True):
            outputs = self.link(row).x / self.item.x_scale
            parts = [
                getattr(self.item.of(item), name)(point[None], seed=np.array([s]), spp=spp, **options)
                for item, point in zip(self.items.tolist(), outputs, strict=True)
            ]
            found.append(torch.stack(parts).mean(0) if name == "fun" else torch.cat(parts, 1))
        return torch.cat(found)
