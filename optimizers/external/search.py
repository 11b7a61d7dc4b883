"""Base of the searches of other libraries.

They ask for one value after the other.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

from attrs import frozen

from invopt.plugin import Estimate

from .point_search import Array, PointSearch

__all__ = ["Array", "Search"]


@frozen(kw_only=True)
class Search(PointSearch):
    """Base of the searches by values alone; each point is an iteration of the loop."""

    @abc.abstractmethod
    def search(self, fun: Callable[[Array], float], x0: Array, low: Array, high: Array, seed: int) -> Array:
        """Search from `x0` within bounds, in units of `x_scale`, and return the answer."""

    def answer(self, estimate: Estimate) -> float:
        """Value at a point."""
        return estimate.fun

    def run(self, ask: Callable[[Array], Any], x0: Array, low: Array, high: Array, seed: int) -> Array:
        """Search by values."""
        return self.search(lambda y: float(ask(y)), x0, low, high, seed)
