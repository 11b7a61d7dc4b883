"""Service: what processes of a pool do, and the meaning of a lost request."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Any, ClassVar

from attrs import frozen

__all__ = ["Loss", "Service"]


@frozen(kw_only=True, eq=False)
class Loss:
    """Why a request has no reply: its process died, or was ended for taking too long.

    Attributes
    ----------
    how : str
        How the process ended: "exit code 3", "killed by signal 9".
    timeout : float or None
        Time limit in seconds, if the process was ended because of it.
    opening : bool
        Whether the process was lost while it opened the service, before it could take a request.
    seconds : float
        Time since the process began with the request.
    worker : str
        Host and number of the process.
    log : Path or None
        File with what the process printed; None for the stderr of this process.
    """

    how: str
    timeout: float | None = None
    opening: bool = False
    seconds: float = 0.0
    worker: str = ""
    log: Path | None = None


class Service(abc.ABC):
    """What each process of a pool does. It is pickled once into each process.

    Attributes
    ----------
    repeats : bool
        Whether a request is repeated once in a new process if its process died.
    """

    repeats: ClassVar[bool] = False

    # In the process.

    @abc.abstractmethod
    def open(self) -> Any:
        """Prepare for requests; the result is sent to the parent."""

    @abc.abstractmethod
    def answer(self, request: Any) -> Any:
        """Reply to a request."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release what `open` and `answer` have opened."""

    # In the parent.

    @abc.abstractmethod
    def lost(self, request: Any, loss: Loss) -> Any:
        """Reply that stands for a lost one, or an exception.

        `request` is None if none was waiting.
        """

    @abc.abstractmethod
    def check_opened(self, result: Any) -> None:
        """Raise if the result of `open` says that no request can succeed."""
