"""Functions of Dr.Jit values that are traced once and launched again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["MOST_RECORDINGS", "TRIALS", "Recorded", "owned", "unwrapped_interrupts"]

_logger = logging.getLogger("invopt.rendering")
# Calls of each kind that are compared with ordinary ones; later those whose number is a power of 2. Dr.Jit records the
# first call, records the second one anew with the changed literals as variables (`auto_opaque` of `dr.freeze`), and
# launches a recording for the first time in the third.
TRIALS = 3
# Recordings after which a function is traced each time, for each takes memory. Far above what is needed: the scene of
# tests/rendering/test_frozen.py, in which 11 kinds of parameters change in turn, has 2 recordings after 150 renders.
MOST_RECORDINGS = 24


class Recorded:
    """A function of Dr.Jit values that is traced once and launched again.

    Its results are the same bit for bit.

    Tracing a program takes about as long as running it for a small picture or a small batch. `dr.freeze` records what
    is launched and launches it again, with the buffers of its arguments. It finds only buffers that are reached from
    the *arguments*: a scene from the closure of the function gives results of the past. New buffers must be `owned`.

    The results are checked: the first calls of each kind, and a few later ones, are compared with ordinary calls. If
    any bit differs, if recording fails, or if too many recordings are needed, all later calls are ordinary ones.

    Parameters
    ----------
    function : callable
        Returns an array or a list of arrays. All that it reads of Dr.Jit's must be among its arguments, the scene too.
    late_checks : bool, default True
        Whether later calls are compared too, after each doubling of their number. Not where calls are timed.
    """

    def __init__(self, function: Callable[..., Any], *, late_checks: bool = True) -> None:
        import drjit as dr

        self._function = function
        self._late_checks = late_checks
        self._calls: Counter[Hashable] = Counter()
        # No warning of Dr.Jit's: recording ends before.
        self._frozen: Any = dr.freeze(function, limit=MOST_RECORDINGS, warn_after=2 * MOST_RECORDINGS)

    @property
    def recordings(self) -> int | None:
        """Number of recordings so far; None if calls are no longer recorded."""
        return None if self._frozen is None else int(self._frozen.n_recordings)

    def __call__(self, *arguments: Any, kind: Hashable = None) -> Any:
        """Result of the function.

        Parameters
        ----------
        *arguments
            Arguments of the function.
        kind : hashable, optional
            Arguments of another kind lead to another program, whose first results are compared too.
        """
        if self._frozen is None:
            return self.ordinary(*arguments)
        self._calls[kind] += 1
        try:
            with unwrapped_interrupts():
                found = self._frozen(*arguments)
        except Exception as error:  # noqa: BLE001 - plugins that cannot be recorded raise all kinds
            self._stop(str(error), error)
            return self.ordinary(*arguments)
        if self._is_compared(kind) and not _equal(found, self.ordinary(*arguments)):
            self._stop("a recorded result differs")
            return self.ordinary(*arguments)
        if self._frozen.n_recordings >= MOST_RECORDINGS:
            self._stop("the arguments change too much")
        return found

    def ordinary(self, *arguments: Any) -> Any:
        """Result of the function, traced anew."""
        with unwrapped_interrupts():
            return self._function(*arguments)

    def _is_compared(self, kind: Hashable) -> bool:
        count = self._calls[kind]
        return count <= TRIALS or (self._late_checks and count.bit_count() == 1)

    def _stop(self, reason: str, error: Exception | None = None) -> None:
        _logger.debug("invopt: every call is traced: %s", reason, exc_info=error)
        self._frozen = None


def _equal(one: Any, other: Any) -> bool:
    import drjit as dr

    # Together, in one launch.
    dr.eval(other)
    pairs = zip(one, other, strict=True) if isinstance(one, list) else [(one, other)]
    return all(np.array_equal(np.array(a), np.array(b), equal_nan=True) for a, b in pairs)


@contextmanager
def unwrapped_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt where Dr.Jit has wrapped it into a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            cause = cause.__cause__ or cause.__context__
        raise


def owned(value: Any) -> Any:
    """Copy an array into Dr.Jit's own memory, as new scene parameters must be.

    Dr.Jit takes over the memory of a NumPy array without copying. Where that memory is not aligned as Dr.Jit's own is,
    kernels recorded for other buffers give wrong pictures: one in three, for vertices.
    """
    import drjit as dr

    is_buffer = dr.is_tensor_v(value) or (dr.is_dynamic_v(value) and dr.depth_v(value) == 1)
    if not (is_buffer and dr.is_jit_v(value)):
        return value
    copied = value + dr.opaque(type(value.array if dr.is_tensor_v(value) else value), 0)
    dr.eval(copied)
    return copied
