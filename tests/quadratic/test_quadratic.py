"""Quadratic models: optimality conditions in a ball, the hard case, agreement of all solvers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from invopt.plugin import damped_newton_step, newton_step, on_free, solve_ball, to_boundary, truncated_cg

seeds = st.integers(0, 2**32 - 1)


def random_model(seed, n, *, definite=False):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    H = A @ A.T + 0.1 * np.eye(n) if definite else 0.5 * (A + A.T)
    return torch.from_numpy(rng.standard_normal(n)), torch.from_numpy(H), rng


def model(g, H, p):
    return float(g @ p + 0.5 * p @ H @ p)


@given(seed=seeds, n=st.integers(1, 6), radius=st.floats(1e-3, 1e3))
def test_exact_solution_meets_the_optimality_conditions(seed, n, radius):
    g, H, _ = random_model(seed, n)
    p = solve_ball(g, H, radius)
    length = float(torch.linalg.vector_norm(p))
    assert length <= radius * (1 + 1e-12)
    # (H + mu I) p = -g with mu >= 0, H + mu I positive semi-definite, and mu = 0 inside the ball.
    mu = max(-float(p @ (H @ p + g)) / float(p @ p), 0.0)
    scale = float(H.abs().max()) + mu
    assert float(torch.linalg.vector_norm(H @ p + mu * p + g)) <= 1e-7 * (scale * length + 1)
    assert float(torch.linalg.eigvalsh(H)[0]) + mu >= -1e-8 * scale
    if length < radius * (1 - 1e-9):
        assert mu <= 1e-8 * scale


@given(seed=seeds, n=st.integers(1, 5), radius=st.floats(0.01, 10))
def test_no_random_point_of_the_ball_is_lower(seed, n, radius):
    g, H, rng = random_model(seed, n)
    best = model(g, H, solve_ball(g, H, radius))
    for _ in range(50):
        p = torch.from_numpy(rng.standard_normal(n))
        p = p * (radius * rng.uniform() ** (1 / n) / float(torch.linalg.vector_norm(p)))
        assert model(g, H, p) >= best - 1e-9 * (1 + abs(best))


def test_hard_case():
    g, H = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.diag(torch.tensor([-2.0, 1.0], dtype=torch.float64))
    p = solve_ball(g, H, 2.0)
    assert p[1].item() == pytest.approx(-1 / 3)
    assert float(torch.linalg.vector_norm(p)) == pytest.approx(2.0)


@pytest.mark.parametrize("least", [1e-18, 1e-12, 1e-6])
def test_nearly_hard_case(least):
    g = torch.tensor([least, 1.0], dtype=torch.float64)
    p = solve_ball(g, torch.diag(torch.tensor([-2.0, 1.0], dtype=torch.float64)), 2.0)
    assert p[1].item() == pytest.approx(-1 / 3, abs=1e-5)
    assert float(torch.linalg.vector_norm(p)) == pytest.approx(2.0)


def test_zero_hessian_is_steepest_descent_to_the_boundary():
    g = torch.tensor([3.0, 4.0], dtype=torch.float64)
    assert solve_ball(g, torch.zeros(2, 2, dtype=torch.float64), 2.0).tolist() == pytest.approx([-1.2, -1.6])


def test_hessian_that_is_not_finite_is_ignored():
    g = torch.tensor([3.0, 4.0], dtype=torch.float64)
    H = torch.full((2, 2), torch.nan, dtype=torch.float64)
    assert solve_ball(g, H, 1.0).tolist() == pytest.approx([-0.6, -0.8])
    assert truncated_cg(g, lambda p: H @ p, 1.0, forcing=0.1, maxiter=9).tolist() == pytest.approx([-0.6, -0.8])


def test_infinite_entries_of_both_signs_are_no_warning():
    jac, hess = torch.ones(2, dtype=torch.float64), torch.tensor([[np.inf, 0.0], [0.0, -np.inf]], dtype=torch.float64)
    torch.testing.assert_close(solve_ball(jac, hess, 1.0), -jac / np.sqrt(2))


@given(seed=seeds, n=st.integers(1, 8))
def test_truncated_cg_is_exact_inside_the_ball(seed, n):
    g, H, _ = random_model(seed, n, definite=True)
    radius = 2 * float(torch.linalg.vector_norm(torch.linalg.solve(H, g)))
    p = truncated_cg(g, lambda v: H @ v, radius, forcing=1e-12, maxiter=10 * n)
    assert torch.allclose(p, solve_ball(g, H, radius), rtol=1e-6, atol=1e-6 * radius)


@given(seed=seeds, n=st.integers(1, 8), radius=st.floats(1e-3, 10), definite=st.booleans())
def test_truncated_cg_stays_in_the_ball_and_beats_the_cauchy_point(seed, n, radius, definite):
    g, H, _ = random_model(seed, n, definite=definite)
    p = truncated_cg(g, lambda v: H @ v, radius, forcing=0.1, maxiter=n)
    assert float(torch.linalg.vector_norm(p)) <= radius * (1 + 1e-12)
    size, curvature = float(torch.linalg.vector_norm(g)), float(g @ H @ g)
    t = radius / size if curvature <= 0 else min(size**2 / curvature, radius / size)
    assert model(g, H, p) <= model(g, H, -t * g) + 1e-12
    assert model(g, H, p) >= model(g, H, solve_ball(g, H, radius)) - 1e-9


@settings(max_examples=50)
@given(seed=seeds, radius=st.floats(1e-6, 1e6), share=st.floats(0, 1))
def test_boundary_is_reached_from_anywhere_inside(seed, radius, share):
    rng = np.random.default_rng(seed)
    step, direction = torch.from_numpy(rng.standard_normal(3)), torch.from_numpy(rng.standard_normal(3))
    step = step * (share * radius / float(torch.linalg.vector_norm(step)))
    reached = to_boundary(step, direction, radius)
    assert float(torch.linalg.vector_norm(reached)) == pytest.approx(radius, rel=1e-9)
    assert float((reached - step) @ direction) >= -1e-9 * radius


@pytest.mark.parametrize("unit", [1e300, 1e-300, 2.0**900])
def test_units_do_not_matter(unit):
    g, H = torch.tensor([3.0, -1.0], dtype=torch.float64), torch.tensor([[2.0, 0.5], [0.5, -1.0]], dtype=torch.float64)
    torch.testing.assert_close(solve_ball(unit * g, unit * H, 0.7), solve_ball(g, H, 0.7), rtol=1e-12, atol=0)


@given(seed=seeds, n=st.integers(1, 6))
def test_newton_step_is_where_the_gradient_vanishes(seed, n):
    g, H, _ = random_model(seed, n, definite=True)
    torch.testing.assert_close(H @ newton_step(g, H), -g, rtol=1e-9, atol=1e-9)


def test_a_model_without_a_minimum_has_no_newton_step():
    g = torch.ones(2, dtype=torch.float64)
    assert newton_step(g, torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))) is None


@given(seed=seeds, n=st.integers(1, 6), damping=st.floats(1e-3, 1))
def test_damped_newton_step_uses_the_sizes_of_all_eigenvalues(seed, n, damping):
    g, H, _ = random_model(seed, n)
    values, vectors = torch.linalg.eigh(H)
    positive = vectors @ torch.diag(values.abs()) @ vectors.T
    damped = positive + damping * values.abs().mean() * torch.eye(n, dtype=torch.float64)
    torch.testing.assert_close(damped @ damped_newton_step(g, H, damping), -g, rtol=1e-8, atol=1e-8)


def test_damped_newton_step_without_curvature_is_minus_the_gradient():
    g = torch.tensor([3.0, 4.0], dtype=torch.float64)
    assert damped_newton_step(g, torch.zeros(2, 2, dtype=torch.float64), 0.1).tolist() == [-3.0, -4.0]


def test_parameters_that_are_not_free_do_not_move():
    g, H, _ = random_model(0, 4, definite=True)
    free = torch.tensor([True, False, True, False])
    step = on_free(newton_step, g, H, free)
    assert step[~free].tolist() == [0.0, 0.0]
    torch.testing.assert_close((g + H @ step)[free], torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(on_free(newton_step, g, H, None), newton_step(g, H))
    assert on_free(newton_step, g, -H, free) is None
