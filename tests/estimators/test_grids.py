"""SparseGaussNewton on grids: few evaluations, the test of its Jacobian, and what follows where it fails."""

import numpy as np
import pytest
import torch

from invopt import Status, minimize
from invopt.estimators import SparseGaussNewton
from invopt.estimators.least_squares.joint_perturbations import JointPerturbations
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.plugin import SeedPolicy

from .error_bars import assert_bars, decorrelated
from .grids import plain, problem, samples, widened

GRIDS = [plain(6, 8, 2), plain(5, 5, 1, 96)]
N = 121


def local(count=400, seed=1):
    """Samples of both grids, and each parameter by itself, so that all are determined."""
    rng = np.random.default_rng(seed)
    return np.concatenate([np.eye(N), *(widened(samples(grid, count, rng), N) for grid in GRIDS)])


def errors_of(found):
    errors = [found.problem.parameter_error(x) for x in found.history.x]
    return np.array(errors) / errors[0]


def test_a_noise_free_answer_takes_four_evaluations_and_the_test():
    found = minimize(problem(local(), GRIDS), rng=0, maxfev=100)
    assert found.choice.startswith("SparseGaussNewton with NewtonCG")
    assert found.history.nfev[:2].tolist() == [4, 5]
    assert errors_of(found)[1] < 1e-4
    # Never a noise floor where there is no noise.
    assert found.status is Status.CONVERGED


def test_noise_is_averaged_and_ends_the_run_with_error_bars():
    scores, jacobian = [], local()
    for seed in range(3):
        found = minimize(problem(jacobian, GRIDS, noise=0.02), rng=seed, maxfev=100)
        assert found.status is Status.NOISE_FLOOR
        assert found.nfev < 40
        scores.append((found.x - found.problem.x_opt) / found.x_standard_error)
    assert_bars(decorrelated(scores, jacobian), planted=(1.5, 1 / 1.5))


def test_error_bars_hold_where_residuals_share_their_noise():
    scores, jacobian = [], local()
    for seed in range(3):
        # Three residuals for one, of the same noise, as the channels of a grey picture.
        single = problem(jacobian, GRIDS, noise=0.02)
        fun = single.fun
        tripled = problem(np.repeat(jacobian, 3, axis=0), GRIDS)
        object.__setattr__(tripled, "fun", lambda x, seed, fun=fun: np.repeat(fun(x, seed), 3))
        found = minimize(tripled, rng=seed, maxfev=100)
        assert found.status is Status.NOISE_FLOOR
        scores.append((found.x - found.problem.x_opt) / found.x_standard_error)
    assert_bars(decorrelated(scores, jacobian), planted=(1.5, 1 / 1.5))


@pytest.mark.parametrize(("planted", "holds"), [(0.0, True), (0.015, True), (0.021, False), (0.1, False)])
def test_a_planted_error_of_2_percent_fails_the_test(planted, holds):
    jacobian, ones = local(), torch.ones(N, dtype=torch.float64)
    opened = problem(jacobian, GRIDS)
    objective = CountingEvaluator(opened.open(), opened.provides, ones, (0 * ones, ones))
    perturbations = JointPerturbations(n_samples=28, neighbours=4, seeds=SeedPolicy.PER_PAIR)
    rng, x = np.random.default_rng(0), 0.5 * ones
    found = perturbations.identify(objective, x, 0.05, GRIDS, rng)
    assert objective.nfev == 4
    step = torch.from_numpy(rng.uniform(-0.3, 0.3, N))
    residual = objective.residuals((x + step)[None], seed=np.array([found.seed]))[0].numpy()
    # An error of this share of the change.
    change, error = residual - found.residuals[0], rng.standard_normal(len(residual))
    residual = residual + planted * np.linalg.norm(change) / np.linalg.norm(error) * error
    tested = perturbations.tested(objective, x + step, found, residual, GRIDS, rng)
    assert (objective.nfev == 5) is holds
    if holds:
        assert tested.error == pytest.approx(planted, rel=0.02, abs=1e-6)


def test_what_a_distant_texel_adds_costs_more_perturbations():
    jacobian = local()
    wrong = jacobian + 0.06 * np.random.default_rng(5).permuted(jacobian, axis=1)
    assert minimize(problem(jacobian, GRIDS), rng=0, maxfev=100).history.nfev[1] == 5
    assert minimize(problem(wrong, GRIDS), rng=0, maxfev=100).history.nfev[1] > 5


def test_where_residuals_see_two_distant_texels_random_signs_follow():
    grids = [plain(8, 16)]
    rng = np.random.default_rng(2)
    first, second = (np.eye(128)[rng.permutation(128)] for _ in range(2))
    pairs = np.concatenate([np.eye(128), first + second, first - 0.5 * second])
    found = minimize(problem(pairs, grids, noise=0.002), rng=0, maxfev=100)
    # Ramps and their test count as perturbations.
    assert found.history.nfev[1] <= SparseGaussNewton().cost(128) + 1
    assert errors_of(found)[-1] < 1e-3
    assert found.success


@pytest.mark.parametrize("start", [0.0, 0.02, 1.0], ids=str)
def test_perturbations_stay_inside_the_bounds(start):
    points = []
    found = minimize(problem(local(), GRIDS, x0=start, points=points), rng=0, maxfev=100)
    assert np.min(points) >= 0
    assert np.max(points) <= 1
    assert found.history.nfev[:2].tolist() == [4, 5]
    assert errors_of(found)[1] < 1e-4
    # The residuals at the start are those at the base of the perturbations, carried there.
    value = np.square(found.problem.fun(found.problem.x0, 1)).mean()
    np.testing.assert_allclose(found.history.fun[0], value, rtol=1e-6)


def test_fixed_parameters_are_left_out():
    jacobian, bounds = local(), [(0, 1)] * N
    truth = problem(jacobian, GRIDS).x_opt
    for i in range(0, N, 7):
        bounds[i] = (truth[i], truth[i])
    x0 = np.where(np.arange(N) % 7 == 0, truth, 0.5)
    found = minimize(problem(jacobian, GRIDS), x0=x0, bounds=bounds, rng=0, maxfev=100)
    assert found.history.nfev[0] == 4
    assert errors_of(found)[-1] < 1e-6


def test_a_jacobian_that_hides_weak_directions_is_no_noise_floor():
    # Each residual sees the whole grid through a wide blur: small footprints look far better determined.
    places = np.stack(np.indices((8, 8)), -1).reshape(-1, 2)
    apart = np.square(places[:, None] - places[None]).sum(-1)
    blur = np.exp(-apart / (2 * 2.0**2))
    blur = np.repeat(blur / blur.sum(1, keepdims=True), 6, axis=0)
    found = minimize(problem(blur, [plain(8, 8)], noise=0.002), rng=0, maxfev=400)
    if found.success:
        assert np.square((found.x - found.problem.x_opt) / found.x_standard_error).mean() < 4


def test_grids_that_do_not_cover_all_parameters_are_not_used():
    found = minimize(problem(local(), GRIDS[:1]), rng=0, maxfev=60)
    assert found.history.nfev[0] == SparseGaussNewton().cost(N)


def test_with_fixed_seeds_there_are_no_error_bars():
    found = minimize(problem(local(), GRIDS, noise=0.02), SparseGaussNewton(seeds="fixed"), rng=0, maxfev=60)
    assert found.x_standard_error is None
    assert found.status in (Status.CONVERGED, Status.XTOL)


@pytest.mark.parametrize("lost", ["ramp", "sign"])
def test_evaluations_that_fail_are_left_out(lost):
    jacobian, calls = local(), []
    made = problem(jacobian + 0.06 * np.random.default_rng(5).permuted(jacobian, axis=1), GRIDS)
    fun = made.fun

    def failing(x, seed):
        calls.append(x)
        return fun(x, seed) * (np.nan if len(calls) == (2 if lost == "ramp" else 7) else 1)

    object.__setattr__(made, "fun", failing)
    found = minimize(made, rng=0, maxfev=100)
    assert found.n_nonfinite == 1
    assert errors_of(found)[-1] < 1e-3
