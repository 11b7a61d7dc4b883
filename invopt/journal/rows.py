"""Evaluations as rows of a journal, each with a checksum."""

from __future__ import annotations

import math
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from invopt.journal.coding import decode, encode

__all__ = ["COLUMNS", "Evaluation", "as_row", "from_row"]

COLUMNS = (
    "run, serial, number, purpose, kind, x, seed, spp, value, coding, data, failure, seconds, clock, worker, checksum"
)


class Evaluation(NamedTuple):
    """One evaluation.

    Attributes
    ----------
    number : int
        In the order in which the method asked.
    purpose : {"descent", "answer"}
    kind : {"fun", "residuals", "derivative", "hessian"}
    x : ndarray, shape (n,)
        Point, in the problem's own units.
    seed, spp : int
        What it was evaluated with; `spp` None for the problem's own.
    value : float
        The objective; of residuals, their mean square; nan for a failed evaluation.
    vector : ndarray or None
        Residuals of shape (m,), the derivative of shape (n,), or the Hessian of shape (n n,).
    failure : str or None
        What a failed evaluation raised.
    seconds, clock : float
        How long it took, and when it was finished, since the run began.
    worker : str
        Where; empty for the run's own process.
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


def as_row(run: int, serial: int, item: Evaluation) -> tuple[Any, ...]:
    """The row of an evaluation, in the order of `COLUMNS`."""
    coding, data = (None, None) if item.vector is None else encode(item.vector, item.seconds)
    # SQLite has no nan.
    value = None if math.isnan(item.value) else item.value
    row = (
        run,
        serial,
        item.number,
        item.purpose,
        item.kind,
        item.x.tobytes(),
        item.seed,
        item.spp,
        value,
        coding,
        data,
        item.failure,
        item.seconds,
        item.clock,
        item.worker,
    )
    return (*row, _checksum(row))


def from_row(row: tuple[Any, ...]) -> Evaluation | None:
    """The evaluation of a row; None for one that is damaged."""
    *content, checksum = row
    if checksum != _checksum(content):
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
    """CRC-32 of everything in a row but of data that was dropped to save room."""
    found = 0
    for item in row:
        found = zlib.crc32(item if isinstance(item, bytes) else repr(item).encode(), found)
    return found
