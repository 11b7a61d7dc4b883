"""What is fitted of the exposure of photographs, at the answer of a run."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from invopt.plugin import as_vector, one_at_a_time
from invopt.rendering import Photograph

from .developed import Developed

__all__ = ["RENDERS", "Described", "developed", "fitted_values"]

# Renders that are averaged. Noise makes a fitted exposure smaller: in the example of the gallery, with 16 samples per
# pixel, by 2 %, and by 0.1 % with 16 renders of them.
RENDERS = 16


class Described(Protocol):
    """The part of `Scene` that is needed."""

    @property
    def target(self) -> Any:
        """Target pictures."""

    @property
    def n(self) -> int:
        """Number of columns."""

    def open(self) -> Any:
        """Load the scene."""


def fitted_values(problem: Described, x: NDArray[np.float64]) -> dict[str, float]:
    """Return what was fitted of the exposure of each photograph, by name.

    Nothing is rendered if all is known.
    """
    unknown = [isinstance(item, Photograph) and item.has_unknowns for item in problem.target or ()]
    if not any(unknown):
        return {}
    found = developed(problem, x, RENDERS)
    numbered = [(f"[{number}]" if len(found) > 1 else "", one.fitted) for number, one in enumerate(found)]
    return {f"{name}{number}": value for number, fitted in numbered for name, value in fitted.items()}


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
        moved = [live.developed(x + step, renders=renders) for step in np.diag(errors)]
    return [_with_errors(one, [others[number] for others in moved]) for number, one in enumerate(found)]


def _with_errors(one: Developed, moved: list[Developed]) -> Developed:
    return evolve(
        one,
        standard_error={
            name: math.hypot(own, *(other.fitted[name] - one.fitted[name] for other in moved))
            for name, own in one.standard_error.items()
        },
    )
