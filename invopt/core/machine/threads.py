"""Thread counts of torch and BLAS.

One thread during a run, the user's own number in the user's code.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["native_threads", "one_for_this_process", "one_thread", "own_threads"]


class _Local(threading.local):
    """State of a thread.

    Whether a run limits it to one, and whether user code gets the user's number back.
    """

    held = False
    gives_back = False


_local = _Local()
_lock = threading.Lock()
# Runs that limit threads at this moment, and the user's numbers while there are any.
_holding = 0
_torch_threads = 1
_blas_threads: list[int] = []
_forked = False
# Threads that libraries with their own pool may start in this process; None leaves it to them.
_native_threads: int | None = None


def one_for_this_process() -> None:
    """Limit this process, a worker, to one thread.

    The limit holds for torch and for libraries that read `native_threads`.
    """
    global _native_threads
    _native_threads = 1
    torch.set_num_threads(1)


def native_threads() -> int | None:
    """Return the threads that a library with its own pool should start here.

    "Here" is this process; None stands for no limit.
    """
    return _native_threads


@contextmanager
def one_thread(*, renders: bool = False, weights: bool = False) -> Iterator[None]:
    """Limit torch and BLAS to one thread for a block, unless x is a network's weights.

    Points are small, and threads that wait for each other on busy cores can slow a run tenfold. If a problem renders,
    the renderer uses all cores, and the user's number is restored only at the end. In a forked process the threads of
    torch do not exist, and waiting for them would never end.
    """
    if _local.held or (weights and not renders and not _forked):
        yield
        return
    before = _local.gives_back
    _local.gives_back = not (renders or _forked)
    _hold()
    try:
        yield
    finally:
        _let_go()
        _local.gives_back = before


class own_threads:  # noqa: N801 - a context manager, as a class for its speed
    """Restore the user's number of threads for a block, within a run that limits them."""

    __slots__ = ("_gives_back",)

    def __enter__(self) -> None:
        self._gives_back = _local.held and _local.gives_back
        if self._gives_back:
            _let_go()

    def __exit__(self, *_: object) -> None:
        if self._gives_back:
            _hold()


def _hold() -> None:
    # Called around every call of `fun`, and therefore written for speed.
    global _holding, _torch_threads, _blas_threads
    # Torch takes over the number of the process when a thread asks first: later, it would undo the limit.
    threads = torch.get_num_threads()
    with _lock:
        if _holding == 0:
            _torch_threads, _blas_threads = threads, [get() for get, _ in _libraries()]
            for _, set_number in _libraries():
                set_number(1)
        _holding += 1
        torch.set_num_threads(1)
    _local.held = True


def _let_go() -> None:
    global _holding
    if not _local.held:
        # This process was forked while the limit was set.
        return
    _local.held = False
    with _lock:
        _holding -= 1
        # Torch has a number for each thread.
        torch.set_num_threads(_torch_threads)
        if _holding == 0:
            for (_, set_number), number in zip(_libraries(), _blas_threads, strict=True):
                set_number(number)


class _Library(NamedTuple):
    """Functions that get and set the number of threads of a BLAS library."""

    get: Callable[[], int]
    set: Callable[[int], object]


@cache
def _libraries() -> list[_Library]:
    """Return the BLAS libraries of numpy and scipy; torch's own follows torch."""
    found = ThreadpoolController().lib_controllers
    return [_library(controller) for controller in found if controller.user_api == "blas"]


def _library(controller: Any) -> _Library:
    """Return functions of the library itself, instead of threadpoolctl's.

    Those take 20 us, and since 3.8 set one thread of several.
    """
    if controller.internal_api == "openblas" and controller.threading_layer != "openmp":
        for prefix, suffix in product(("", "scipy_"), ("", "64_", "_64")):
            get, set_ = (f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("get", "set"))
            if hasattr(controller.dynlib, get):
                return _Library(getattr(controller.dynlib, get), getattr(controller.dynlib, set_))
    return _Library(controller.get_num_threads, controller.set_num_threads)


def _note_fork() -> None:
    global _lock, _holding, _forked
    _lock, _holding, _forked = threading.Lock(), 0, True
    _local.held = _local.gives_back = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
