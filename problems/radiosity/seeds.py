"""Seeds for the renderer."""

from __future__ import annotations

import numpy as np

__all__ = ["seed_of"]


def seed_of(*key: int) -> int:
    """Return a seed below 2**31 that depends on all of these numbers."""
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
