"""Calls as for scipy.optimize.minimize work, or the error says what to write."""

import numpy as np
import pytest
import scipy.optimize
import torch
from scipy.optimize import Bounds, rosen, rosen_der, rosen_hess

import invopt
from invopt import estimators, minimize, optimizers, problems

START = [-1.2, 1.0]


def shifted(x, a, b=0.0):
    return float(((x - a) ** 2).sum() + b)


def shifted_jac(x, a, b=0.0):
    return 2 * (x - a)


def never(x, *args):
    pytest.fail("evaluated before the arguments were checked")


def same(first, second):
    np.testing.assert_array_equal(first.history.x, second.history.x)
    assert first.nfev == second.nfev
    assert first.fun == second.fun


# The start, and further arguments, by position.


def test_x0_by_position():
    expected = minimize(rosen, x0=START, rng=0, maxfev=60)
    same(minimize(rosen, START, rng=0, maxfev=60), expected)
    same(minimize(rosen, np.array(START), rng=0, maxfev=60), expected)
    same(minimize(rosen, tuple(START), None, rng=0, maxfev=60), expected)


def test_x0_by_position_with_parts_by_name():
    expected = minimize(rosen, "finite-difference", "bfgs", x0=START)
    same(minimize(rosen, START, estimator="finite-difference", method="bfgs"), expected)
    same(minimize(rosen, START, "bfgs", estimator="finite-difference"), expected)
    same(minimize(rosen, START, optimizers.BFGS(), estimator="finite-difference"), expected)
    same(minimize(rosen, START, (), "BFGS", estimator="finite-difference"), expected)
    same(minimize(rosen, START, None, optimizers.BFGS(), estimator="finite-difference"), expected)


@pytest.mark.parametrize("args", [(1.5,), (1.5, 2.0), 1.5, np.float64(1.5)], ids=str)
def test_further_arguments(args):
    options = dict(rng=0, maxfev=200)
    in_tuple = args if isinstance(args, tuple) else (args,)
    expected = minimize(lambda x: shifted(x, *in_tuple), x0=[0.5, 3.0], **options)
    same(minimize(shifted, [0.5, 3.0], args, **options), expected)
    same(minimize(shifted, [0.5, 3.0], args=args, **options), expected)
    same(minimize(shifted, x0=[0.5, 3.0], args=args, **options), expected)


def test_further_arguments_reach_the_derivatives():
    res = minimize(shifted, [0.5, 3.0], args=(1.5,), jac=shifted_jac, hess=lambda x, a: 2 * np.eye(2))
    assert res.choice.startswith("ExactDerivative with Newton")
    np.testing.assert_allclose(res.x, 1.5)


def test_further_arguments_that_are_arrays_and_none():
    res = minimize(shifted, [0.0, 0.0], args=(np.array([1.0, 2.0]),), jac=shifted_jac)
    np.testing.assert_allclose(res.x, [1.0, 2.0])
    assert minimize(rosen, START, args=None, rng=0, maxfev=20).nfev == 20


def test_further_arguments_travel_to_workers():
    alone, shared = (minimize(shifted, [0.5, 3.0], (1.5,), "portfolio", rng=0, maxfev=40, workers=k) for k in (1, 2))
    same(alone, shared)


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        ((never, START, (), "bfgs", None), {}, r"arguments by position are minimize\(fun, x0, args, method\)"),
        ((never, "fr22", "adam", 3), {"x0": START}, r"by position are minimize\(problem, estimator, method\)"),
        ((never, START), {"x0": START}, "'x0' is given twice"),
        ((never, START, (1,)), {"args": (1,)}, "'args' is given twice"),
        ((never, "fr22"), {"estimator": "fr22", "x0": START}, "'estimator' is given twice"),
        ((never, START, "bfgs"), {"method": "adam"}, "'method' is given twice"),
        (("quad", START), {}, r"'estimator' must be a name or an instance of Estimator; a start is x0=\.\.\."),
        (("quad",), {"args": (1.0,)}, "'args' is for callables"),
        ((problems.Quadratic(),), {"jac": rosen_der}, "'jac' is for callables"),
        ((problems.Quadratic(),), {"hess": rosen_hess}, "'hess' is for callables"),
        ((never, START), {"jac": "2-point"}, "'jac' must be callable, or True"),
        ((never, START), {"jac": rosen_der, "hess": scipy.optimize.BFGS()}, "'hess' must be callable"),
        ((never, START), {"options": [1]}, "'options' must map names to values"),
    ],
)
def test_what_is_said_twice_or_in_the_wrong_place(arguments, named, message):
    with pytest.raises(TypeError, match=message):
        minimize(*arguments, **named)


# Starts and bounds.


@pytest.mark.parametrize(
    "x0",
    [
        [3, -2],
        np.array([3, -2]),
        (3.0, -2.0),
        np.float32([3, -2]),
        range(3, -7, -5),
        torch.tensor([3.0, -2.0]),
        torch.tensor([3.0, -2.0], requires_grad=True),
        [np.float64(3.0), torch.tensor(-2.0)],
    ],
    ids=lambda x0: type(x0).__name__,
)
def test_starts_of_every_kind(x0):
    same(minimize(rosen, x0, rng=0, maxfev=40), minimize(rosen, x0=[3.0, -2.0], rng=0, maxfev=40))


@pytest.mark.parametrize("x0", [3, 3.0, np.float64(3.0), np.array(3.0), torch.tensor(3.0)], ids=repr)
def test_one_number_is_a_start_of_one(x0):
    def bowl(x):
        assert x.shape == (1,)
        return float((x[0] - 1) ** 2)

    same(minimize(bowl, x0, rng=0, maxfev=40), minimize(bowl, x0=[3.0], rng=0, maxfev=40))
    assert problems.Function(fun=bowl, x0=x0).n == 1


def test_a_matrix_is_no_start():
    with pytest.raises(
        ValueError, match=r"'x0' must have shape \(n,\) .* flatten it, and reshape the point inside 'fun'"
    ):
        minimize(never, np.zeros((2, 2)))


def pairs():
    yield from zip([-2.0, -1.0], [0.5, 3.0], strict=True)


@pytest.mark.parametrize(
    "bounds",
    [
        lambda: zip([-2.0, -1.0], [0.5, 3.0], strict=True),
        pairs,
        lambda: iter([(-2, 0.5), (-1, 3)]),
        lambda: [(-2.0, 0.5), (-1.0, 3.0)],
        lambda: ((-2.0, 0.5), (-1.0, 3.0)),
        lambda: np.array([(-2.0, 0.5), (-1.0, 3.0)]),
        lambda: torch.tensor([(-2.0, 0.5), (-1.0, 3.0)]),
        lambda: Bounds([-2.0, -1.0], [0.5, 3.0]),
        lambda: Bounds([-2, -1], [0.5, 3], keep_feasible=True),
        lambda: map(tuple, [[-2.0, 0.5], [-1.0, 3.0]]),
    ],
    ids=["zip", "generator", "iterator", "list", "tuple", "array", "tensor", "Bounds", "keep_feasible", "map"],
)
def test_bounds_of_every_kind(bounds):
    expected = minimize(rosen, x0=START, bounds=[(-2.0, 0.5), (-1.0, 3.0)], rng=0, maxfev=60)
    same(minimize(rosen, START, bounds=bounds(), rng=0, maxfev=60), expected)
    problem = problems.Function(fun=rosen, x0=START)
    same(minimize(problem, bounds=bounds(), rng=0, maxfev=60), expected)
    found = invopt.differentiate(rosen, "finite-difference", [0.5, 0.0], bounds=bounds())
    assert found.x.tolist() == [0.5, 0.0]
    assert abs(found.jac[0]) < abs(rosen_der([0.5, 0.0])[0])


def test_open_bounds():
    for pair in ((None, None), (-np.inf, np.inf), (None, np.inf)):
        same(
            minimize(rosen, START, bounds=[pair, (0, None)], rng=0, maxfev=40),
            minimize(rosen, START, bounds=Bounds([-np.inf, 0], np.inf), rng=0, maxfev=40),
        )


# Integers.


@pytest.mark.parametrize("ten", [10, 10.0, np.int64(10), np.int8(10), np.float32(10), np.float64(10)], ids=repr)
def test_an_integral_number_is_an_integer_everywhere(ten):
    first = minimize(rosen, START, maxiter=ten, maxfev=1e4, rng=0)
    same(first, minimize(rosen, START, maxiter=10, maxfev=10_000, rng=0))
    estimator = estimators.SharedSamples(n_samples=ten)
    assert repr(estimator) == repr(estimators.SharedSamples(n_samples=10))
    assert type(estimator.n_samples) is int
    same(
        minimize("quad", estimator, rng=0, maxiter=2),
        minimize("quad", estimators.SharedSamples(n_samples=10), rng=0, maxiter=2),
    )
    assert type(optimizers.LBFGS(maxcor=ten).maxcor) is int
    assert type(estimators.GaussNewton(n_samples=ten).n_samples) is int
    assert type(problems.Function(fun=rosen, x0=START, chunk_size=ten).chunk_size) is int


def test_integral_numbers_of_workers_and_seeds():
    same(minimize(rosen, START, workers=1.0, rng=3.0, maxfev=20), minimize(rosen, START, rng=3, maxfev=20))


@pytest.mark.parametrize(
    "bad", [1.5, np.float32(1.5), np.nan, -np.inf, True, np.bool_(True), "10", [10], 10 + 0j], ids=repr
)
@pytest.mark.parametrize("name", ["maxiter", "maxfev"])
def test_a_fraction_is_none(name, bad):
    with pytest.raises(TypeError, match=f"'{name}' must be an integer"):
        minimize(never, START, **{name: bad})
    with pytest.raises(TypeError, match="'n_samples' must be an integer"):
        estimators.FR22(n_samples=bad)
