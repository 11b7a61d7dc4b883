"""Runtime: requirements of a problem on the processes that evaluate it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from invopt.core.machine.threads import one_for_this_process

__all__ = ["PLAIN", "Processes", "Runtime"]


class Processes(NamedTuple):
    """Number of processes to start, and variables to add to their environment."""

    number: int
    environment: Mapping[str, str]


class Runtime:
    """Requirements on the processes that evaluate a problem; this base class has none.

    `Problem.runtime` names a problem's own; problems that render have `invopt.rendering.RENDERER`. Instances have no
    state, because they are sent to workers.

    Attributes
    ----------
    exclusive : bool
        Whether only one thread of a process may evaluate, for the duration of a run. The problem then uses all cores,
        and torch uses one thread during a run.
    """

    exclusive: bool = False

    def processes(self, problem: Any, asked: int) -> Processes:
        """Processes to start where the user asks for `asked`, at least 2."""
        return Processes(asked, {})

    def enter_worker(self) -> None:
        """Prepare a worker process before the problem is opened in it.

        Torch is limited to one thread: one process per core, each with one thread per core, would oversubscribe them.
        """
        one_for_this_process()

    def identity_of(self, problem: Any) -> dict[str, Any]:
        """Settings outside the problem that its values depend on, by name, for digests."""
        return {}


PLAIN = Runtime()
