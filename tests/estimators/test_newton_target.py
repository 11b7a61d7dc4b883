"""NewtonTarget: targets against closed forms, cost, learning of all outputs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import invopt
from invopt import estimators, optimizers, problems
from invopt.core.estimator import Estimate
from invopt.estimators import FiniteDifference, GaussNewton, NewtonTarget
from invopt.estimators.network.newton_target import NewtonTargetState, _lower
from invopt.problems import Function

from .z_tests import estimate, evaluator

HESS = np.diag([100.0, 1.0])
MINIMUM = np.array([0.5, -0.25])


def bowl(x):
    return float(0.5 * (x - MINIMUM) @ HESS @ (x - MINIMUM))


def saddle(x):
    return float(x[0] ** 2 - x[1] ** 2 + x[1])


def exact(**settings):
    return NewtonTarget(estimator=FiniteDifference(abs_step=0.1), **settings)


def found(fun, estimator, x):
    rng = np.random.default_rng(0)
    return estimate(estimator, evaluator(fun, 2, vectorized=False), np.array(x), rng)


def test_the_target_is_a_damped_newton_step_away():
    x, damping = np.array([2.0, 3.0]), 0.2
    jac = found(bowl, exact(damping=damping), x).jac.numpy()
    lam = damping * np.trace(HESS) / 2
    assert jac == pytest.approx(np.linalg.solve(HESS + lam * np.eye(2), HESS @ (x - MINIMUM)), rel=1e-6)
    assert found(bowl, exact(damping=1e-9), x).jac.numpy() == pytest.approx(x - MINIMUM, rel=1e-6)


def test_it_goes_downhill_where_curvature_is_negative():
    jac = found(saddle, exact(), [1.0, 2.0]).jac.numpy()
    # The slopes are 2 and -3; the curvatures 2 and -2, of which the sizes count.
    assert jac == pytest.approx([2.0 / 2.02, -3.0 / 2.02], rel=1e-5)


def test_the_target_goes_its_own_way_by_a_trust_radius_at_most():
    estimator = NewtonTarget(estimator=estimators.SharedSamples(sigma=0.1, n_samples=50), trust_radius=2.0)
    objective, rng = evaluator(bowl, 2, vectorized=False), np.random.default_rng(0)
    state = estimator.init(Function(fun=bowl, x0=[0.0, 0.0]))
    way = [torch.tensor([20.0, 30.0], dtype=torch.float64)]
    # The last call is at another point: the target continues from its previous place.
    for x in (way[0], way[0], torch.zeros(2, dtype=torch.float64)):
        one, state = estimator.estimate(objective, x, state, rng)
        way.append(x - one.jac)
    steps = [float(torch.linalg.vector_norm(new - old)) for old, new in pairwise(way)]
    assert steps == pytest.approx([0.2] * 3)
    values = [bowl(one.numpy()) for one in way]
    assert values == sorted(values, reverse=True)


def test_targets_stay_inside_the_bounds():
    problem = Function(fun=bowl, x0=[2.0, 3.0], bounds=[(1.0, 4.0), (0.0, 4.0)], x_scale=[1.0, 1.0])
    jac = invopt.differentiate(problem, exact(damping=1e-9)).jac
    assert np.array([2.0, 3.0]) - jac == pytest.approx([1.0, 0.0])


def test_a_target_that_has_taken_its_steps_stays_and_costs_nothing():
    objective = evaluator(bowl, 2, vectorized=False)
    estimator, rng, spent = exact(damping=1e-9, steps=2), np.random.default_rng(0), []
    state = estimator.init(Function(fun=bowl, x0=[0.0, 0.0]))
    for k in range(4):
        x = torch.tensor([float(k), 1.0], dtype=torch.float64)
        one, state = estimator.estimate(objective, x, state, rng)
        spent.append(one.nfev)
        assert one.jac.numpy() == pytest.approx(x.numpy() - MINIMUM, abs=1e-5)
    assert spent == [estimator.cost(2), estimator.cost(2), 0, 0]
    assert objective.nfev == sum(spent)


def test_behind_a_network_all_outputs_are_learned_at_one_rate():
    """The second output is a hundred times flatter; the plain gradient learns it slowly."""
    inputs = np.random.default_rng(1).standard_normal((8, 3))
    torch.manual_seed(0)
    model = nn.Linear(3, 2, dtype=torch.float64)
    problem = problems.GreyBox(model, Function(fun=bowl, x0=[0.0, 0.0]), inputs)
    left = {}
    for estimator in (exact(damping=1e-9, steps=2), FiniteDifference(abs_step=0.1)):
        lr = 0.1 if isinstance(estimator, NewtonTarget) else 0.1 / HESS.max()
        method = optimizers.GradientDescent(lr=lr)
        res = invopt.minimize(problem, estimator, method, maxiter=200, rng=0, progress=False)
        assert res.nit == 200
        left[type(estimator)] = np.abs(problem.predict(res.x_last) - MINIMUM).max(0)
    assert left[NewtonTarget][1] < 0.1 * left[FiniteDifference][1]


def two_wells(x):
    """Minima at -1 and, lower, at 1."""
    return float((x[0] ** 2 - 1) ** 2 - 0.3 * x[0] + x[1] ** 2)


def test_a_target_restarts_from_the_output_and_the_lower_minimum_is_kept():
    objective, rng = evaluator(two_wells, 2, vectorized=False), np.random.default_rng(0)
    estimator = exact(steps=6, rest=2, restarts=2)
    state, targets, spent = estimator.init(Function(fun=two_wells, x0=[0.0, 0.0])), [], []
    # What a network might say: at first wrong, then right, at last wrong again.
    for place in [-0.8] * 8 + [1.2] * 8 + [-0.8] * 10:
        x = torch.tensor([place, 0.5], dtype=torch.float64)
        one, state = estimator.estimate(objective, x, state, rng)
        targets.append(float(x[0] - one.jac[0]))
        spent.append(one.nfev)
    assert targets[5:8] == pytest.approx([-0.96] * 3, abs=0.02)
    assert targets[13:16] == pytest.approx([1.04] * 3, abs=0.02)
    # It moved to the other minimum once more, and returned.
    assert targets[20] < -0.9
    assert targets[21:] == pytest.approx([1.04] * 5, abs=0.02)
    each, end = FiniteDifference().cost(2) + FiniteDifference().hess_cost(2), 4
    once_more = [each] * 5 + [each + end, 0, 0]
    assert spent == [each] * 6 + [0, 0] + once_more + once_more + [0, 0]
    assert objective.nfev == sum(spent)


def test_an_end_that_is_not_finite_does_not_stay():
    def holed(x):
        return float("nan") if x[0] > 1 else two_wells(x)

    objective = evaluator(holed, 2, vectorized=False)
    ends = torch.tensor([[1.04, 0.0], [-0.96, 0.0]], dtype=torch.float64)
    seen = Estimate(x=ends[0], fun=0.0, nfev=0)
    state = NewtonTargetState(None, None, seen=seen, target=ends[0], rival=ends[1])
    kept = _lower(objective, state, np.array([3, 4, 3, 4]))
    assert kept.target.tolist() == ends[1].tolist()
    assert kept.seen.nfev == objective.nfev == 4


def test_bad_input():
    with pytest.raises(ValueError, match="'estimator' must be one that provides a Hessian"):
        NewtonTarget(estimator=estimators.FR22())
    with pytest.raises(TypeError, match="'estimator' must be an estimator"):
        NewtonTarget(estimator="gauss-newton")
    for name in ("damping", "trust_radius"):
        with pytest.raises(ValueError, match=f"'{name}' must be > 0"):
            NewtonTarget(**{name: 0.0})
    with pytest.raises(ValueError, match="'steps' must be >= 1"):
        NewtonTarget(steps=0)
    for name in ("restarts", "rest"):
        with pytest.raises(ValueError, match=f"'{name}' must be >= 0"):
            NewtonTarget(steps=1, **{name: -1})
    with pytest.raises(ValueError, match="'restarts' must be 0 where `steps` have no end"):
        NewtonTarget(restarts=1)
    assert NewtonTarget(estimator=GaussNewton(seeds="fresh")).seeds is GaussNewton(seeds="fresh").seeds


def test_learning_without_evaluations_has_an_end():
    problem = Function(fun=lambda x: x - [1, 2], x0=[0.0, 0.0], residuals=True)
    result = invopt.minimize(problem, NewtonTarget(steps=5), optimizers.Adam(lr=0.05), rng=0, maxfev=500)
    assert result.nit <= 400
    assert result.nfev < 100
