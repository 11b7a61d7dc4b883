"""Wrong arguments are refused before the first evaluation."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import Bounds

import invopt
from invopt import IncompatibleError, UnknownNameError, estimators, optimizers, problems


def never(x):
    pytest.fail("evaluated before the arguments were checked")


CASES = {
    "no x0": (dict(), TypeError, "x0"),
    "a huge maxfev": (dict(x0=[0.5], maxfev=10**400), ValueError, "'maxfev' must be finite"),
    "maxfev an array": (dict(x0=[0.5], maxfev=np.array([1, 2])), TypeError, "'maxfev' must be an integer"),
    "a huge bound": (dict(x0=[0.5], bounds=[(0, 10**400)]), ValueError, "'bounds' must be finite"),
    "Bounds of another length": (dict(x0=[0.5], bounds=Bounds([0, 0], [1, 1])), ValueError, "'bounds' must have 1"),
    "a sparse x0": (dict(x0=torch.ones(2).to_sparse()), TypeError, "'x0' must be an array"),
    "x0 of rank 2": (dict(x0=[[1.0]]), ValueError, r"'x0' must have shape \(n,\).*; flatten it, and reshape the point"),
    "empty x0": (dict(x0=[]), ValueError, "'x0' must have shape"),
    "nan in x0": (dict(x0=[1.0, math.nan]), ValueError, "'x0' must be finite"),
    "inf in x0": (dict(x0=[math.inf]), ValueError, "'x0' must be finite"),
    "complex x0": (dict(x0=[1j]), TypeError, "'x0' must be an array of real numbers"),
    "text x0": (dict(x0=["a"]), TypeError, "'x0' must be an array of real numbers"),
    "ragged x0": (dict(x0=[[1.0], [1.0, 2.0]]), TypeError, "'x0' must be an array of real numbers"),
    "x0 outside": (dict(x0=[2.0], bounds=[(0, 1)]), ValueError, r"x0\[0\] = 2 is outside \[0, 1\]"),
    "masked x0": (dict(x0=np.ma.masked_less([0.1, 0.9], 0.5)), ValueError, "'x0' must have no masked elements"),
    "a masked number in x0": (dict(x0=[np.ma.masked, 1.0]), ValueError, "'x0' must have no masked elements"),
    "masked x_scale": (
        dict(x0=[0.5], x_scale=np.ma.masked_less([0.1], 0.5)),
        ValueError,
        "'x_scale' must have no masked elements",
    ),
    "masked pairs": (dict(x0=[0.5], bounds=np.ma.masked_less([[0.1, 1.0]], 0.5)), TypeError, "'bounds' must be a real"),
    "reversed bounds": (dict(x0=[0.5], bounds=[(1, 0)]), ValueError, "'bounds' must be low < high"),
    "infinite bounds": (dict(x0=[0.5], bounds=[(math.inf, math.inf)]), ValueError, "'bounds' must be low < high"),
    "nan bounds": (dict(x0=[0.5], bounds=[(math.nan, 1)]), ValueError, "nan"),
    "too few bounds": (dict(x0=[0.5, 0.5], bounds=[(0, 1)]), ValueError, "'bounds' must be 2 pairs"),
    "bounds of another kind": (dict(x0=[0.5], bounds=3), TypeError, "'bounds' must be"),
    "reversed Bounds": (dict(x0=[0.5], bounds=Bounds(1, 0)), ValueError, "'bounds' must be low < high"),
    "x_scale 0": (dict(x0=[0.5], x_scale=[0.0]), ValueError, "'x_scale' must be > 0"),
    "x_scale of another length": (dict(x0=[0.5], x_scale=[1.0, 1.0]), ValueError, "'x_scale' must have 1"),
    "maxiter 0": (dict(x0=[0.5], maxiter=0), ValueError, "'maxiter' must be >= 1"),
    "maxiter 1.5": (dict(x0=[0.5], maxiter=1.5), TypeError, "'maxiter' must be an integer"),
    "maxfev -1": (dict(x0=[0.5], maxfev=-1), ValueError, "'maxfev' must be >= 1"),
    "maxtime 0": (dict(x0=[0.5], maxtime=0), ValueError, "'maxtime' must be > 0"),
    "maxtime text": (dict(x0=[0.5], maxtime="1"), TypeError, "'maxtime' must be a real number"),
    "gtol < 0": (dict(x0=[0.5], gtol=-1), ValueError, "'gtol' must be >= 0"),
    "xtol nan": (dict(x0=[0.5], xtol=math.nan), ValueError, "'xtol' must be finite"),
    "max_nonfinite 1": (dict(x0=[0.5], max_nonfinite=1), ValueError, "'max_nonfinite' must be < 1"),
    "callback": (dict(x0=[0.5], callback=3), TypeError, "'callback' must be callable"),
    "misspelt option": (dict(x0=[0.5], max_iter=3), TypeError, "max_iter"),
    "unknown estimator": (dict(x0=[0.5], estimator="share-samples"), UnknownNameError, "did you mean 'shared-samples'"),
    "unknown method": (dict(x0=[0.5], method="adm"), UnknownNameError, "did you mean 'adam'"),
    "estimator class": (dict(x0=[0.5], estimator=estimators.FR22), TypeError, r"write FR22\(\.\.\.\)"),
    "method of another kind": (dict(x0=[0.5], method=3), TypeError, "'method' must be a name or an instance"),
    "rng": (dict(x0=[0.5], rng="seed"), TypeError, "'rng' must be"),
}


@pytest.mark.parametrize(("arguments", "error", "message"), CASES.values(), ids=CASES.keys())
def test_bad_argument(arguments, error, message):
    with pytest.raises(error, match=message):
        invopt.minimize(never, **arguments)


def test_unknown_problem():
    with pytest.raises(UnknownNameError, match="did you mean 'quad"):
        invopt.minimize("quads")
    with pytest.raises(TypeError, match="'problem' must be a name or an instance of Problem"):
        invopt.minimize(3.0)
    with pytest.raises(TypeError, match="instance, not a class"):
        invopt.minimize(problems.Quadratic)


@pytest.mark.parametrize(
    "cls",
    [cls for name in sorted(estimators.__all__) if hasattr(cls := getattr(estimators, name), "default_schedule")],
)
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (dict(sigma=0), ValueError),
        (dict(sigma=-1.0), ValueError),
        (dict(sigma=math.inf), ValueError),
        (dict(sigma=math.nan), ValueError),
        (dict(sigma="wide"), TypeError),
        (dict(sigma=True), TypeError),
        (dict(n_samples=0), ValueError),
        (dict(n_samples=2.5), TypeError),
        (dict(n_samples=True), TypeError),
        (dict(antithetic=1), TypeError),
        (dict(seeds="pairs"), UnknownNameError),
        (dict(sigmas=1.0), TypeError),
    ],
    ids=str,
)
def test_bad_estimator(cls, fields, error):
    with pytest.raises(error, match=next(iter(fields)).removesuffix("s")):
        cls(**fields)


def test_bad_schedules_and_steps():
    with pytest.raises(ValueError, match="'factor' must be <= 1: 1.1"):
        invopt.Exponential(1.0, factor=1.1)
    with pytest.raises(ValueError, match="'start' must be > 0: -1"):
        invopt.Linear(-1)
    with pytest.raises(ValueError, match="'steps' must be >= 1: 0"):
        invopt.Linear(1.0, steps=0)
    with pytest.raises(ValueError, match="'abs_step' must be > 0: 0"):
        estimators.FiniteDifference(abs_step=0)
    with pytest.raises(ValueError, match="not both"):
        estimators.FiniteDifference(abs_step=1.0, rel_step=0.1)
    with pytest.raises(ValueError, match="'c' must be within"):
        problems.Quadratic(c=100.0)
    with pytest.raises(ValueError, match="'resolution' must be >= 10: 3"):
        problems.Box2(resolution=3)


@pytest.mark.parametrize(
    ("estimator", "method"),
    [("fr22", "newton"), ("fr22", "newton-cg"), ("aggregate-hvp", "newton"), ("function-value", "adam")],
)
def test_a_method_that_needs_more_than_the_estimator_has(estimator, method):
    with pytest.raises(IncompatibleError, match="needs .*, but .* provides"):
        invopt.minimize(never, estimator, method, x0=[1.0, 2.0])


def test_a_method_that_needs_more_than_the_problem_has():
    class NeedsResiduals(estimators.FR22):
        needs = invopt.Capability.RESIDUALS

    with pytest.raises(IncompatibleError, match="NeedsResiduals needs RESIDUALS, but Function provides FUN"):
        invopt.minimize(never, NeedsResiduals(), x0=[1.0])


def test_a_method_that_steps_to_nan():
    class Broken(optimizers.GradientDescent):
        def step(self, x, estimate, state, oracle):
            return x * math.nan, state

    with pytest.raises(invopt.NonFiniteError, match="not finite") as caught:
        invopt.minimize(lambda x: float(x @ x), "finite-difference", Broken(), x0=[1.0])
    np.testing.assert_allclose(caught.value.result.x, [1.0], atol=1e-5)


class Jump(optimizers.GradientDescent):
    """Steps to a fixed point."""

    def step(self, x, estimate, state, oracle):
        return torch.tensor(self.place, dtype=x.dtype), state


@pytest.mark.parametrize("place", [[3.0, 4.0], [1e200, 0.0]])
def test_a_step_is_finite_if_its_components_are(place):
    """The square of its length may overflow."""
    Jump.place = place
    result = invopt.minimize(lambda x: float(-np.tanh(x[0])), "finite-difference", Jump(), x0=[0.0, 0.0], maxiter=1)
    assert result.x_last.tolist() == place


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_step_to_a_point_that_is_not_finite_is_an_error(bad):
    Jump.place = [0.0, bad]
    with pytest.raises(invopt.NonFiniteError, match="the method stepped to a point that is not finite"):
        invopt.minimize(lambda x: float(x @ x), "finite-difference", Jump(), x0=[1.0, 0.0], maxiter=1)
