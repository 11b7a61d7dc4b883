"""Methods of other libraries that ask for one value at a time."""

import numpy as np
import pytest

import invopt
from invopt import estimators, optimizers, problems

VALUES = estimators.FunctionValue(seeds="fixed")
SEARCHES = [optimizers.PyCMA(sigma0=0.3), optimizers.DifferentialEvolution(popsize=8)]


def run(problem, method, **options):
    return invopt.minimize(problem, VALUES, method, gtol=0, xtol=0, progress=False, **{"maxfev": 500} | options)


@pytest.mark.parametrize("method", SEARCHES, ids=repr)
def test_finds_the_box_from_the_plateau(method):
    problem = problems.Box2(resolution=60)
    answers = [run(problem, method, rng=seed).x_best for seed in (0, 0, 1)]
    assert max(problem.parameter_error(x) for x in answers) < 1e-4
    np.testing.assert_array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


@pytest.mark.parametrize("method", SEARCHES, ids=repr)
def test_counts_stays_inside_and_leaves_the_global_rng_alone(method):
    seen = []

    def fun(x):
        seen.append(x.copy())
        return float(np.sum((x - 0.2) ** 2))

    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is what must not change
    result = run(fun, method, x0=[0.5, 1.5], x_scale=[1.0, 2.0], bounds=[(0, 1), (None, 2)], rng=3, maxfev=150)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert 130 < result.nfev == len(seen) <= 150
    points = np.array(seen)
    assert (points[:, 0] >= 0).all()
    assert (points <= [1, 2]).all()


def test_pycma_pads_a_single_parameter():
    result = run(lambda x: (x[0] - 1) ** 2, optimizers.PyCMA(), x0=[3.0], rng=0, maxfev=300)
    assert abs(result.x_best[0] - 1) < 1e-3


def test_pycma_says_what_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'invopt\[bench\]'"):
        optimizers.PyCMA()


def test_scipy_takes_its_own_differences():
    method = optimizers.Scipy("l-bfgs-b", differences=True)
    assert method.requires == invopt.Order.FUN
    result = run(problems.Quadratic(), method)
    assert result.success
    assert np.abs(result.x).max() < 1e-5
    # Two differences and the value at each point that it visits.
    assert 3 * result.nit < result.history.nfev[-1] <= 3 * (result.nit + 1)
    with pytest.raises(ValueError, match="'differences'"):
        optimizers.Scipy("nelder-mead", differences=True)
