"""Seeds of evaluations: the policy of sharing them, and their source.

References use seeds from 2**31 up, so that no evaluation shares the seed of a reference by chance.
"""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

from invopt.core.validators import by_name

__all__ = ["FIRST_REFERENCE_SEED", "SeedPolicy", "SeedSource", "as_seed_policy"]

# Seeds of evaluations are positive 32-bit signed integers; those of references begin above them.
FIRST_REFERENCE_SEED = 2**31


class SeedPolicy(enum.Enum):
    """Which evaluations share a renderer seed.

    It holds for the evaluations of an estimator and for the values that a method asks for in a step.

    PER_PAIR: the halves of an antithetic pair (and of a difference of gradients) share a seed, and pairs differ; the
    values that a step compares share a seed. PER_ITERATION: all evaluations of one estimate share a seed, and so do the
    values of one step. Under both, noise is measured by evaluations at the same point with different seeds.

    FIXED: seed 0 always. A repeated evaluation gives the same value: there is no noise to measure, and error bars and
    statuses do not include it.

    FRESH: no two evaluations share a seed, and no noise cancels in a difference. The exception is an estimate that a
    method has repeated (`Oracle.repeat`), which by definition has the seeds of the first.
    """

    PER_PAIR = "per_pair"
    PER_ITERATION = "per_iteration"
    FIXED = "fixed"
    FRESH = "fresh"


def as_seed_policy(value: SeedPolicy | str) -> SeedPolicy:
    """Return the policy that `value` is or names."""
    if isinstance(value, SeedPolicy):
        return value
    return by_name({policy.value: policy for policy in SeedPolicy}, value, "seed policy in 'seeds':")


class SeedSource:
    """Source of seeds, drawn from the run's rng.

    They are the seeds of one estimate, or of the values of one step.

    Parameters
    ----------
    policy : SeedPolicy
        Which evaluations share a seed.
    rng : Generator
        Generator that seeds are drawn from.
    """

    def __init__(self, policy: SeedPolicy, rng: np.random.Generator) -> None:
        self._policy = policy
        self._rng = rng
        self._shared: NDArray[np.int64] | None = None
        # Seeds drawn under FRESH.
        self._drawn: set[int] = set()

    def draw(self, m: int, copies: int = 1) -> NDArray[np.int64]:
        """Seeds for `copies` stacked blocks of `m` evaluations.

        Row i of each block belongs together.
        """
        if self._policy is SeedPolicy.FIXED:
            return np.zeros(m * copies, dtype=np.int64)
        if self._policy is SeedPolicy.PER_ITERATION:
            return self.compare(m * copies)
        return self.repeat(m, copies)

    def compare(self, m: int) -> NDArray[np.int64]:
        """Seeds for `m` evaluations to be compared.

        One seed for all calls, or under FRESH different ones.
        """
        if self._policy is SeedPolicy.FIXED:
            return np.zeros(m, dtype=np.int64)
        if self._policy is SeedPolicy.FRESH:
            return self._distinct(m)
        if self._shared is None:
            self._shared = self._integers(1)
        return np.repeat(self._shared, m)

    def repeat(self, k: int, points: int = 1) -> NDArray[np.int64]:
        """`k` seeds for each of `points` points, block by block.

        The same for every point, except under FRESH.
        """
        if self._policy is SeedPolicy.FIXED:
            return np.zeros(k * points, dtype=np.int64)
        if self._policy is SeedPolicy.FRESH:
            return self._distinct(k * points)
        return np.tile(self._integers(k), points)

    def _integers(self, size: int) -> NDArray[np.int64]:
        return self._rng.integers(1, FIRST_REFERENCE_SEED, size)

    def _distinct(self, size: int) -> NDArray[np.int64]:
        """Integers that this source has not drawn before.

        Among thousands, two could otherwise be equal by chance.
        """
        found = self._integers(size)
        for i, seed in enumerate(found.tolist()):
            while seed in self._drawn:
                found[i] = seed = int(self._integers(1)[0])
            self._drawn.add(seed)
        return found
