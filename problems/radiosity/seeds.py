"""Seeds of the renderer."""

from __future__ import annotations

import numpy as np

__all__ = ["seed_of"]


def seed_of(*key: int) -> int:
    """A renderer seed below 2**31 from numbers; other numbers give another seed."""
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
