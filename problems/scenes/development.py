"""What is fitted of the exposure of photographs, at the answer of a run."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from invopt.plugin import as_vector, one_at_a_time

from .developed import Developed

__all__ = ["Described", "developed", "fitted_errors", "fitted_values"]

# Renders that are averaged. Noise makes a fitted exposure smaller: in the example of the gallery, with 16 samples per
# pixel, by 2 %, and by 0.1 % with 16 renders of them.
RENDERS = 16

# Largest number of directions in which the answer is moved to differentiate a fitted exposure; of more parameters, the
# variance is estimated by as many random directions, to sqrt(2 / 16) = 35 %.
MOST_DIRECTIONS = 16


class Described(Protocol):
    """The part of `Scene` that is needed."""

    @property
    def n(self) -> int:
        """Number of columns."""

    def open(self) -> Any:
        """Load the scene."""


def fitted_values(problem: Described, x: NDArray[np.float64]) -> dict[str, float]:
    """Return what was fitted of the exposure of each photograph, by name."""
    found = developed(problem, x, RENDERS)
    return _named([one.fitted for one in found])


def fitted_errors(problem: Described, result: Any) -> dict[str, float]:
    """Return the standard errors of `fitted_values` at a result with error bars."""
    return _named([one.standard_error for one in developed(problem, result, RENDERS)])


@one_at_a_time()
def developed(problem: Described, result: Any, renders: int) -> list[Developed]:
    """Render the answer and compare it with each photograph; see `Scene.developed`."""
    x = as_vector("x", getattr(result, "x", result), size=problem.n)
    errors = getattr(result, "x_standard_error", None)
    with problem.open() as live:
        found: list[Developed] = live.developed(x, renders=renders)
        if errors is None or not np.isfinite(errors).all() or not any(one.fitted for one in found):
            return found
        # With the same seed: the noise of the renders cancels in the differences.
        first = live.developed(x)
        moved = [live.developed(x + step) for step in directions(result.covariance, errors)]
    return [_with_errors(one, first[number], [others[number] for others in moved]) for number, one in enumerate(found)]


def directions(covariance: NDArray[np.float64] | None, errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Steps d, shape (k, n), such that the sum of (g d)^2 is the variance of g x."""
    if covariance is None:
        root = np.diag(errors)
    else:
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
    if len(errors) <= MOST_DIRECTIONS:
        return root.T
    # Hutchinson's estimate: random signs.
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (len(errors), MOST_DIRECTIONS))
    found: NDArray[np.float64] = (root @ signs).T / math.sqrt(MOST_DIRECTIONS)
    return found


def _named(each: list[dict[str, float]]) -> dict[str, float]:
    """Values of all photographs by name; of several, the names have their numbers."""
    numbered = [(f"[{number}]" if len(each) > 1 else "", fitted) for number, fitted in enumerate(each)]
    return {f"{name}{number}": value for number, fitted in numbered for name, value in fitted.items()}


def _with_errors(one: Developed, first: Developed, moved: list[Developed]) -> Developed:
    return evolve(
        one,
        standard_error={
            name: math.hypot(own, *(other.fitted[name] - first.fitted[name] for other in moved))
            for name, own in one.standard_error.items()
        },
    )
