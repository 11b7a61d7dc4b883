"""Base of the searches that other libraries run: they ask for one value after the other."""

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

__all__ = ["Array", "Search"]

Array: TypeAlias = NDArray[np.float64]

_ROUNDING = 1e-14


@frozen(kw_only=True)
class Search(ExternalMethod):
    """A search by values alone, each point it asks for being an iteration of our loop; a subclass gives `search`."""

    requires: ClassVar[Order] = Order.FUN

    @abc.abstractmethod
    def search(self, fun: Callable[[Array], float], x0: Array, low: Array, high: Array, seed: int) -> Array:
        """Search from `x0` within bounds, which may be infinite, in units of `x_scale`; returns the answer."""

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """Hand over the value at `x` and go where the search wants to know the next one; costs no evaluation."""
        reply = estimate.fun
        if state.thread is None:
            state.thread = AskingThread(self._target(x, oracle))
        while True:
            # Only the search runs inside this block, so that its warnings go, and nobody else's.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                request = state.thread.send(reply)
            if state.thread.done:
                state.verdict = Status.FINISHED
                return oracle.project(torch.from_numpy(state.thread.result)), state
            asked = oracle.project(torch.from_numpy(request).to(x))
            # A point that comes back from another library's units, off by rounding, is the same one: as a step it would
            # pass for convergence.
            if not torch.allclose(asked, x, rtol=_ROUNDING, atol=_ROUNDING):
                return asked, state
            reply = estimate.fun

    def _target(self, x: Tensor, oracle: Oracle) -> Callable[[Callable[[Any], Any]], Array]:
        far = torch.full_like(x, torch.inf)
        low, high = oracle.project(-far).numpy().copy(), oracle.project(far).numpy().copy()
        start, seed = x.numpy().copy(), int(oracle.rng.integers(2**31 - 1))

        def target(ask: Callable[[Any], Any]) -> Array:
            found = self.search(lambda y: float(ask(np.array(y, dtype=np.float64))), start, low, high, seed)
            return np.array(found, dtype=np.float64)

        return target
