"""Contract checks of problems."""

from __future__ import annotations

import pickle
from typing import Any

import attrs
import numpy as np
import torch
from scipy.optimize import Bounds
from torch import Tensor

from invopt.core.objective import Capability, Objective
from invopt.core.problem import Problem

__all__ = ["problem_describes_itself", "problem_evaluates", "problem_starts_inside"]

# Parameter error at the truth: a mean of squares that are 0 up to rounding, (1e-10)^2.
_ERROR_AT_TRUTH = 1e-20
# Share by which the mean square of residuals may differ from the value, both summed in single precision by a renderer;
# and the difference near 0.
_SINGLE_SUM, _SUM_NEAR_ZERO = 1e-4, 1e-10


def problem_describes_itself(problem: Problem) -> None:
    """Shapes, ranges and names fit together, and the description can be pickled."""
    x0: Any = problem.x0
    is_vector = isinstance(x0, np.ndarray) and x0.dtype == np.float64
    assert is_vector, f"x0 must be an array of float64: {x0!r}"
    n = problem.n
    assert problem.x0.shape == (n,), "x0 must have shape (n,)"
    assert np.isfinite(problem.x0).all(), "x0 must be finite"
    assert np.shape(problem.x_scale) == (n,), "x_scale must have shape (n,)"
    assert (problem.x_scale > 0).all(), "x_scale must be > 0"
    assert np.shape(problem.periods) == (n,), "periods must have shape (n,)"
    assert len(problem.names) == n, f"names must be {n} names, one for each parameter: {problem.names}"
    bounds: Any = problem.bounds
    assert bounds is None or isinstance(bounds, Bounds), f"bounds must be scipy.optimize.Bounds or None: {bounds!r}"
    assert problem.sigma > 0, "sigma must be > 0"
    copied = pickle.loads(pickle.dumps(problem))
    assert type(copied) is type(problem), "a problem must be picklable"
    for name in ("x0", "x_scale", "periods", "names", "sigma", "x_opt", "fun_opt"):
        assert np.array_equal(getattr(copied, name), getattr(problem, name)), f"a pickled problem must keep its {name}"
    if attrs.has(type(problem)):
        for item in attrs.fields(type(problem)):
            assert hasattr(copied, item.name), f"a pickled problem must keep its field {item.name!r}"


def problem_starts_inside(problem: Problem) -> None:
    """`x0`, `starts` and `x_opt` are inside the bounds; `x_opt` has no error."""
    points = np.vstack([problem.x0[None], problem.starts(np.random.default_rng(0), 5)])
    assert points.shape == (6, problem.n), "starts(rng, k) must have shape (k, n)"
    if problem.x_opt is not None:
        assert problem.parameter_error(problem.x_opt) <= _ERROR_AT_TRUTH, "parameter_error(x_opt) must be 0"
        points = np.vstack([points, problem.x_opt])
    if problem.bounds is not None:
        assert (points >= problem.bounds.lb).all(), "a start is below the bounds"
        assert (points <= problem.bounds.ub).all(), "a start is above the bounds"


def problem_evaluates(problem: Problem) -> None:
    """`fun` returns one value per row, is repeatable, and does not modify its input."""
    x = torch.from_numpy(np.vstack([problem.x0, problem.starts(np.random.default_rng(0), 1)]))
    before, seed = x.clone(), np.array([3, 3])
    opened: Any = problem.open()
    assert isinstance(opened, Objective), f"open must return an invopt.Objective, got {type(opened).__name__}"
    with opened as objective:
        first, second = objective.fun(x, seed=seed), objective.fun(x, seed=seed)
        assert isinstance(first, Tensor), f"fun must return a tensor, got {type(first).__name__}"
        assert first.shape == (2,), f"fun must return (k,) values, got {tuple(first.shape)}"
        assert first.dtype == torch.float64, f"fun must return float64, got {first.dtype}"
        assert torch.equal(first, second), "equal points and seeds must give equal values"
        assert torch.equal(x, before), "fun must not modify its input"
        if Capability.RESIDUALS in problem.provides:
            residuals = objective.residuals(x, seed=seed)
            torch.testing.assert_close(
                residuals.double().square().mean(1), first, rtol=_SINGLE_SUM, atol=_SUM_NEAR_ZERO
            )
