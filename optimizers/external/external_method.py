"""Base of the methods of other libraries, which call the objective themselves."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from torch import Tensor

from invopt.plugin import AskingThread, Optimizer, Status

__all__ = ["ExternalMethod", "ExternalRun"]


class ExternalRun:
    """State of a method in its thread; the only state that is changed in place."""

    def __init__(self) -> None:
        self.thread: AskingThread | None = None
        self.waiting = False
        self.verdict = Status.RUNNING


@frozen
class ExternalMethod(Optimizer):
    """Base of the methods in a thread that runs only while the loop waits for it."""

    def init(self, x0: Tensor) -> Any:
        """State of a run that has not begun."""
        return ExternalRun()

    def status(self, state: Any) -> Status:
        """FINISHED once the method has converged, or the reason why it has not."""
        verdict: Status = state.verdict
        return verdict

    def close(self, state: Any) -> None:
        """End the method's thread."""
        if state.thread is not None:
            state.thread.close()
