"""Service of worker processes: evaluate the objective of a run."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from invopt.evaluate.processes.service import Loss, Service
from invopt.evaluate.workers.held_objective import evaluate, release
from invopt.evaluate.workers.messages import Call, Failure, Payload, Reply
from invopt.exceptions import EvaluationError, EvaluationTimeoutError

__all__ = ["ObjectiveService"]

_OVERDUE = "the evaluation did not end within 'timeout' = {:g} s; its process was ended and is replaced"
_DIED = (
    "a worker process died ({}) after one restart; what it printed is on stderr; to see the failure in a debugger, "
    "leave out 'workers'"
)


@frozen(eq=False)
class ObjectiveService(Service):
    """Evaluates in each process of a pool.

    Parameters
    ----------
    payload : Payload
        The problem.
    """

    # A process may die for reasons outside of the evaluation, such as lack of memory: one repetition tells.
    repeats: ClassVar[bool] = True

    payload: Payload

    def open(self) -> Reply:
        """Open the problem; a description of its objective, or the failure."""
        return evaluate(self.payload, Call())

    def answer(self, request: Call) -> Reply:
        """Evaluate."""
        return evaluate(self.payload, request)

    def close(self) -> None:
        """Close the objective."""
        release()

    def lost(self, request: Call | None, loss: Loss) -> Reply:
        """A failed evaluation; EvaluationError if no process can open the problem."""
        if loss.opening or request is None:
            raise EvaluationError(_DIED.format(loss.how))
        error: EvaluationError
        if loss.timeout is not None:
            error = EvaluationTimeoutError(_OVERDUE.format(loss.timeout))
        else:
            error = EvaluationError(_DIED.format(loss.how))
        return Reply(request.index, failure=Failure.here(error), seconds=loss.seconds, worker=loss.worker)

    def check_opened(self, result: Reply) -> None:
        """Raise what was raised when the problem was opened."""
        if result.failure is not None:
            raise result.failure.exception()
