"""The active backend of the renderer, and its number of threads."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from invopt.core.machine.threads import native_threads
from invopt.core.machine.turn import one_at_a_time
from invopt.exceptions import BackendError
from invopt.rendering.choice import ENVIRONMENT, Backend, choose
from invopt.rendering.device import llvm
from invopt.rendering.notes import warn_once

__all__ = ["Backend", "activate", "active", "foresee", "set_threads", "two_threads"]

# Threads of the renderer, requested before a backend was active.
_threads: int | None = None


def activate(backend: Backend | str | None = None) -> Backend:
    """Load Mitsuba with the chosen backend; later calls return the active one.

    Parameters
    ----------
    backend : Backend or str, optional
        As in `choose`.

    Raises
    ------
    BackendError
        If the requested backend is not usable, or another one is active in this process.
    """
    wanted = backend or os.environ.get(ENVIRONMENT) or None
    asked = None if wanted is None else Backend.parse(wanted)
    if (held := active()) is not None:
        if asked not in (None, held):
            raise BackendError(
                f"backend {asked.value!r} was requested, but this process already renders with {held.value!r}, and a "
                f"process cannot change its backend: start another process with {ENVIRONMENT}={asked.value}"
            )
        return held
    with one_at_a_time():
        # Another thread may have loaded it in the meantime.
        return activate(asked) if active() is not None else _load(asked)


def _load(asked: Backend | None) -> Backend:
    choice = choose(asked)
    if choice.library is not None:
        # Dr.Jit reads the variable when its LLVM backend starts, which is after the import.
        os.environ[llvm.ENVIRONMENT] = str(choice.library.path)
    warn_once(choice.note)
    _set_variant(choice.backend, asked)
    _apply_threads()
    return _held()


def foresee(backend: Backend | str | None = None) -> Backend:
    """Return the backend that `activate` would return, without loading anything."""
    wanted = backend or os.environ.get(ENVIRONMENT) or None
    if wanted is None and (held := active()) is not None:
        return held
    choice = choose(wanted)
    warn_once(choice.note)
    return choice.backend


def active() -> Backend | None:
    """Return the backend of the variant that is set in this process; None if none is.

    The user may have set it, as well as `activate`.

    Raises
    ------
    BackendError
        If the user set a variant without RGB images.
    """
    if "mitsuba" not in sys.modules:
        return None
    # Waits while another thread is importing it.
    import mitsuba

    variant: str | None = mitsuba.variant()
    if variant is None:
        return None
    if not variant.endswith("_rgb"):
        raise BackendError(
            f"Mitsuba's variant {variant!r} was set before and has no RGB images: call "
            f"mitsuba.set_variant('llvm_ad_rgb') instead, or set no variant"
        )
    return Backend(variant.split("_")[0])


def set_threads(renderer: int, torch: int = 1) -> None:
    """Set the number of threads of the renderer and of torch.

    Their sum should not exceed the number of cores.

    Parameters
    ----------
    renderer : int
        Threads that render on the CPU, at least 1; before a backend is active, those of the next one.
    torch : int, default 1
        Threads of torch, at least 1. The tensors are small, and idle threads of torch slow the renderer's.
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
    """Give the renderer at least two threads while it reads or writes files.

    Mitsuba decodes an EXR file in Dr.Jit's threads and waits for them. A single thread would wait for itself.
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


def _set_variant(backend: Backend, asked: Backend | None) -> None:
    # On import, Dr.Jit prints a complaint about a missing LLVM, which the scalar backend does not need.
    with _quiet() if backend is Backend.SCALAR else contextlib.nullcontext():
        import mitsuba

    mitsuba.set_variant(backend.variant)
    if backend is not Backend.LLVM:
        return
    import drjit

    if drjit.has_backend(drjit.JitBackend.LLVM):
        return
    # The user's code has started Dr.Jit with an unusable library, which cannot be replaced in this process.
    why = f"Dr.Jit was started with an unusable LLVM before: set {llvm.ENVIRONMENT} before importing it"
    if asked is not None:
        raise BackendError(f"backend 'llvm' is not usable: {why}")
    warn_once(f"{why}; rendering with the slower scalar backend")
    mitsuba.set_variant(Backend.SCALAR.variant)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard what compiled code writes to stderr, past Python's sys.stderr."""
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
