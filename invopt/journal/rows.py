"""Evaluations as rows of a journal, each with a checksum."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from invopt.journal.coding import decode

__all__ = ["COLUMNS", "Arrived", "Evaluation", "changed", "from_row"]

COLUMNS = (
    "run, serial, number, purpose, kind, x, seed, spp, value, coding, data, failure, seconds, clock, worker, checksum"
)

_NUMBER_FORMAT = struct.Struct("<5q3d")


class Evaluation(NamedTuple):
    """One evaluation.

    Attributes
    ----------
    number : int
        Number in the order in which the method asked.
    purpose : {"descent", "answer"}
    kind : {"fun", "residuals", "constrained", "derivative", "hessian", "shading"}
    x : ndarray, shape (n,)
        Point, in the problem's own units.
    seed, spp : int
        Seed, and samples per pixel, None for the problem's own.
    value : float
        The objective; of residuals, their mean square; nan for a failed evaluation.
    vector : ndarray or None
        Residuals of shape (m,), the derivative of shape (n,), the Hessian of shape (n n,), or
        residuals packed with their Jacobian.
    failure : str or None
        Message of a failed evaluation.
    seconds, clock : float
        Time that it took, and when it ended, since the run began.
    worker : str
        Host and process; empty for the process of the run.
    """

    number: int
    purpose: str
    kind: str
    x: NDArray[np.float64]
    seed: int
    spp: int | None
    value: float
    vector: NDArray[np.floating] | None
    failure: str | None
    seconds: float
    clock: float
    worker: str


class Arrived(NamedTuple):
    """Evaluations that arrived together, as columns, which are cheap to make.

    Attributes
    ----------
    purpose, kind, spp, failure, worker
        As of `Evaluation`, the same for all.
    numbers : sequence of int
        Number of each evaluation.
    points : bytes
        Points one after the other, float64.
    seeds, values, vectors : sequence
        One for each evaluation; vectors as coding and bytes.
    seconds : float
        Time that each took.
    clock : float
        When all had ended, since the run began.
    """

    purpose: str
    kind: str
    spp: int | None
    numbers: Sequence[int]
    points: bytes
    seeds: list[int]
    values: list[float]
    vectors: Sequence[tuple[str | None, bytes | None]]
    failure: str | None
    seconds: float
    clock: float
    worker: str

    def rows(self, run: int, serial: int) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of `COLUMNS`, with serial numbers from `serial` on."""
        purpose, kind, spp, numbers, points, seeds, values, vectors, failure, seconds, clock, worker = self
        size = len(points) // len(numbers)
        columns = zip(numbers, seeds, values, vectors, strict=True)
        for i, (number, seed, value, (coding, data)) in enumerate(columns):
            x = points[i * size : (i + 1) * size]
            # SQLite has no nan: NULL stands for it.
            known = None if value != value else value
            content: tuple[Any, ...] = (run, serial + i, number, purpose, kind, x, seed, spp, known, coding, data)
            content += (failure, seconds, clock, worker)
            yield (*content, _checksum(content))


def changed(row: tuple[Any, ...], **columns: Any) -> tuple[Any, ...]:
    """A row with other values in some columns, and the checksum that belongs to them."""
    names = COLUMNS.split(", ")[:-1]
    content = tuple(columns.get(name, item) for name, item in zip(names, row[:-1], strict=True))
    return (*content, _checksum(content))


def from_row(row: tuple[Any, ...]) -> Evaluation | None:
    """The evaluation of a row; None if the row is damaged."""
    *content, checksum = row
    try:
        if checksum != _checksum(content):
            return None
    except (TypeError, AttributeError, OverflowError, struct.error):
        # A value of another type than the column's, which SQLite allows.
        return None
    _, _, number, purpose, kind, x, seed, spp, value, coding, data, failure, seconds, clock, worker = content
    try:
        vector = None if data is None else decode(coding, data)
        point = np.frombuffer(x, np.float64).copy()
    except (ValueError, TypeError, AttributeError, zlib.error):
        return None
    number_or_nan = math.nan if value is None else value
    return Evaluation(number, purpose, kind, point, seed, spp, number_or_nan, vector, failure, seconds, clock, worker)


def _checksum(row: Any) -> int:
    """CRC-32 of all columns of a row.

    An exception, such as TypeError, for values that no row can hold.
    """
    run, serial, number, purpose, kind, x, seed, spp, value, coding, data, failure, seconds, clock, worker = row
    spp, value = -1 if spp is None else spp, math.nan if value is None else value
    found = zlib.crc32(
        _NUMBER_FORMAT.pack(run, serial, number, seed, spp, value, seconds, clock),
        _words(purpose, kind, worker, coding, failure),
    )
    found = zlib.crc32(x, found)
    return found if data is None else zlib.crc32(data, found)


@lru_cache(maxsize=64)
def _words(*words: str | None) -> int:
    return zlib.crc32("\0".join(word or "" for word in words).encode(errors="replace"))
