"""Space in which a search by values asks for points, and what it reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

__all__ = [
    "EPS",
    "WORST",
    "Array",
    "Search",
    "SearchSpace",
    "Visit",
    "advanced",
    "answered",
    "limited",
    "remembering",
    "reusing",
]

Array: TypeAlias = NDArray[np.float64]
# A search yields points of shape (k, n) and is sent their values, of shape (k,); it returns how it ended.
Search: TypeAlias = Generator[Array, Array, Any]

# Machine precision of float64.
EPS = float(np.finfo(np.float64).eps)
# Value that stands for inf and for a failed evaluation: above all others, and differences of it are finite.
WORST = 1e300


def _unlimited() -> float:
    return math.inf


class Visit(NamedTuple):
    """A point that a search has reached, with its gradient if it is known.

    Attributes
    ----------
    x : ndarray, shape (n,)
    fun : float
    jac, error : ndarray, shape (n,), or None
        Gradient and its standard error.
    x_covariance : ndarray, shape (n, n), or None
        Covariance of the parameters' errors, if this is the answer.
    """

    x: Array
    fun: float
    jac: Array | None = None
    error: Array | None = None
    x_covariance: Array | None = None


@define(eq=False, kw_only=True)
class SearchSpace:
    """Box, random numbers, limits and best point of a search, in units of `x_scale`.

    Parameters
    ----------
    x : ndarray, shape (n,)
        The start, later the best point.
    fun : float
        The value there.
    low, high : ndarray, shape (n,)
        Bounds, which may be infinite.
    rng : Generator
        The run's rng.
    xtol : float, default 0
        Step length that counts as convergence; 0: never.
    remaining : callable, optional
        ``remaining()``: evaluations that are left; by default without end.

    Attributes
    ----------
    nfev : int
        Evaluations of the search.
    highest : float
        Highest value of an evaluation that has not failed.
    succeeded : int
        Evaluations that have not failed.
    visit : Visit or None
        What the search has reported since the last evaluation.
    found : list of str
        What was measured and which search worked, in words.
    """

    x: Array
    fun: float
    low: Array
    high: Array
    rng: np.random.Generator
    xtol: float = 0.0
    remaining: Callable[[], float] = field(factory=lambda: _unlimited)
    nfev: int = field(init=False, default=0)
    highest: float = field(init=False, default=-math.inf)
    succeeded: int = field(init=False, default=0)
    visit: Visit | None = field(init=False, default=None)
    found: list[str] = field(init=False, factory=list)

    @property
    def n(self) -> int:
        """Number of parameters."""
        return self.x.size

    @property
    def is_constant(self) -> bool:
        """Whether all values so far are the same."""
        return not self.highest > self.fun

    def clip(self, points: Array) -> Array:
        """Nearest points inside the bounds."""
        clipped: Array = np.minimum(np.maximum(points, self.low), self.high)
        return clipped

    def note(self, points: Array, values: Array) -> None:
        """Count evaluations and keep the best point."""
        self.nfev += len(values)
        good = values[values < WORST]
        if good.size:
            self.succeeded += good.size
            self.highest = max(self.highest, float(good.max()))
        i = int(values.argmin())
        if values[i] < self.fun:
            self.x, self.fun = points[i].copy(), float(values[i])

    def report(self, visit: Visit) -> None:
        """Report a point that the search has reached."""
        self.visit = visit


def advanced(search: Search, values: Array | None) -> Array:
    """Send values to a search, None to begin; return the next points."""
    return next(search) if values is None else search.send(values)


def limited(search: Search, space: SearchSpace, most: float) -> Search:
    """Run a search until `most` evaluations are spent; None says that they were."""
    before = space.nfev
    try:
        points = next(search)
        while space.nfev - before < most:
            values = yield points
            points = search.send(values)
    except StopIteration as end:
        return end.value
    finally:
        search.close()
    return None


def answered(search: Search, answer: Callable[[Array], Search]) -> Search:
    """Run a search whose points another one answers."""
    values: Array | None = None
    while True:
        try:
            points = advanced(search, values)
        except StopIteration as end:
            return end.value
        values = yield from answer(points)


def remembering(points: Array, known: dict[bytes, float], ahead: list[Array]) -> Search:
    """Values of points, which are remembered.

    Those of the points `ahead` are asked for at the first occasion.
    """
    asked = {point.tobytes() for point in points}
    more = [point for rows in ahead for point in rows if point.tobytes() not in asked]
    ahead.clear()
    together = np.concatenate([points, *(point[None] for point in more)])
    values = yield together
    known |= {point.tobytes(): float(value) for point, value in zip(together, values, strict=True)}
    return values[: len(points)]


def reusing(points: Array, known: dict[bytes, float]) -> Search:
    """Values of points, known ones without an evaluation."""
    values = np.array([known.get(point.tobytes(), math.nan) for point in points])
    new = np.isnan(values)
    if new.any():
        values[new] = yield points[new]
    return values
