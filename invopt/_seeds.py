"""Which evaluations share a renderer seed; references use seeds from 2**31 up, so none is shared by chance."""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import UnknownNameError, suggest

__all__ = ["FIRST_REFERENCE_SEED", "SeedPolicy", "SeedSource", "as_seed_policy"]

FIRST_REFERENCE_SEED = 2**31


class SeedPolicy(enum.Enum):
    """Policy of seeds.

    PER_PAIR: the halves of an antithetic pair (and of a difference of gradients) share one, pairs differ.
    PER_ITERATION: all evaluations of one estimate share one. FIXED: seed 0 throughout. FRESH: no two share one.
    """

    PER_PAIR = "per_pair"
    PER_ITERATION = "per_iteration"
    FIXED = "fixed"
    FRESH = "fresh"


def as_seed_policy(value: SeedPolicy | str) -> SeedPolicy:
    """Return the policy that `value` is or names."""
    try:
        return SeedPolicy(value)
    except ValueError:
        known = [policy.value for policy in SeedPolicy]
        raise UnknownNameError(f"unknown seed policy in 'seeds': {value!r}; {suggest(str(value), known)}") from None


class SeedSource:
    """Seeds of one estimate, drawn from the one rng.

    Parameters
    ----------
    policy : SeedPolicy
        Which evaluations share a seed.
    rng : Generator
        Where seeds come from.
    """

    def __init__(self, policy: SeedPolicy, rng: np.random.Generator) -> None:
        self._policy = policy
        self._rng = rng
        self._shared: NDArray[np.int64] | None = None

    def draw(self, m: int, copies: int = 1) -> NDArray[np.int64]:
        """Seeds for `copies` stacked blocks of `m` evaluations, row i of each block belonging together."""
        if self._policy is SeedPolicy.FIXED:
            return np.zeros(m * copies, dtype=np.int64)
        if self._policy is SeedPolicy.PER_ITERATION:
            if self._shared is None:
                self._shared = self._integers(1)
            return np.repeat(self._shared, m * copies)
        if self._policy is SeedPolicy.PER_PAIR:
            return np.tile(self._integers(m), copies)
        return self._integers(m * copies)

    def _integers(self, size: int) -> NDArray[np.int64]:
        return self._rng.integers(1, FIRST_REFERENCE_SEED, size)
