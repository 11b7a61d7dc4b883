"""Base of the searches of other libraries.

They ask for one point after the other, and are told its value or its residuals.
"""

from __future__ import annotations

import abc
import warnings
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import AskingThread, Estimate, Oracle, Order, Status

from .external_method import ExternalMethod

__all__ = ["Array", "PointSearch"]

Array: TypeAlias = NDArray[np.float64]

# Relative difference up to which two points are the same: 45 times the machine precision of float64.
_SAME_POINT = 1e-14


@frozen(kw_only=True)
class PointSearch(ExternalMethod):
    """Base of the searches by values or residuals.

    Each point is an iteration of the loop.
    """

    requires: ClassVar[Order] = Order.FUN

    @abc.abstractmethod
    def answer(self, estimate: Estimate) -> Any:
        """Return what the search is told about a point."""

    @abc.abstractmethod
    def run(self, ask: Callable[[Array], Any], x0: Array, low: Array, high: Array, seed: int) -> Array:
        """Search from `x0` within bounds, in units of `x_scale`, and return the answer."""

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """Go to the point for which the search asks next; costs no evaluation."""
        reply = self.answer(estimate)
        if state.thread is None:
            state.thread = AskingThread(self._target(x, oracle))
        while True:
            # Only the search runs inside this block, so that only its warnings are suppressed.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                request = state.thread.send(reply)
            if state.thread.done:
                state.verdict = Status.FINISHED
                return oracle.project(torch.from_numpy(state.thread.result)), state
            asked = oracle.project(torch.from_numpy(request).to(x))
            # A point that differs by rounding, after a change of units, is the same point. A step that short would look
            # like convergence.
            if not torch.allclose(asked, x, rtol=_SAME_POINT, atol=_SAME_POINT):
                return asked, state
            reply = self.answer(estimate)

    def _target(self, x: Tensor, oracle: Oracle) -> Callable[[Callable[[Any], Any]], Array]:
        far = torch.full_like(x, torch.inf)
        low, high = oracle.project(-far).numpy().copy(), oracle.project(far).numpy().copy()
        start, seed = x.numpy().copy(), int(oracle.rng.integers(2**31 - 1))

        def target(ask: Callable[[Any], Any]) -> Array:
            found = self.run(lambda y: ask(np.array(y, dtype=np.float64)), start, low, high, seed)
            return np.array(found, dtype=np.float64)

        return target
