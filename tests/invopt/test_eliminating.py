"""What shades is eliminated: reduced residuals, budgets, bounds, the answer, the journal."""

import numpy as np
import pytest
import torch
from attrs import frozen
from scipy.optimize import Bounds, lsq_linear
from scipy.sparse import csr_matrix, random_array

import invopt
from invopt import estimators, optimizers
from invopt.evaluate.budget import Budget, StopRun
from invopt.evaluate.eliminating import least_squares
from invopt.evaluate.eliminating.evaluator import EliminatingEvaluator
from invopt.evaluate.eliminating.least_squares import Normal, eliminate
from invopt.evaluate.eliminating.prior import prior_of
from invopt.evaluate.sought import Sought
from invopt.exceptions import IncompatibleError
from invopt.plugin import Capability, Grid, Objective, Problem, Shading

PLACES = np.linspace(0, 1, 200)


def bumps(place, count, width=0.02):
    """Soft bumps beside each other, the first of them at `place`; shape (200, count)."""
    centres = place + np.linspace(0, 0.5, count)
    return np.exp(-0.5 * ((PLACES[:, None] - centres) / width) ** 2)


@frozen(kw_only=True, eq=False)
class Row(Problem):
    """A row of bumps: where it begins, and how high each bump is."""

    provides = Capability.FUN | Capability.RESIDUALS | Capability.SHADING
    count: int = 12
    noise: float = 0.0
    moving: bool = True
    width: float = 0.02
    start: float = 0.27

    @property
    def x_opt(self):
        heights = 0.5 + 0.4 * np.sin(np.arange(self.count))
        return np.concatenate([[0.25], heights]) if self.moving else heights

    @property
    def x0(self):
        return np.concatenate([np.full(int(self.moving), self.start), np.full(self.count, 0.4)])

    @property
    def bounds(self):
        return Bounds(np.zeros(self.n), np.ones(self.n))

    @property
    def x_scale(self):
        return np.full(self.n, 0.125)

    @property
    def shades(self):
        return np.arange(self.n) >= self.moving

    @property
    def grids(self):
        return (Grid(np.arange(self.n)[self.shades][None]),)

    def open(self):
        return RowObjective(self)


class RowObjective(Objective):
    chunk_size = 1

    def __init__(self, problem):
        self._problem = problem
        self._target = self._jacobian(problem.x_opt, None) @ problem.x_opt[problem.shades]
        self.image_shapes = ()

    def _jacobian(self, x, seed):
        problem = self._problem
        found = bumps(x[0] if problem.moving else 0.25, problem.count, problem.width)
        if seed is None or problem.noise == 0:
            return found
        return found * (1 + problem.noise * np.random.default_rng(int(seed)).standard_normal((len(PLACES), 1)))

    def shading(self, x, *, seed, spp=None):
        jacobian = np.zeros((len(PLACES), self._problem.n))
        jacobian[:, self._problem.shades] = self._jacobian(x.numpy(), seed)
        return Shading(jacobian @ x.numpy() - self._target, csr_matrix(jacobian))

    def residuals(self, x, *, seed, spp=None):
        rows = [self.shading(row, seed=s).residuals for row, s in zip(x, seed, strict=True)]
        return torch.from_numpy(np.array(rows))

    def fun(self, x, *, seed, spp=None):
        return self.residuals(x, seed=seed).square().mean(1)


def opened(problem, maxfev=np.inf):
    shades, scale = problem.shades, torch.from_numpy(problem.x_scale)
    return EliminatingEvaluator(
        problem.open(),
        problem.provides,
        scale,
        (torch.from_numpy(problem.bounds.lb), torch.from_numpy(problem.bounds.ub)),
        Budget(maxfev=maxfev),
        sought=Sought(free=~shades, held=problem.x0),
        shaded=shades,
        grids=problem.grids,
    )


def test_residuals_are_what_no_shading_within_bounds_explains():
    problem = Row()
    evaluator = opened(problem)
    x = torch.tensor([[0.31 / 0.125]], dtype=torch.float64)
    found = evaluator.residuals(x, seed=np.array([3]))[0].numpy()
    jacobian = bumps(0.31, problem.count)
    target = bumps(0.25, problem.count) @ problem.x_opt[1:]
    least = np.square(lsq_linear(jacobian, target, (0, 1)).fun).sum()
    # The prior leaves a little more than least squares do.
    assert least <= np.square(found).sum() < 1.3 * least
    whole = evaluator.unscale(x)[0].numpy()
    np.testing.assert_allclose(jacobian @ whole[1:] - target, found, atol=1e-12)
    assert whole[0] == pytest.approx(0.31)
    assert whole[1:].min() >= 0
    assert whole[1:].max() <= 1


def test_each_pass_counts_as_two_and_no_budget_is_exceeded():
    evaluator = opened(Row(), maxfev=5)
    x = torch.tensor([[2.0]], dtype=torch.float64)
    evaluator.residuals(x, seed=np.array([1]))
    assert evaluator.nfev == 2
    with pytest.raises(StopRun):
        evaluator.residuals(x.expand(2, -1), seed=np.array([1, 2]))
    assert evaluator.nfev == 4
    evaluator.settle()
    evaluator.fun(x, seed=np.array([1]))
    assert evaluator.nfev == 5


def test_once_settled_values_are_those_of_the_whole_point():
    problem = Row(noise=0.1)
    evaluator = opened(problem)
    x = torch.tensor([[2.0]], dtype=torch.float64)
    reduced = float(evaluator.fun(x, seed=np.array([1]))[0])
    evaluator.settle()
    whole = evaluator.unscale(x)
    value = float(evaluator.fun(x, seed=np.array([2]))[0])
    assert value == float(problem.open().fun(whole, seed=np.array([2]))[0])
    assert value > reduced


@pytest.fixture
def equations():
    rng = np.random.default_rng(0)
    jacobian = csr_matrix(random_array((300, 40), density=0.2, rng=rng))
    truth = rng.uniform(-0.5, 1.5, 40)
    right = jacobian @ truth + 0.01 * rng.standard_normal(300)
    grid = Grid(np.arange(40).reshape(5, 8), periodic=True)
    prior = prior_of(np.full(40, 0.5), np.zeros(40), np.ones(40), [grid], np.arange(40))
    return jacobian, right, prior


def test_conjugate_gradients_and_the_dense_factor_agree(equations, monkeypatch):
    jacobian, right, prior = equations
    dense = Normal(jacobian, right, prior)
    monkeypatch.setattr(least_squares, "_MOST_DENSE", 0)
    iterated = Normal(jacobian, right, prior)
    for level in (1e-4, 1.0):
        found = [each.solution(level, prior.start) for each in (dense, iterated)]
        np.testing.assert_allclose(*found, atol=1e-3)
        assert ((found[0] == 0) | (found[0] == 1)).any()
    columns = np.eye(40)[:, :3]
    np.testing.assert_allclose(dense.inverse(0.1, columns), iterated.inverse(0.1, columns), atol=1e-4)


def test_the_weight_of_the_prior_is_what_is_left_over(equations):
    jacobian, right, prior = equations
    inside = prior_of(prior.start, np.full(40, -9.0), np.full(40, 9.0), [], np.arange(40))
    normal = Normal(jacobian, right, inside)
    s, left = eliminate(normal, inside)
    assert left == pytest.approx(normal.left(s))
    assert 0.2e-4 < left < 2e-4
    again, _ = eliminate(normal, inside, left)
    np.testing.assert_allclose(again, s, atol=1e-2)
    stiff, _ = eliminate(normal, inside, 1e6)
    np.testing.assert_allclose(stiff, inside.start, atol=1e-3)


def test_neighbours_in_a_grid_are_alike_and_others_are_not():
    grid = Grid(np.arange(2, 14).reshape(3, 4), periodic=True)
    prior = prior_of(np.zeros(13), np.full(13, -1.0), np.ones(13), [grid], np.arange(1, 14))
    precision = prior.precision.toarray()
    assert precision[0, 1:].tolist() == [0.0] * 12
    links = np.argwhere(np.triu(precision, 1) < 0)
    # Across with the last column beside the first one, and down.
    assert len(links) == 3 * 4 + 2 * 4
    np.testing.assert_allclose(precision @ np.ones(13), 0.25)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_run_finds_what_moves_and_what_shades(noise):
    problem = Row(noise=noise)
    res = invopt.minimize(problem, rng=0, maxfev=120, progress=False)
    assert "Separable" in res.choice
    assert isinstance(res.method, optimizers.Separable)
    assert res.nfev <= 120
    assert abs(res.x[0] - 0.25) < 0.01
    assert np.abs(res.x[1:] - problem.x_opt[1:]).max() < 0.1
    assert res.history["x"].shape[1] == problem.n
    with problem.open() as live:
        values = live.fun(torch.from_numpy(res.x).expand(200, -1), seed=np.arange(200)).numpy()
    assert res.fun == pytest.approx(values.mean(), abs=6 * values.std() + 1e-12)


def test_errors_of_the_shading_come_from_the_scatter_between_seeds():
    res = invopt.minimize(Row(noise=0.05), rng=0, maxfev=200, progress=False)
    assert res.x_standard_error is not None
    assert (res.x_standard_error > 0).all()
    assert np.isfinite(res.x_standard_error).all()


@pytest.mark.parametrize("maxfev", [1, 2, 5, 9, 30])
def test_any_budget_is_kept_and_gives_an_answer(maxfev):
    problem = Row(noise=0.05)
    res = invopt.minimize(problem, estimators.Kriging(), optimizers.Separable(), rng=0, maxfev=maxfev, progress=False)
    assert res.nfev <= maxfev
    assert res.x.shape == (problem.n,)
    assert ((res.x >= 0) & (res.x <= 1)).all()


def test_other_methods_search_what_moves_too():
    problem = Row(start=0.26)
    method = optimizers.Separable(inner=optimizers.Newton())
    res = invopt.minimize(problem, estimators.FiniteDifference(), method, rng=0, maxfev=200, progress=False)
    assert abs(res.x[0] - 0.25) < 0.01


def test_few_columns_are_not_eliminated_by_default():
    res = invopt.minimize(Row(count=8), rng=0, maxfev=30, progress=False)
    assert isinstance(res.method, optimizers.LeastSurprise)


def test_where_nothing_moves_the_jacobian_is_used_at_once():
    problem = Row(moving=False)
    res = invopt.minimize(problem, rng=0, maxfev=30, progress=False)
    assert isinstance(res.estimator, estimators.SparseGaussNewton)
    assert np.abs(res.history["x"][1] - problem.x_opt).max() < 1e-2
    assert res.history["nfev"][0] == 2


def test_it_needs_both_kinds_and_their_jacobian():
    with pytest.raises(IncompatibleError, match="all of Row shade"):
        invopt.minimize(Row(moving=False), estimators.Kriging(), optimizers.Separable(), maxfev=9)
    with pytest.raises(IncompatibleError, match="needs RESIDUALS.SHADING"):
        invopt.minimize(
            "quadratic", estimators.SharedSamples(), optimizers.Separable(inner=optimizers.Adam()), maxfev=9
        )
    with pytest.raises(TypeError, match="inner"):
        optimizers.Separable(inner="adam")


def test_a_journal_replays_passes(tmp_path):
    found = [
        invopt.minimize(
            Row(noise=0.05), rng=3, maxfev=40, progress=False, journal=tmp_path / "runs.sqlite", identity="row"
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(found[0].x, found[1].x)
    assert found[0].n_replayed == 0
    assert found[1].n_replayed > 0
    assert found[0].nfev == found[1].nfev
    journal = invopt.Journal(tmp_path / "runs.sqlite")
    assert "shading" in journal.evaluations().kind


def test_identifiability_tells_what_shading_imitates():
    res = invopt.minimize(Row(noise=0.02), rng=0, maxfev=200, progress=False)
    found = res.identifiability
    assert found.names == ("x0",)
    assert found.share.tolist() == [pytest.approx(found.worst)]
    # Bumps of free heights, without noise and prior, imitate all but this of a step of the same length.
    heights, step = Row().x_opt[1:], 0.1 * 0.125
    slope = (bumps(0.25 + step, 12) - bumps(0.25, 12)) @ heights
    left = slope - bumps(0.25, 12) @ np.linalg.lstsq(bumps(0.25, 12), slope, rcond=None)[0]
    expected = left @ left / (slope @ slope)
    assert abs(found.worst - expected) < 0.05


def test_a_motion_that_shading_imitates_is_warned_of():
    with pytest.warns(UserWarning, match="of the effect of x0 on the pictures"):
        invopt.minimize(Row(width=0.03, start=0.4, noise=0.05), rng=0, maxfev=200, progress=False)
