"""GaussNewton: runs end at the noise floor, not in a local minimum."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from invopt import AdaptiveSigma, Capability, Problem, Status, minimize, problems
from invopt.estimators import GaussNewton
from invopt.exceptions import NonFiniteError
from invopt.optimizers import Newton

from .lines import Line, LineObjective


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_parameters_that_change_no_residual_are_an_end(noise):
    t = np.linspace(0, 1, 50)

    def residuals(x, seed):
        return (x[0] - 1) * t + noise * np.random.default_rng(seed).standard_normal(50)

    problem = problems.Function(fun=residuals, x0=[2.0, 2.0], residuals=True, seeded=True)
    found = minimize(problem, rng=0, maxfev=400)
    assert found.nfev < 200
    assert found.x[0] == pytest.approx(1.0, abs=0.05)
    if noise:
        assert found.x_standard_error is None
        assert "do not determine all parameters" in found.message


def test_fewer_residuals_than_parameters_are_said():
    problem = problems.Function(fun=lambda x: np.array([x[0] + x[1] - 1]), x0=[3.0, 3.0], residuals=True)
    found = minimize(problem, rng=0, maxfev=200)
    assert found.x.sum() == pytest.approx(1.0, abs=1e-6)
    assert "1 residuals do not determine 2 parameters" in found.message


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


def test_units_whose_squares_no_number_holds():
    def minimized(unit):
        problem = problems.Function(fun=lambda x: unit * (x - [1.0, 2.0]), x0=[3.0, 3.0], residuals=True)
        return minimize(problem, rng=0, maxfev=200)

    # All squares are 0, but no residual is known to be.
    assert not minimized(1e-170).success
    with pytest.raises(NonFiniteError):
        minimized(1e200)


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
    # Steps that grow would pass it.
    narrow = GaussNewton(sigma=AdaptiveSigma(strides=1000))
    found = minimize(problem, narrow, rng=0, maxfev=1000)
    assert abs(found.x[0] - 5) > 0.5
    assert not found.success


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
    """Local minima between the start and the global ones."""

    provides = Capability.FUN | Capability.RESIDUALS
    x0 = np.array([-5.0])
    sigma = 0.6

    def open(self):
        class Live(LineObjective):
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
        """A local minimum of value 0.06 under noise of mean square 0.09."""

        x0 = np.array([-3.4])
        sigma = 0.3

        def open(self):
            class Live(LineObjective):
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
        """A target that no x matches: every descent ends above the noise."""

        samples = None

        def open(self):
            class Live(LineObjective):
                def residuals(self, x, *, seed, spp=None):
                    return torch.cat([x.tanh() @ torch.from_numpy(self.slope).T, torch.full((len(x), 60), 0.5)], 1)

            return Live(np.random.default_rng(0).standard_normal((60, 2)))

    found = minimize(Offset(), GaussNewton(restarts=2), Newton(), rng=0, maxfev=300, xtol=0, ftol=0)
    assert "residuals remain that no noise explains" in found.message
    assert found.history["sigma"][-1] < 0.01
    assert np.abs(found.x).max() < 0.01


@pytest.mark.parametrize(("m", "seeds"), [(3, 4), (60, 3)])
def test_noise_is_measured_under_more_seeds_where_residuals_are_few(m, seeds):
    seen = []

    def residuals(x, seed):
        seen.append(int(seed))
        return x[0] - 1 + 0.1 * np.random.default_rng(seed).standard_normal(m)

    problem = problems.Function(fun=residuals, x0=[3.0], residuals=True, seeded=True)
    found = minimize(problem, GaussNewton(), Newton(), rng=0, maxfev=200)
    assert found.status is Status.NOISE_FLOOR
    # And the seed that the window shares; the answer is then measured under others.
    assert len(set(seen[: found.history.nfev[-1]])) == 1 + seeds


def test_no_kernel_gets_narrower_than_the_error_bars():
    # The error bars of the two parameters differ by a factor of 20: the longer one counts.
    slope = np.random.default_rng(5).standard_normal((60, 2)) * [1.0, 0.05]

    def residuals(x, seed):
        return slope @ x + 0.3 * np.random.default_rng(seed).standard_normal(60)

    for seed in range(5):
        problem = problems.Function(fun=residuals, x0=[1.0, 20.0], residuals=True, seeded=True, sigma=20.0)
        found = minimize(problem, GaussNewton(), Newton(), rng=seed, maxfev=500)
        assert found.status is Status.NOISE_FLOOR
        assert found.history["sigma"][-1] > found.x_standard_error.max() > 5 * found.x_standard_error.min()


def test_more_samples_are_not_paid_where_they_do_not_lower_the_residuals():
    class Unmoved(LineObjective):
        def residuals(self, x, *, seed, spp=None):
            return super().residuals(x, seed=seed)

    class Problematic(Line):
        def open(self):
            return Unmoved(np.random.default_rng(0).standard_normal((240, 2)))

    once, often = (minimize(one, GaussNewton(), Newton(), rng=0, maxfev=20_000) for one in (Problematic(), Line()))
    assert once.status is often.status is Status.NOISE_FLOOR
    assert once.nfev < 0.5 * often.nfev


@pytest.mark.parametrize("maxfev", [30, 80])
def test_what_the_budget_does_not_hold_is_not_begun(maxfev):
    """An unfinished window of more samples per pixel would give no error bars."""
    for seed in range(6):
        found = minimize(Line(), GaussNewton(), Newton(), rng=seed, maxfev=maxfev)
        assert (np.abs(found.x) < 8 * found.x_standard_error).all()


def wavy(x):
    """Minima every 4/3, each lower than the one before, none of which is zero."""
    ones, r = np.ones(30), x[0] - 5
    return np.concatenate([ones, 0.3 * r * ones, 2 * np.sin(1.5 * np.pi * r) * ones])


def test_descents_begin_by_turns_where_the_run_began_and_where_the_last_one_ended():
    problem, path = problems.Function(fun=wavy, x0=[0.0], sigma=0.2, residuals=True), []

    def watch(*, intermediate_result):
        path.append(bool((intermediate_result.x_last == problem.x0).all()))

    found = minimize(problem, GaussNewton(restarts=2), Newton(), rng=0, maxfev=300, callback=watch)
    # Twice the kernel is wide again, the first time where it all began.
    assert sum(later > 4 * earlier for earlier, later in pairwise(found.history["sigma"])) == 2
    assert sum(at_start and not before for before, at_start in pairwise(path)) == 1


def test_the_lowest_of_all_descents_is_the_answer():
    problem = problems.Function(fun=wavy, x0=[0.0], sigma=0.4, residuals=True)
    for seed in range(6):
        fewer, more = (
            minimize(problem, GaussNewton(restarts=k), Newton(trust_radius=1.25), rng=seed, maxfev=600).fun
            for k in (2, 4)
        )
        # The first descents are the same.
        assert more <= fewer + 1e-6
