"""Glimpse: what is shown of a run at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.core.objective import Objective
from invopt.core.problem import Problem
from invopt.rendering.pictures.display import to_display

__all__ = ["MOST_ROWS", "Glimpse", "Pictures"]

# Parameters that are listed, as in the table of a result.
MOST_ROWS = 12
# Smallest divisor of a difference of pictures: rounding of single precision.
_SMALLEST = 1e-6


@frozen(eq=False, kw_only=True)
class Glimpse:
    """What is shown of a run at one moment.

    Attributes
    ----------
    title : str
        What is solved, and how it ended if it has.
    facts : mapping of str to str
        Evaluations, value, seconds.
    rows : tuple of (name, first, now)
        Parameters as texts; empty if they are too many.
    nfev, fun : ndarray, shape (k,)
        Values against evaluations.
    pictures : mapping of str to ndarray, shape (height, width, 3)
        Pictures as a screen shows them; empty if there are none.
    """

    title: str
    facts: Mapping[str, str]
    rows: tuple[tuple[str, str, str], ...]
    nfev: NDArray[np.float64]
    fun: NDArray[np.float64]
    pictures: Mapping[str, NDArray[np.float64]] = field(factory=dict)


def rows_of(problem: Problem, first: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[tuple[str, str, str], ...]:
    """Return the parameters at two points, as texts in customary units."""
    if problem.n > MOST_ROWS:
        return ()
    one, other = problem.readable(first), problem.readable(now)
    return tuple((name, one[name], other[name]) for name in one)


class Pictures:
    """Pictures of an objective: start, now, target and the difference of these two.

    Parameters
    ----------
    objective : Objective
        Its open objective.
    start : ndarray, shape (n,)
        The start, which is rendered once.
    """

    def __init__(self, objective: Objective, start: NDArray[np.float64]) -> None:
        self._objective = objective
        target = objective.reference
        self._first = None if target is None else objective.image(start)
        self._target = target
        self._last: tuple[bytes, dict[str, NDArray[np.float64]]] = (b"", {})

    def at(self, x: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Pictures at a point; empty if there are none."""
        if self._first is None or self._target is None:
            return {}
        key = np.asarray(x).tobytes()
        if key != self._last[0]:
            self._last = key, self._shown(self._objective.image(x))
        return self._last[1]

    def _shown(self, now: Any) -> dict[str, NDArray[np.float64]]:
        if now is None or self._target is None:
            return {}
        difference = np.abs(np.asarray(now, dtype=np.float64) - self._target)
        scaled = difference / max(float(difference.max()), _SMALLEST)
        pictures = {"start": self._first, "now": now, "target": self._target, "difference": scaled}
        return {name: to_display(np.asarray(picture)) for name, picture in pictures.items()}
