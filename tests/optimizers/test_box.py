"""Steps that stay inside the bounds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from invopt.optimizers.descent.box import step_into_box

BOX = SimpleNamespace(project=lambda x: torch.clamp(x, -1.0, 1.0))


def convex_model(seed, n):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    return torch.from_numpy(rng.standard_normal(n)), torch.from_numpy(A @ A.T + 0.1 * np.eye(n)), rng


def model(g, H, p):
    return float(g @ p + 0.5 * p @ H @ p)


def test_a_step_into_the_box_that_lowers_the_model_is_not_shortened():
    """A parabola with its minimum at 2 / 3, from 0 towards 2: at the bound, 1, it is lower than at 0."""
    x, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    reached, cut = step_into_box(x, 2 * one, -one, lambda p: 1.5 * p, BOX)
    assert (reached.tolist(), cut) == ([1.0], True)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 5))
def test_a_newton_step_into_the_box_lowers_the_model(seed, n):
    g, H, rng = convex_model(seed, n)
    x = torch.from_numpy(rng.uniform(-1, 1, n))
    step = -torch.linalg.solve(H, g)
    reached, cut = step_into_box(x, step, g, lambda p: H @ p, BOX)
    whole = BOX.project(x + step)
    assert cut == (not torch.equal(whole, x + step))
    # All of the way, if that lowers the model by more than a negligible share of what its slope promises.
    if model(g, H, whole - x) < min(1e-3 * float(g @ (whole - x)), 0.0):
        assert torch.equal(reached, whole)
    elif not torch.equal(reached, x):
        assert model(g, H, reached - x) < model(g, H, whole - x)
