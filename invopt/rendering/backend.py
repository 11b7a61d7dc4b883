"""Choice of the renderer's backend: the user's, else CUDA, else LLVM, else scalar. One process holds one."""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import sys
from collections.abc import Iterator

from attrs import frozen

from invopt.core.formatting import shown
from invopt.core.machine.threads import native_threads
from invopt.core.machine.turn import one_at_a_time
from invopt.exceptions import BackendError, suggest
from invopt.rendering.device import cuda, install, llvm
from invopt.rendering.device.probe import missing_packages

__all__ = ["ENVIRONMENT", "Backend", "Choice", "activate", "active", "choose", "foresee", "set_threads", "two_threads"]

ENVIRONMENT = "INVOPT_BACKEND"
# Without a handler of the user's, Python prints its warnings to stderr as they are: one line.
_logger = logging.getLogger("invopt.rendering")
_said: set[str] = set()
# Threads asked for before there was a backend.
_threads: int | None = None


class Backend(enum.Enum):
    """How rays are traced: CUDA on a GPU, LLVM on all cores with compiled kernels, SCALAR one ray at a time."""

    CUDA = "cuda"
    LLVM = "llvm"
    SCALAR = "scalar"

    @property
    def variant(self) -> str:
        """Mitsuba's name; the compiled ones are those that can differentiate."""
        return "scalar_rgb" if self is Backend.SCALAR else f"{self.value}_ad_rgb"

    @classmethod
    def parse(cls, value: Backend | str) -> Backend:
        """Return the member that `value` is or names."""
        try:
            return cls(value)
        except ValueError:
            raise BackendError(
                f"unknown backend {shown(value)}; {suggest(str(value), [backend.value for backend in cls])}"
            ) from None


@frozen
class Choice:
    """Backend chosen for this machine.

    Parameters
    ----------
    backend : Backend
        What to render with.
    library : Library or None
        The LLVM library, where that is the backend.
    note : str, default ""
        What was wanted and not found, in one line; empty if nothing.
    """

    backend: Backend
    library: llvm.Library | None = None
    note: str = ""


def choose(backend: Backend | str | None = None) -> Choice:
    """Choose a backend without loading Mitsuba or Dr.Jit.

    Parameters
    ----------
    backend : Backend or str, optional
        "cuda", "llvm" or "scalar"; by default the environment variable INVOPT_BACKEND, else the best usable one.

    Raises
    ------
    BackendError
        If the one asked for is not usable on this machine.
    """
    if missing := missing_packages():
        raise BackendError(f"Dr.Jit cannot be loaded without {', '.join(missing)}; run: {install.advice()}")
    wanted = backend or os.environ.get(ENVIRONMENT) or None
    if wanted is not None:
        return _asked_for(Backend.parse(wanted))
    usable, why = cuda.verdict()
    if usable:
        return Choice(Backend.CUDA)
    notes = [f"CUDA is not usable: {why}"] if cuda.devices()[0] else []
    library = llvm.find()
    notes += _note_on_environment()
    if library is not None:
        notes += [f"rendering with LLVM {library.version}"] if notes else []
        return Choice(Backend.LLVM, library, "; ".join(notes))
    notes += ["no usable LLVM, rendering with the slower scalar backend", f"to speed it up: {install.advice()}"]
    return Choice(Backend.SCALAR, note="; ".join(notes))


def activate(backend: Backend | str | None = None) -> Backend:
    """Load Mitsuba with the chosen backend; later calls return the one that the process holds.

    Parameters
    ----------
    backend : Backend or str, optional
        As in `choose`.

    Raises
    ------
    BackendError
        If the one asked for is not usable, or the process already holds another variant.
    """
    wanted = backend or os.environ.get(ENVIRONMENT) or None
    asked = None if wanted is None else Backend.parse(wanted)
    if (held := active()) is not None:
        if asked not in (None, held):
            raise BackendError(
                f"backend {asked.value!r} was asked for, but this process already renders with {held.value!r}, and "
                f"one process holds one: start another with {ENVIRONMENT}={asked.value}"
            )
        return held
    with one_at_a_time():
        # Another thread may have loaded it meanwhile.
        return activate(asked) if active() is not None else _load(asked)


def _load(asked: Backend | None) -> Backend:
    choice = choose(asked)
    if choice.library is not None:
        # Dr.Jit reads it when its LLVM backend starts, which importing it does not do.
        os.environ[llvm.ENVIRONMENT] = str(choice.library.path)
    _say_once(choice.note)
    _set_variant(choice.backend, asked)
    _apply_threads()
    return _held()


def foresee(backend: Backend | str | None = None) -> Backend:
    """Backend that `activate` would load or find loaded, without loading anything."""
    wanted = backend or os.environ.get(ENVIRONMENT) or None
    if wanted is None and (held := active()) is not None:
        return held
    choice = choose(wanted)
    _say_once(choice.note)
    return choice.backend


def active() -> Backend | None:
    """Backend of the variant that this process holds, by our doing or the user's; None if there is none yet.

    Raises
    ------
    BackendError
        If the user set a variant that has no RGB images.
    """
    if "mitsuba" not in sys.modules:
        return None
    # Waits where another thread is still importing it.
    import mitsuba

    variant: str | None = mitsuba.variant()
    if variant is None:
        return None
    if not variant.endswith("_rgb"):
        raise BackendError(
            f"Mitsuba's variant {variant!r} was set before and has no RGB images; call "
            f"mitsuba.set_variant('llvm_ad_rgb') instead, or none"
        )
    return Backend(variant.split("_")[0])


def set_threads(renderer: int, torch: int = 1) -> None:
    """Number of threads of the renderer and of torch; together they should not exceed the cores.

    Parameters
    ----------
    renderer : int
        Threads that render on the CPU, at least 1; without an active backend, those of the next one.
    torch : int, default 1
        Threads of torch: the tensors here are small, and idle threads of two pools get in each other's way.
    """
    global _threads
    import torch as torch_module

    if renderer < 1 or torch < 1:
        raise ValueError(f"'renderer' and 'torch' must be >= 1: {renderer!r}, {torch!r}")
    torch_module.set_num_threads(torch)
    _threads = renderer
    if active() is not None:
        _apply_threads()


@contextlib.contextmanager
def two_threads() -> Iterator[None]:
    """Let the renderer have a second thread while it reads or writes files; its number is put back.

    Mitsuba hands the decoding of an EXR to Dr.Jit's threads and waits; the only one there is then waits for itself.
    """
    if active() is None:
        yield
        return
    import drjit

    threads = drjit.thread_count()
    if threads >= 2:
        yield
        return
    drjit.set_thread_count(2)
    try:
        yield
    finally:
        drjit.set_thread_count(threads)


def _apply_threads() -> None:
    threads = native_threads() if _threads is None else _threads
    if threads is not None:
        import drjit

        drjit.set_thread_count(threads)


def _asked_for(backend: Backend) -> Choice:
    if backend is Backend.CUDA:
        usable, why = cuda.verdict()
        if not usable:
            raise BackendError(f"backend 'cuda' is not usable: {why}; run: invopt doctor")
        return Choice(backend)
    if backend is Backend.LLVM:
        library = llvm.find()
        if library is None:
            why = "; ".join([*_note_on_environment(), "no usable LLVM library was found"])
            raise BackendError(f"backend 'llvm' is not usable: {why}; run: {install.advice()}")
        return Choice(backend, library, "; ".join(_note_on_environment()))
    return Choice(backend)


def _note_on_environment() -> list[str]:
    own = llvm.from_environment()
    if own is None or own.verdict()[0]:
        return []
    return [f"{llvm.ENVIRONMENT}={os.environ[llvm.ENVIRONMENT]} is ignored: {own.verdict()[1]}"]


def _set_variant(backend: Backend, asked: Backend | None) -> None:
    # Importing Dr.Jit complains of a missing LLVM, which is no news where the scalar backend was chosen.
    with _quiet() if backend is Backend.SCALAR else contextlib.nullcontext():
        import mitsuba

    mitsuba.set_variant(backend.variant)
    if backend is not Backend.LLVM:
        return
    import drjit

    if drjit.has_backend(drjit.JitBackend.LLVM):
        return
    # The user's code started Dr.Jit with a bad library before: it cannot be replaced in this process.
    why = f"Dr.Jit was started with an unusable LLVM before: set {llvm.ENVIRONMENT} before importing it"
    if asked is not None:
        raise BackendError(f"backend 'llvm' is not usable: {why}")
    _say_once(f"{why}; rendering with the slower scalar backend")
    mitsuba.set_variant(Backend.SCALAR.variant)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what compiled code writes to stderr, past Python's own."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _held() -> Backend:
    held = active()
    if held is None:
        raise BackendError("no backend is active: call invopt.rendering.activate() first")
    return held


def _say_once(line: str) -> None:
    if line and line not in _said:
        _said.add(line)
        _logger.warning("invopt: %s", line)
