"""Base of the methods that other libraries run: they ask, where ours are asked."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from torch import Tensor

from invopt.plugin import AskingThread, Optimizer, Status

__all__ = ["ExternalMethod", "ExternalRun"]


class ExternalRun:
    """A method in its thread, and what passes between the two; the one state that is changed in place."""

    def __init__(self) -> None:
        self.thread: AskingThread | None = None
        self.waiting = False
        self.verdict = Status.RUNNING


@frozen
class ExternalMethod(Optimizer):
    """A method that runs in a thread of its own, which goes on only while the loop waits for it."""

    def init(self, x0: Tensor) -> Any:
        """Prepare a run that has not begun."""
        return ExternalRun()

    def status(self, state: Any) -> Status:
        """FINISHED when the method has converged, or why it has not."""
        verdict: Status = state.verdict
        return verdict

    def close(self, state: Any) -> None:
        """Unwind the method's thread."""
        if state.thread is not None:
            state.thread.close()
