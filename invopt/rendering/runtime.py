"""What problems that render need of the processes in which they are evaluated."""

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


# Why one thread at a time. Measured with Mitsuba 3.9.1, Dr.Jit 1.5.0 and LLVM: a second thread may render, but two at a
# time may not:
# - two runs, each with a scene of its own: 3 of 8 processes ended by SIGABRT or an error ("variable is referenced by a
#   recorded function call, but was evaluated between the recording step and code generation"), 2 of 8 had wrong
#   numbers. Dr.Jit keeps what it records in state that threads share, and one evaluates what another records.
# - two derivatives: 8 of 8 failed ("variable remains dirty despite an attempt to evaluate it").
# - the first import of Mitsuba: 3 of 3 failed ("module 'mitsuba' has no attribute 'set_variant'").
# Renders that wait for each other, one by one, were right in 8 of 8. A turn of a whole run also keeps to one scene in
# memory: in LLVM mode a second one slows every render.


class Renderer(Runtime):
    """Runtime of a problem that renders with Mitsuba; on which backend, its attribute `backend` says, if it has one.

    One thread of a process renders at a time, workers render on the backend of this process, one process owns a GPU,
    and a process forked from one that renders cannot render.
    """

    exclusive = True

    def processes(self, problem: Any, asked: int) -> Processes:
        """One where a GPU renders; the environment tells workers the backend."""
        backend = foresee(getattr(problem, "backend", None))
        if backend is Backend.CUDA:
            _logger.warning("invopt: one process owns the GPU: workers=%d is reduced to 1", asked)
            asked = 1
        return Processes(asked, {ENVIRONMENT: backend.value})

    def enter_worker(self) -> None:
        """One thread for the renderer, one for torch."""
        if _forked_with_renderer:
            raise BackendError(
                "a process forked from one that renders cannot render; give ProcessPoolExecutor "
                "mp_context=multiprocessing.get_context('spawn')"
            )
        set_threads(1, 1)

    def identity_of(self, problem: Any) -> dict[str, Any]:
        """Whether the backend is the scalar one: with one seed, the vectorised ones draw alike, and it otherwise."""
        return {"backend": foresee(getattr(problem, "backend", None)) is Backend.SCALAR}


RENDERER = Renderer()


def _note_fork() -> None:
    global _forked_with_renderer
    _forked_with_renderer = active() is not None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
