"""Estimators that remember: re-weighting and regression against closed forms, error bars, exactness on quadratics."""

import math

import numpy as np
import pytest
import torch

from invopt import AdaptiveWidth, Capability, Objective, Problem, Status, minimize, problems
from invopt._evaluate import Budget, Evaluator, StopRun
from invopt.estimators import GaussNewton, SampleHistory
from invopt.estimators.directions import Directions, draw, log_density
from invopt.estimators.linear_model import extended, linear_model
from invopt.estimators.regression import fit, linear, quadratic, unpack
from invopt.estimators.window import Batch, helpful, reweight
from invopt.optimizers import Newton
from invopt.testing import assert_mean

from .closed_forms import make
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
    scores = np.array([(jac - exact) / error for jac, _, error in found])
    # Stratified lengths make the errors smaller than independent draws would.
    assert 0.6 < np.sqrt(np.mean(scores**2)) < 1.3


def test_a_quadratic_is_exact_from_as_many_samples_as_coefficients():
    f, x, _ = make("quadratic", 3)
    exact = f.smoothed(x, SIGMA)
    jac, hess, _ = derivatives(f, x, 12, 0)
    np.testing.assert_allclose(jac, exact.jac, atol=1e-3)
    np.testing.assert_allclose(hess, exact.hess, atol=1e-3)


def test_history_solves_the_quadratic_in_few_evaluations():
    for seed in range(5):
        found = minimize(problems.Quadratic(), SampleHistory(n_samples=1), Newton(), rng=seed, maxfev=20)
        assert problems.Quadratic().parameter_error(found.x) < 1e-6


def test_too_many_parameters_are_refused():
    with pytest.raises(ValueError, match="at most 50 parameters, and there are 51"):
        minimize(lambda x: 0.0, SampleHistory(), x0=np.zeros(51), maxfev=10)


class _Line(Objective):
    """Residuals linear in x, with noise that depends on the seed and falls with the samples."""

    chunk_size = 1

    def __init__(self, slope):
        self.slope = slope

    def residuals(self, x, *, seed, spp=None):
        rows = []
        for row, s in zip(x.numpy(), seed, strict=True):
            noise = np.random.default_rng(int(s)).standard_normal(self.slope.shape[0])
            rows.append(self.slope @ row + 0.3 * noise / math.sqrt((spp or 4) / 4))
        return torch.from_numpy(np.array(rows))

    def fun(self, x, *, seed, spp=None):
        return self.residuals(x, seed=seed, spp=spp).square().mean(1)


class Line(Problem):
    provides = Capability.FUN | Capability.RESIDUALS
    x0 = np.array([1.0, -0.5])
    x_opt = np.zeros(2)
    samples = 4

    def open(self):
        return _Line(np.random.default_rng(0).standard_normal((240, 2)) * [1.0, 0.4])


def test_gauss_newton_ends_at_the_noise_floor_with_true_error_bars():
    scores = []
    for seed in range(40):
        found = minimize(Line(), GaussNewton(max_spp_factor=4), Newton(), rng=seed, maxfev=400)
        assert found.status is Status.NOISE_FLOOR
        assert found.success
        assert found.x_standard_error.shape == (2,)
        scores.append(found.x / found.x_standard_error)
    # 80 scores: the root of their mean square is 1 +- 0.08 if the error bars are right.
    assert 0.7 < np.sqrt(np.mean(np.square(scores))) < 1.35


def test_gauss_newton_takes_its_samples_for_what_they_are():
    evaluator = Evaluator(_Line(np.ones((4, 2))), Line.provides, torch.ones(2, dtype=torch.float64))
    estimator = GaussNewton(n_samples=3)
    estimate, _ = estimator.estimate(evaluator, torch.ones(2), estimator.init(Line()), np.random.default_rng(0))
    assert estimate.nfev == evaluator.nfev == 6


def test_the_window_shares_one_seed():
    seeds = []

    class Seen(_Line):
        def residuals(self, x, *, seed, spp=None):
            seeds.extend(seed)
            return super().residuals(x, seed=seed, spp=spp)

    class Problem2(Line):
        def open(self):
            return Seen(np.ones((12, 2)))

    minimize(Problem2(), GaussNewton(), Newton(), rng=0, maxfev=8)
    assert len(set(seeds)) == 1
    seeds.clear()
    minimize(Problem2(), GaussNewton(seeds="per_iteration"), Newton(), rng=0, maxfev=8)
    assert len(set(seeds)) == 4
    seeds.clear()
    minimize(Problem2(), GaussNewton(window=1, n_samples=2), Newton(), rng=0, maxfev=16)
    assert [len(set(seeds[i : i + 4])) for i in range(0, 16, 4)] == [1, 1, 1, 1]
    assert len(set(seeds)) == 4


def test_width_follows_the_steps():
    width = AdaptiveWidth(shrink=0.5, stretch=1.2, grow=1.5, most=2.0, least=0.1)
    assert width.after_step(1.0, 1.0, 0.5, back=False) == 0.5
    assert width.after_step(1.0, 1.0, 1.0, back=False) == 1.2
    assert width.after_step(1.0, 1.0, 1.0, back=True) == 0.5
    assert width.after_step(0.15, 1.0, 0.0, back=False) == 0.1
    assert width.after_staying(1.5, 1.0) == 2.0


@pytest.mark.parametrize(
    ("name", "value"), [("shrink", 1.0), ("shrink", 0.0), ("grow", 0.9), ("gate", -1.0), ("most", 0.5), ("start", 0.0)]
)
def test_bad_widths_name_their_field(name, value):
    with pytest.raises(ValueError, match=f"'{name}' must be"):
        AdaptiveWidth(**{name: value})


def test_pairs_grow_with_the_parameters():
    assert [GaussNewton().cost(n) for n in (1, 3, 4, 10)] == [2, 2, 16, 40]
    assert GaussNewton(n_samples=5).cost(10) == 10


def test_more_samples_per_pixel_count_as_more_evaluations():
    evaluator = Evaluator(
        _Line(np.ones((4, 2))), Line.provides, torch.ones(2, dtype=torch.float64), budget=Budget(maxfev=20), samples=4
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
    assert model.determined == direct.determined


def made_values(window):
    return torch.cat([batch.values for batch in window])


def test_batches_without_weight_are_dropped():
    near, far = (torch.full((1,), c, dtype=torch.float64) for c in (0.0, 30.0))
    made = tuple(Batch(c, 1.0, c + torch.tensor([[-1.0], [1.0]]), torch.ones(2)) for c in (far, near, far, near))
    assert helpful(made, reweight(made, near, 1.0)) == made[1:]
    assert helpful(made, reweight(made, far, 1.0)) == made


class _Shared(_Line):
    """Noise that twelve residuals in a row have in common."""

    def residuals(self, x, *, seed, spp=None):
        noise = [np.random.default_rng(int(s)).standard_normal(len(self.slope) // 12).repeat(12) for s in seed]
        clean = x.numpy() @ self.slope.T
        return torch.from_numpy(clean + 0.3 * np.array(noise) / math.sqrt((spp or 4) / 4))


class Shared(Line):
    def open(self):
        return _Shared(np.random.default_rng(0).standard_normal((40, 2)).repeat(12, 0))


def scores(problem, seeds, **settings):
    found = [minimize(problem, GaussNewton(**settings), Newton(), rng=seed, maxfev=3_000) for seed in seeds]
    return [each.x / each.x_standard_error for each in found if each.x_standard_error is not None]


def test_error_bars_know_of_noise_that_neighbours_share():
    # Taken for independent, it would make the bars 3.5 times too short.
    assert 0.6 < np.sqrt(np.mean(np.square(scores(Shared(), range(30), max_spp_factor=1)))) < 1.7


@pytest.mark.parametrize("m", [2, 3, 8, 12, 60])
def test_few_residuals_have_true_error_bars(m):
    class Few(Line):
        def open(self):
            return _Line(np.random.default_rng(5).standard_normal((m, 2)))

    found = scores(Few(), range(20), max_spp_factor=1)
    # Of two residuals some starts are not surely above the noise.
    assert len(found) >= (10 if m == 2 else 20)
    assert 0.5 < np.sqrt(np.mean(np.square(found))) < 2.0


def test_error_bars_at_a_bound():
    """There noise moves nothing along it, and the others are as precise as they are without it."""

    def residuals(x, seed):
        return slope @ (x - [1.0, 2.0]) + 0.3 * np.random.default_rng(seed).standard_normal(len(slope))

    slope = np.random.default_rng(5).standard_normal((60, 2))
    # Where the bound is, the best second parameter is no longer 2.
    best = 2.0 + 0.5 * slope[:, 0] @ slope[:, 1] / (slope[:, 1] @ slope[:, 1])
    scores = []
    for seed in range(20):
        problem = problems.Function(
            fun=residuals, x0=[0, 0], seeded=True, residuals=True, bounds=[(None, 0.5), (None, None)]
        )
        found = minimize(problem, GaussNewton(), Newton(), rng=seed, maxfev=500)
        assert found.status.name == "NOISE_FLOOR"
        assert found.x_standard_error[0] == 0
        assert found.x[0] == 0.5
        scores.append((found.x[1] - best) / found.x_standard_error[1])
    assert 0.5 < np.sqrt(np.mean(np.square(scores))) < 1.8


def test_a_minimum_beside_a_bound():
    slope = np.random.default_rng(5).standard_normal((60, 2))

    def residuals(x, seed):
        return slope @ (x - [0.1, 1.0]) + 0.3 * np.random.default_rng(seed).standard_normal(60)

    scores = []
    for seed in range(20):
        problem = problems.Function(
            fun=residuals, x0=[2, 2], bounds=[(0, 4)] * 2, sigma=3.0, seeded=True, residuals=True
        )
        found = minimize(problem, GaussNewton(), Newton(), rng=seed, maxfev=500)
        scores.append((found.x - [0.1, 1.0]) / found.x_standard_error)
    assert 0.5 < np.sqrt(np.mean(np.square(scores))) < 2.0


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e-6])
def test_small_units_are_no_small_gradients(unit):
    t = np.linspace(0, 1, 40)

    def residuals(x):
        return unit * (x[0] * np.exp(-x[1] * t) - 2 * np.exp(-0.5 * t))

    for seed in range(4):
        problem = problems.Function(fun=residuals, x0=[3, 1.5], sigma=0.5, residuals=True)
        found = minimize(problem, rng=seed, maxfev=400)
        assert found.success
        np.testing.assert_allclose(found.x, [2, 0.5], atol=1e-3)


@pytest.mark.parametrize(("m", "n"), [(5, 2), (50, 1)])
def test_noise_alone_is_no_minimum(m, n):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        problem = problems.Function(fun=lambda x, rng=rng: rng.normal(size=m), x0=np.zeros(n), residuals=True)
        found = minimize(problem, GaussNewton(), Newton(), rng=seed, maxfev=400)
        assert not found.success
        assert found.x_standard_error is None


def test_a_wrong_minimum_far_above_the_noise_is_said():
    u = np.ones(60)

    def residuals(x, seed):
        waves = np.concatenate([(x[0] - 5) * u, np.sin(1.5 * np.pi * (x[0] - 5)) * u])
        return waves + 0.01 * np.random.default_rng(seed).normal(size=120)

    problem = problems.Function(fun=residuals, x0=[0.0], sigma=0.2, residuals=True, seeded=True)
    found = minimize(problem, rng=0, maxfev=1000)
    assert abs(found.x[0] - 5) < 0.1 or "times the noise" in found.message or not found.success


def test_nothing_left_of_the_residuals_is_an_end():
    steps = problems.Function(fun=lambda x: (x > [0.3, 0.7]) - [0.0, 1.0], x0=[1.0, 0.0], residuals=True)
    found = minimize(steps, rng=0)
    assert found.success
    assert found.fun == 0
    assert found.nfev < 100


def test_more_samples_per_pixel_make_shorter_error_bars():
    short, long = (
        minimize(Line(), GaussNewton(max_spp_factor=k), Newton(), rng=0, maxfev=3_000).x_standard_error for k in (16, 1)
    )
    np.testing.assert_allclose(long / short, 4.0, rtol=0.4)


class Waves(Problem):
    """False valleys between the start and the true ones."""

    provides = Capability.FUN | Capability.RESIDUALS
    x0 = np.array([-5.0])
    sigma = 0.6

    def open(self):
        class Live(_Line):
            def residuals(self, x, *, seed, spp=None):
                grid = torch.linspace(0, 1, 60, dtype=torch.float64)
                return torch.stack([r + 2.0 * torch.sin(2.2 * r) ** 2 + 0.05 * grid * r for r in x[:, 0]])

        return Live(np.ones((60, 1)))


def test_a_descent_that_ends_too_high_is_not_the_last():
    def solved(restarts):
        found = [minimize(Waves(), GaussNewton(restarts=restarts), Newton(), rng=s, maxfev=300) for s in range(8)]
        return sum(each.fun < 0.01 for each in found)

    assert solved(8) > solved(0)


def test_a_false_minimum_that_noise_hides_is_found_out_with_more_samples():
    class Hidden(Line):
        """A valley of height 0.06 beside the true one, under noise of mean square 0.09."""

        x0 = np.array([-3.4])
        sigma = 0.3

        def open(self):
            class Live(_Line):
                def residuals(self, x, *, seed, spp=None):
                    halves = torch.cat([torch.sin(math.pi / 3 * x), -0.346 / 3 * x], 1)
                    noise = super().residuals(torch.zeros_like(x), seed=seed, spp=spp)
                    return halves.repeat_interleave(120, 1) + noise

            return Live(np.ones((240, 1)))

    for restarts in (0, 3):
        again = minimize(Hidden(), GaussNewton(restarts=restarts), Newton(), rng=0, maxfev=1000)
        # A descent that noise had stopped does not keep the next one from becoming narrow.
        assert again.nfev < 1000
        assert again.history["sigma"][-1] < 0.01
    found = minimize(Hidden(), GaussNewton(restarts=0), Newton(), rng=0, maxfev=400)
    assert found.x[0] < -2
    assert found.status is not Status.NOISE_FLOOR
    assert "stay far above their noise" in found.message


def test_what_cannot_match_is_still_found_precisely():
    class Offset(Line):
        """A target that no x reaches: every descent ends above the noise."""

        samples = None

        def open(self):
            class Live(_Line):
                def residuals(self, x, *, seed, spp=None):
                    return torch.cat([x.tanh() @ torch.from_numpy(self.slope).T, torch.full((len(x), 60), 0.5)], 1)

            return Live(np.random.default_rng(0).standard_normal((60, 2)))

    found = minimize(Offset(), GaussNewton(restarts=2), Newton(), rng=0, maxfev=300, xtol=0, ftol=0)
    assert "stay far above their noise" in found.message
    assert found.history["sigma"][-1] < 0.01
    assert np.abs(found.x).max() < 0.01


@pytest.mark.parametrize("offset", [1000.0, -1000.0, 0.0])
def test_an_offset_does_not_make_a_plateau(offset):
    found = minimize(lambda x: offset + float(x @ x), x0=[5.0, 4.0], rng=0, maxfev=400)
    assert np.abs(found.x).max() < 0.05


def test_values_of_any_precision_will_do():
    class Single(_Line):
        def fun(self, x, *, seed, spp=None):
            return x.square().sum(1).float()

    class Plain(Line):
        provides = Capability.FUN

        def open(self):
            return Single(np.ones((1, 2)))

    assert np.abs(minimize(Plain(), rng=0, maxfev=100).x).max() < 0.05
