"""Base of the searches by residuals."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen

from invopt.exceptions import IncompatibleError
from invopt.optimizers.external.point_search import Array, PointSearch
from invopt.plugin import Estimate

from .residual_value import ResidualEstimate

__all__ = ["Array", "ResidualSearch"]


@frozen(kw_only=True)
class ResidualSearch(PointSearch):
    """Base of the searches by residuals, with `ResidualValue` as estimator."""

    @abc.abstractmethod
    def search(self, residuals: Callable[[Array], Array], x0: Array, low: Array, high: Array, seed: int) -> Array:
        """Search from `x0` within bounds, in units of `x_scale`, and return the answer."""

    def answer(self, estimate: Estimate) -> Array:
        """Residuals at a point."""
        if not isinstance(estimate, ResidualEstimate):
            raise IncompatibleError(f"{type(self).__name__} needs residuals: its estimator must be ResidualValue")
        found: Array = estimate.residuals.numpy().astype(np.float64)
        return found

    def run(self, ask: Callable[[Array], Any], x0: Array, low: Array, high: Array, seed: int) -> Array:
        """Search by residuals."""
        return self.search(ask, x0, low, high, seed)
