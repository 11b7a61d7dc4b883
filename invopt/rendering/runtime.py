"""Runtime of problems that render: threads and processes that evaluate them."""

from __future__ import annotations

import logging
import os
from typing import Any

from invopt.core.runtime import Processes, Runtime
from invopt.exceptions import BackendError
from invopt.rendering.backend import active, foresee, set_threads
from invopt.rendering.choice import ENVIRONMENT, Backend

__all__ = ["RENDERER", "Renderer"]

_logger = logging.getLogger("invopt.workers")
_forked_with_renderer = False


# Why one thread at a time. Measured with Mitsuba 3.9.1, Dr.Jit 1.5.0 and LLVM: any thread may render, but two threads
# may not render at once:
# - two runs, each with a scene of its own: 3 of 8 processes ended with SIGABRT or an error ("variable is referenced by
#   a recorded function call, but was evaluated between the recording step and code generation"), 2 of 8 had wrong
#   numbers. Threads share the state in which Dr.Jit records, so that one evaluates what another records.
# - two derivatives: 8 of 8 failed ("variable remains dirty despite an attempt to evaluate it").
# - the first import of Mitsuba: 3 of 3 failed ("module 'mitsuba' has no attribute 'set_variant'").
# With one render at a time, 8 of 8 were right. One run at a time also means one scene in memory: in LLVM mode, a second
# scene slows every render.


class Renderer(Runtime):
    """Runtime of a problem that renders with Mitsuba.

    The attribute `backend` of the problem names the backend, if it has one.

    In a process, one thread renders at a time. Workers render on the backend of this process. A GPU has one process.
    A process forked from one that renders cannot render.
    """

    exclusive = True

    def processes(self, problem: Any, asked: int) -> Processes:
        """One process if a GPU renders, else as many as asked.

        An environment variable tells the processes the backend.
        """
        backend = foresee(getattr(problem, "backend", None))
        if backend is Backend.CUDA:
            _logger.warning("invopt: only one process can use the GPU: workers=%d is reduced to 1", asked)
            asked = 1
        return Processes(asked, {ENVIRONMENT: backend.value})

    def enter_worker(self) -> None:
        """Set one thread for the renderer, one for torch."""
        if _forked_with_renderer:
            raise BackendError(
                "a process forked from one that renders cannot render; give ProcessPoolExecutor "
                "mp_context=multiprocessing.get_context('spawn')"
            )
        set_threads(1, 1)

    def identity_of(self, problem: Any) -> dict[str, Any]:
        """Whether the backend is scalar.

        With equal seeds its random numbers differ from those of the others.
        """
        return {"backend": foresee(getattr(problem, "backend", None)) is Backend.SCALAR}


RENDERER = Renderer()


def _note_fork() -> None:
    global _forked_with_renderer
    _forked_with_renderer = active() is not None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
