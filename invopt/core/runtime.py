"""Runtime: what the evaluations of a problem need of the processes in which they happen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from invopt.core.machine.threads import one_for_this_process

__all__ = ["PLAIN", "Processes", "Runtime"]


class Processes(NamedTuple):
    """How many processes evaluate, and what their environment has beside this one's."""

    number: int
    environment: Mapping[str, str]


class Runtime:
    """What evaluations need of their processes: by default nothing. `Problem.runtime` names a problem's own.

    One that renders is `invopt.rendering.RENDERER`. Instances have no state, for they are sent to workers.

    Attributes
    ----------
    exclusive : bool
        Whether only one thread of a process may evaluate at a time, and for the length of a run. The cores are then the
        problem's: torch keeps to one thread during a run.
    """

    exclusive: bool = False

    def processes(self, problem: Any, asked: int) -> Processes:
        """Processes to start where `asked` are asked for, at least 2."""
        return Processes(asked, {})

    def enter_worker(self) -> None:
        """Prepare a process other than the run's, before the problem is opened in it.

        As many processes as cores, each with as many threads, would wait for each other.
        """
        one_for_this_process()

    def identity_of(self, problem: Any) -> dict[str, Any]:
        """What beside the problem decides the values of its evaluations, by name, for digests."""
        return {}


PLAIN = Runtime()
