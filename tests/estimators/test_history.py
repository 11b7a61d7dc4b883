"""Estimators with a history: re-weighting and regression against closed forms."""

import math

import numpy as np
import pytest
import torch
from attrs import evolve

from invopt import AdaptiveSigma, Capability, minimize, problems
from invopt.estimators import GaussNewton, SampleHistory
from invopt.estimators.history.directions import Directions, draw, log_density
from invopt.estimators.history.linear_model import extended, linear_model
from invopt.estimators.history.regression import fit, linear, quadratic, unpack
from invopt.estimators.history.window import Batch, helpful, reweight
from invopt.evaluate.budget import Budget, StopRun
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.optimizers import Newton
from invopt.testing import assert_mean

from .closed_forms import make
from .error_bars import assert_bars
from .lines import Line, LineObjective
from .windows import SIGMA, batches, derivatives


@pytest.mark.parametrize("n", [1, 2, 5])
def test_draws_have_the_density_stated(n):
    rng = np.random.default_rng(n)
    t = torch.cat([draw(rng, n, n, Directions())[0] for _ in range(4000 // n)])
    weight = torch.exp(-log_density(t))[:, None]
    # Moments of the Gaussian; blocks of n share a basis, so their means are what is independent. The weight itself has
    # infinite variance for n = 1, its products with t have not.
    moments = (weight * torch.cat([t, t.square(), t.square().square()], 1)).reshape(-1, n, 3 * n).mean(1)
    assert_mean(moments.numpy(), [0.0] * n + [1.0] * n + [3.0] * n)


def test_directions_are_orthogonal_until_used_up():
    t, state = draw(np.random.default_rng(0), 2, 3, Directions())
    last, _ = draw(np.random.default_rng(1), 1, 3, state)
    gram = torch.cat([t, last]) @ torch.cat([t, last]).T
    assert torch.allclose(gram, torch.diag(gram.diagonal()), atol=1e-12)


@pytest.mark.parametrize("name", ["waves", "step"])
@pytest.mark.parametrize("n", [1, 2])
def test_error_falls_as_the_root_of_the_samples(name, n):
    f, x, _ = make(name, n)
    exact = f.smoothed(x, SIGMA)
    errors = {}
    for k in (90, 1440):
        found = [derivatives(f, x, k, seed) for seed in range(40)]
        errors[k] = [
            math.sqrt(np.mean([np.square(jac - exact.jac).sum() for jac, _, _ in found])),
            math.sqrt(np.mean([np.square(hess - exact.hess).sum() for _, hess, _ in found])),
        ]
    ratios = np.array(errors[90]) / np.array(errors[1440])
    # 4 expected for 16 times the samples; a bias that stays would bring it to 1.
    assert (ratios > 2.7).all(), ratios
    assert (ratios < 6.0).all(), ratios


def test_without_weights_the_error_does_not_fall():
    f, x, _ = make("waves", 2)
    exact = f.smoothed(x, SIGMA).jac
    errors = []
    for k in (90, 1440):
        found = []
        for seed in range(12):
            seen = reweight(batches(f, x, k, np.random.default_rng(seed)), torch.from_numpy(x), SIGMA)
            even = torch.full_like(seen.weights, 1 / len(seen.weights))
            model = fit(*quadratic(seen.t), even, seen.funs)
            found.append(np.square(unpack(model.coefficients, 2)[0].numpy() / SIGMA - exact).sum())
        errors.append(math.sqrt(np.mean(found)))
    assert errors[0] / errors[1] < 2.0


def test_standard_errors_are_as_large_as_the_errors():
    f, x, _ = make("waves", 2)
    exact = f.smoothed(x, SIGMA).jac
    found = [derivatives(f, x, 120, seed) for seed in range(150)]
    assert_bars([(jac - exact) / error for jac, _, error in found])


def test_a_quadratic_is_exact_from_as_many_samples_as_coefficients():
    f, x, _ = make("quadratic", 3)
    exact = f.smoothed(x, SIGMA)
    jac, hess, _ = derivatives(f, x, 12, 0)
    np.testing.assert_allclose(jac, exact.jac, atol=1e-3)
    np.testing.assert_allclose(hess, exact.hess, atol=1e-3)


def test_history_solves_the_quadratic_in_few_evaluations():
    for seed in range(5):
        found = minimize(problems.Quadratic(), SampleHistory(n_samples=1), Newton(), rng=seed, maxfev=23)
        assert problems.Quadratic().parameter_error(found.x) < 1e-6


def test_too_many_parameters_are_refused():
    with pytest.raises(ValueError, match="at most 50 parameters, and there are 51"):
        minimize(lambda x: 0.0, SampleHistory(), x0=np.zeros(51), maxfev=10)


def test_gauss_newton_takes_its_samples_for_what_they_are():
    evaluator = CountingEvaluator(LineObjective(np.ones((4, 2))), Line.provides, torch.ones(2, dtype=torch.float64))
    estimator = GaussNewton(n_samples=3)
    estimate, _ = estimator.estimate(evaluator, torch.ones(2), estimator.init(Line()), np.random.default_rng(0))
    assert estimate.nfev == evaluator.nfev == 6


def test_the_window_shares_one_seed():
    seeds = []

    class Seen(LineObjective):
        def residuals(self, x, *, seed, spp=None):
            seeds.extend(seed)
            return super().residuals(x, seed=seed, spp=spp)

    class Problem2(Line):
        def open(self):
            return Seen(np.ones((12, 2)))

    found = minimize(Problem2(), GaussNewton(), Newton(), rng=0, maxfev=8)
    # Those after measure the answer.
    assert len(set(seeds[: found.history.nfev[-1]])) == 1
    seeds.clear()
    minimize(Problem2(), GaussNewton(seeds="per_iteration"), Newton(), rng=0, maxiter=3)
    assert len(set(seeds[:8])) == 4
    seeds.clear()
    minimize(Problem2(), GaussNewton(window=1, n_samples=2), Newton(), rng=0, maxiter=3)
    assert [len(set(seeds[i : i + 4])) for i in range(0, 16, 4)] == [1, 1, 1, 1]
    assert len(set(seeds[:16])) == 4


def test_width_follows_the_steps():
    width = AdaptiveSigma(shrink=0.5, stretch=1.2, grow=1.5, most=2.0, least=0.1)
    assert width.after_step(1.0, 1.0, 0.5, back=False) == 0.5
    assert width.after_step(1.0, 1.0, 1.0, back=False) == 1.2
    assert width.after_step(1.0, 1.0, 1.0, back=True) == 0.5
    assert width.after_step(0.15, 1.0, 0.0, back=False) == 0.1
    assert width.after_staying(1.5, 1.0) == 2.0
    assert width.after_step(3.0, 1.0, 3.0, back=False, strides=6) == 4.5
    assert width.after_step(3.0, 1.0, 3.0, back=False, strides=5) == 3.0


@pytest.mark.parametrize("residuals", [True, False])
def test_a_far_answer_is_reached_with_growing_steps(residuals):
    fun = (lambda x: x - [1.0, 2.0]) if residuals else (lambda x: float(((x - [1.0, 2.0]) ** 2).sum()))
    problem = problems.Function(fun=fun, x0=[300.0, 300.0], residuals=residuals)
    found = minimize(problem, rng=0)
    assert found.success
    # Of one width each, they would take more than 560 and 3000 evaluations.
    assert found.nfev < 450
    np.testing.assert_allclose(found.x, [1.0, 2.0], atol=1e-3)


@pytest.mark.parametrize("residuals", [True, False])
def test_where_nothing_changes_the_start_is_the_answer(residuals):
    problem = problems.Function(fun=lambda x: np.ones(5) if residuals else 1.0, x0=[3.0, 2.0], residuals=residuals)
    found = minimize(problem, rng=2)
    assert found.status.name == "PLATEAU"
    np.testing.assert_array_equal(found.x, [3.0, 2.0])


@pytest.mark.parametrize(
    ("name", "value"), [("shrink", 1.0), ("shrink", 0.0), ("grow", 0.9), ("gate", -1.0), ("most", 0.5), ("start", 0.0)]
)
def test_bad_widths_name_their_field(name, value):
    with pytest.raises(ValueError, match=f"'{name}' must be"):
        AdaptiveSigma(**{name: value})


def test_pairs_grow_with_the_parameters():
    assert [GaussNewton().cost(n) for n in (1, 3, 4, 10)] == [2, 2, 16, 40]
    assert GaussNewton(n_samples=5).cost(10) == 10


def test_more_samples_per_pixel_count_as_more_evaluations():
    evaluator = CountingEvaluator(
        LineObjective(np.ones((4, 2))),
        Line.provides,
        torch.ones(2, dtype=torch.float64),
        budget=Budget(maxfev=20),
        samples=4,
    )
    points, seeds = torch.ones((2, 2), dtype=torch.float64), np.array([1, 1])
    evaluator.residuals(points, seed=seeds)
    evaluator.residuals(points, seed=seeds, spp=4)
    assert evaluator.nfev == 4
    evaluator.residuals(points, seed=seeds, spp=18)
    assert evaluator.nfev == 4 + 2 * 5
    with pytest.raises(StopRun):
        evaluator.residuals(points, seed=seeds, spp=16)


def test_products_of_samples_give_what_the_residuals_themselves_give():
    rng = np.random.default_rng(0)
    made, gram = [], None
    for k in (6, 4, 8):
        points = torch.from_numpy(rng.standard_normal((k, 3)))
        values = torch.from_numpy(rng.standard_normal((k, 3)) @ rng.standard_normal((3, 50)) + 0.1)
        made.append(Batch(torch.zeros(3, dtype=torch.float64), 1.0, points, values))
        gram = extended(gram, tuple(made[-2:]))
    window = tuple(made[-2:])
    seen = reweight(window, torch.full((3,), 0.2, dtype=torch.float64), 0.9)
    model, direct = linear_model(window, seen, gram), fit(*linear(seen.t), seen.weights, made_values(window))
    torch.testing.assert_close(model.coefficients, direct.coefficients)
    torch.testing.assert_close(model.products, direct.coefficients @ direct.coefficients.T)
    torch.testing.assert_close(model.rests, direct.rest @ direct.coefficients.T)
    torch.testing.assert_close(model.covariance(), direct.covariance())
    assert model.overdetermined == direct.overdetermined


def made_values(window):
    return torch.cat([batch.values for batch in window])


def test_batches_without_weight_are_dropped():
    near, far = (torch.full((1,), c, dtype=torch.float64) for c in (0.0, 30.0))
    made = tuple(Batch(c, 1.0, c + torch.tensor([[-1.0], [1.0]]), torch.ones(2)) for c in (far, near, far, near))
    assert helpful(made, reweight(made, near, 1.0)) == made[1:]
    assert helpful(made, reweight(made, far, 1.0)) == made


@pytest.mark.parametrize(
    "estimator", [GaussNewton(n_samples=2), SampleHistory(n_samples=2)], ids=["residuals", "values"]
)
def test_a_window_left_behind_is_dropped(estimator):
    evaluator = CountingEvaluator(LineObjective(np.ones((4, 2))), Line.provides, torch.ones(2, dtype=torch.float64))
    state, rng, lengths = estimator.init(Line()), np.random.default_rng(0), []
    for place in (0.0, 0.0, 0.0, 50.0, 50.0):
        x = torch.full((2,), place, dtype=torch.float64)
        _, state = estimator.estimate(evaluator, x, evolve(state, x=None), rng)
        lengths.append(len(state.batches))
    assert lengths == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("offset", [1000.0, -1000.0, 0.0])
def test_an_offset_does_not_make_a_plateau(offset):
    found = minimize(lambda x: offset + float(x @ x), x0=[5.0, 4.0], rng=0, maxfev=400)
    assert np.abs(found.x).max() < 0.05


def test_values_of_any_precision_will_do():
    class Single(LineObjective):
        def fun(self, x, *, seed, spp=None):
            return x.square().sum(1).float()

    class Plain(Line):
        provides = Capability.FUN

        def open(self):
            return Single(np.ones((1, 2)))

    assert np.abs(minimize(Plain(), rng=0, maxfev=100).x).max() < 0.05
