"""SharedObjective: the objective of a run whose evaluations are made by workers."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.objective import ADJOINT, Adjoint, Objective
from invopt.core.outcome import UNLIMITED, Arrived, Chunk, Limits, Outcome
from invopt.evaluate.workers.engines import Engine, PoolEngine
from invopt.evaluate.workers.held_objective import release
from invopt.evaluate.workers.messages import Call, Payload, Reply

__all__ = ["SharedObjective"]


class SharedObjective(Objective):
    """Objective whose values workers compute.

    They come back in the order of the points.

    Parameters
    ----------
    payload : Payload
        The problem.
    engine : MapEngine, ExecutorEngine or PoolEngine
        Carries calls to the workers.
    """

    def __init__(self, payload: Payload, engine: Engine) -> None:
        self._payload = payload
        self._engine = engine
        self._blind_spots = ""
        try:
            self.describe_as(_value(engine.start()))
        except BaseException:
            self.close()
            raise

    def evaluate(
        self,
        name: str,
        chunks: Sequence[Chunk],
        *,
        spp: int | None = None,
        limits: Limits = UNLIMITED,
        adjoint: Adjoint = ADJOINT,
        arrived: Arrived | None = None,
    ) -> Generator[Outcome | None]:
        """Have idle workers evaluate the chunks.

        At the deadline, those that are not finished are given up.
        """
        until = time.time() + limits.deadline - time.perf_counter()
        calls = [Call(i, name, rows.numpy(), seeds, spp, until, adjoint) for i, (rows, seeds) in enumerate(chunks)]
        outcomes: dict[int, Outcome] = {}

        def on_reply(reply: Reply) -> None:
            outcomes[reply.index] = self._outcome(reply)
            if arrived is not None:
                arrived(reply.index, outcomes[reply.index])

        with closing(self._engine.replies(calls, limits, on_reply)) as replies:
            for reply in replies:
                yield None if reply.late else outcomes.pop(reply.index)

    def _outcome(self, reply: Reply) -> Outcome:
        if reply.failure is not None:
            error = reply.failure.exception()
            if reply.unopened or not isinstance(error, Exception):
                raise error
            return Outcome(None, error, reply.seconds, reply.worker)
        self._blind_spots = reply.blind_spots
        return Outcome(torch.from_numpy(reply.value), None, reply.seconds, reply.worker)

    def _ask(self, name: str, x: Any, seed: Any = None, spp: int | None = None) -> Any:
        point = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
        (reply,) = self._engine.replies([Call(0, name, point, seed, spp)], UNLIMITED)
        return _value(reply)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values at all rows, by one worker."""
        return torch.from_numpy(self._ask("fun", x, seed, spp))

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals at all rows, by one worker."""
        return torch.from_numpy(self._ask("residuals", x, seed, spp))

    def jac(self, x: Tensor, *, seed: int) -> Tensor:
        """Derivative, by one worker."""
        return torch.from_numpy(self._ask("jac", x, seed))

    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and derivative together, by one worker, whose blind spots are then known."""
        (outcome,) = self.evaluate("value_and_jac", [Chunk(x[None], np.array([seed]))], spp=spp, adjoint=adjoint)
        assert outcome is not None
        if outcome.failure is not None:
            raise outcome.failure
        assert outcome.values is not None
        return float(outcome.values[0, 0]), outcome.values[0, 1:]

    @property
    def blind_spots(self) -> str:
        """What the last derivative is known to leave out, as a sentence.

        Empty if nothing.
        """
        return self._blind_spots

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Hessian, by one worker."""
        return self._hessian("hess", x, seed)

    def item_hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Hessian for one item of a network's data, by one worker."""
        return self._hessian("item_hess", x, seed)

    def _hessian(self, name: str, x: Tensor, seed: int) -> Tensor:
        (outcome,) = self.evaluate(name, [Chunk(x[None], np.array([seed]))])
        if outcome is None or outcome.values is None:
            raise (
                outcome.failure
                if outcome is not None and outcome.failure is not None
                else RuntimeError("no answer came")
            )
        size = math.isqrt(outcome.values.numel())
        return outcome.values.reshape(size, size)

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Rendered image, by one worker."""
        picture: NDArray[Any] | None = self._ask("image", x, seed, spp)
        return picture

    def close(self) -> None:
        """End the processes that were started for this run."""
        try:
            self._engine.close()
        finally:
            if not isinstance(self._engine, PoolEngine):
                # A map or an executor of threads has opened it in this process.
                release(self._payload.problem)


def _value(reply: Reply) -> Any:
    if reply.failure is not None:
        raise reply.failure.exception()
    return reply.value
