"""Identity of a run: digests of its problem, bounds, scales, parts and generator."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt.core.identity import Digests, digest, digests, digests_with_surroundings
from invopt.core.machine.turn import one_at_a_time
from invopt.core.problem import Problem

__all__ = ["part_digests", "rng_digest", "subject_digests"]


def subject_digests(
    problem: Problem, bounds: Bounds | None, x_scale: NDArray[np.float64], identity: str | None
) -> Digests:
    """Return digests of a problem, bounds and scales.

    `identity` stands for the problem's content.
    """
    if identity is None:
        # The content of a scene is read by Mitsuba's parser, which needs the turn.
        with one_at_a_time() if problem.renders else nullcontext():
            found, surroundings = digests_with_surroundings(problem.identity_content())
    else:
        surroundings = ""
        found = {"problem": digest([f"{type(problem).__module__}.{type(problem).__qualname__}", identity], "identity")}
    # Settings of the runtime: a renderer's random numbers depend on its backend.
    found |= {name: digest(value, name) for name, value in problem.runtime.identity_of(problem).items()}
    box = None if bounds is None else [bounds.lb, bounds.ub]
    return Digests(found | digests({"bounds": box, "x_scale": x_scale}), surroundings)


def part_digests(estimator: Any, method: Any) -> dict[str, str]:
    """Return digests of estimator and method.

    They are of classes and fields, and of the code of a user's classes.
    """
    return digests({"estimator": estimator, "method": method})


def rng_digest(rng: np.random.Generator) -> str:
    """Return the digest of a generator's state."""
    return digest(rng.bit_generator.state, "rng")
