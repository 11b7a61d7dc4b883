"""Session: the loop as ask and tell, for users who own theirs."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from invopt._inversion import Inversion
from invopt._loop import Loop
from invopt._prepare import prepare
from invopt._problem import Objective
from invopt._registry import find
from invopt._result import OptimizeResult, Status
from invopt._threads import one_thread
from invopt._validators import has_masked
from invopt._workers import has_weights

__all__ = ["Request", "Session"]


class Request(NamedTuple):
    """Points that want evaluating.

    Attributes
    ----------
    x : ndarray, shape (k, n)
        Points, inside the bounds, in the problem's own units.
    seed : ndarray of int64, shape (k,)
        Seed for the randomness of each evaluation; equal seeds mean common random numbers.
    """

    x: NDArray[np.float64]
    seed: NDArray[np.int64]


class Session:
    """The same loop as `minimize`, but the caller evaluates: ``ask``, evaluate, ``tell``, until ``done``.

    Parameters
    ----------
    problem : Problem, str or None
        What is minimised; its own objective is never opened. None where `x0` says enough.
    estimator, method, **options
        As in `minimize`; `workers` and `timeout` are refused, since the owner evaluates. An evaluation that failed is
        told as nan, whatever `failures` says.

    Examples
    --------
    >>> import invopt
    >>> with invopt.Session(x0=[2.0, 1.0], rng=0, maxfev=400) as session:
    ...     while not session.done:
    ...         request = session.ask()
    ...         session.tell((request.x**2).sum(axis=1))
    >>> bool(abs(session.result.x).max() < 1e-2)
    True
    """

    def __init__(self, problem: Any = None, estimator: Any = None, method: Any = None, **options: Any) -> None:
        if problem is None:
            if options.get("x0") is None:
                raise TypeError("'x0' is needed where 'problem' is None: Session(x0=[...])")
            problem = find("problems", "function")(fun=_never, x0=options["x0"])
        for name in ("workers", "timeout"):
            if options.pop(name, None) is not None:
                raise TypeError(f"{name!r} means nothing to a Session: its owner evaluates, in parallel or not")
        options.setdefault("progress", False)
        run = prepare(problem, estimator, method, **options)
        self._request: Request | None = None
        # The thread must not hold the session, or one that is dropped would never be collected.
        loops: list[Loop] = []
        self._inversion = Inversion(lambda ask: _run(loops[0]))
        self._loop = Loop(run=run, objective=_AskedObjective(self._inversion))
        loops.append(self._loop)
        self._finalizer = weakref.finalize(self, self._inversion.close)
        self._advance(None)

    def _advance(self, values: Tensor | None) -> None:
        self._request = self._inversion.send(values)

    @property
    def done(self) -> bool:
        """Whether the run has ended; then `result` is final."""
        return self._inversion.done

    @property
    def result(self) -> OptimizeResult:
        """The result, or what there is so far."""
        return self._loop.result()

    def ask(self) -> Request:
        """Points to evaluate; the same ones until `tell`."""
        if self._request is None:
            raise RuntimeError(f"the session has ended: {self.result.message}")
        return self._request

    def tell(self, values: ArrayLike) -> None:
        """Hand in the values of the points asked for, shape (k,); nan where an evaluation failed."""
        request = self.ask()
        if has_masked(values):
            raise ValueError(f"'values' must have no masked elements: give nan where an evaluation failed: {values!r}")
        array = np.array(values, dtype=np.float64)
        if array.shape != (len(request.x),):
            raise ValueError(f"'values' must have shape ({len(request.x)},), got {array.shape}")
        self._advance(torch.from_numpy(array))

    def close(self) -> None:
        """End the run; harmless if it has ended."""
        if not self.done:
            self._finalizer()
            self._loop.status = Status.CLOSED
        self._request = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _run(loop: Loop) -> OptimizeResult:
    problem = loop.run.problem
    # Only while the loop works: the owner's code, between an ask and a tell, has its own threads.
    with one_thread(renders=False, weights=has_weights(problem)):
        return loop.run_to_end()


class _AskedObjective(Objective):
    """Hands points out to the session's owner instead of evaluating them."""

    def __init__(self, inversion: Inversion) -> None:
        self._inversion = inversion

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        values = self._inversion.ask(Request(x.numpy().copy(), np.array(seed)))
        assert isinstance(values, Tensor)
        return values

    # Points for the items of a chain begin with the number of the item.
    item_fun = fun


def _never(x: NDArray[np.float64]) -> float:
    raise TypeError("a session's points are evaluated by its owner")
