"""Every wrong argument is refused before the first evaluation, by a message naming field, rule and value."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import Bounds

import invopt
from invopt import IncompatibleError, InvoptError, UnknownNameError, estimators, optimizers, problems


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


@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        ([1.0, 2.0], r"shape \(2,\)"),
        ("a", "dtype <U1"),
        (None, "NoneType"),
        (1j, "complex"),
        (np.zeros((1, 2)), r"\(1, 2\)"),
    ],
    ids=str,
)
def test_a_callable_that_returns_something_else(returned, shown):
    with pytest.raises(InvoptError, match=f"'fun' must return one real number, got .*{shown}"):
        invopt.minimize(lambda x: returned, x0=[1.0, 2.0])


@pytest.mark.parametrize("vectorized", [False, True])
def test_values_and_residuals_taken_for_each_other_are_told_apart(vectorized):
    def several(x):
        return np.stack([x.sum(-1), x.sum(-1)], -1)

    def one(x):
        return x.sum(-1)

    options = dict(x0=[1.0, 2.0], vectorized=vectorized)
    with pytest.raises(InvoptError, match="'fun' must return .*; for a vector of residuals: .*residuals=True"):
        invopt.minimize(problems.Function(fun=several, **options))
    with pytest.raises(InvoptError, match="'fun' must return .*; for one value per point leave out residuals=True"):
        invopt.minimize(problems.Function(fun=one, residuals=True, **options))
    with pytest.raises(
        InvoptError, match=r"'fun' must return .* problems\.Function\(fun=\.\.\., x0=\.\.\., residuals=True\)"
    ):
        invopt.minimize(lambda x: x, [1.0, 2.0])


def test_a_pair_of_value_and_gradient_is_recognised():
    with pytest.raises(InvoptError, match=r"got a pair: if it is \(f, gradient\), give jac=True"):
        invopt.minimize(lambda x: (float(x @ x), 2 * x), [1.0, 2.0])


def test_masked_values_are_none():
    with pytest.raises(InvoptError, match="'fun' returned masked elements"):
        invopt.minimize(lambda x: np.ma.array([1.0], mask=[True]), x0=[1.0])


def test_a_vectorized_callable_of_the_wrong_shape():
    wrong = problems.Function(fun=lambda x: np.zeros((len(x), 2)), x0=[1.0, 2.0], vectorized=True)
    with pytest.raises(InvoptError, match=r"'fun' must return real numbers of shape \(\d+,\), got .* \(\d+, 2\)"):
        invopt.minimize(wrong)


MASKED = np.ma.masked_less([0.1, 0.9], 0.5)


@pytest.mark.parametrize("returned", [MASKED, [MASKED[0], 0.9], [MASKED], np.ma.masked], ids=repr)
def test_masked_values_are_refused(returned):
    """NumPy drops the mask, and what lies under it would count."""
    residuals = problems.Function(fun=lambda x: returned, x0=[0.5], residuals=True)
    with pytest.raises(
        invopt.EvaluationError, match="'fun' returned masked elements, .*: fill them, or leave the same"
    ):
        invopt.minimize(residuals, rng=0)
    with pytest.raises(invopt.EvaluationError, match="'fun' returned masked elements"):
        invopt.minimize(lambda x: returned, x0=[0.5], rng=0)
    with (
        invopt.Session(x0=[0.5], rng=0) as session,
        pytest.raises(ValueError, match=r"'values.*' must have (no masked elements|shape)"),
    ):
        session.tell(returned)


def test_a_mask_that_hides_nothing_is_no_mask():
    start = np.ma.masked_less([0.1, 0.9], 0.0)
    assert isinstance(start, np.ma.MaskedArray)
    masked = problems.Function(fun=lambda x: np.ma.masked_less(x - 0.3, -9.0), x0=start, residuals=True)
    bare = problems.Function(fun=lambda x: x - 0.3, x0=[0.1, 0.9], residuals=True)
    found, expected = (invopt.minimize(problem, rng=0, maxfev=30) for problem in (masked, bare))
    np.testing.assert_array_equal(found.x, expected.x)


def test_masked_data_are_refused():
    inner = problems.Function(fun=lambda x, target: float(x @ x), x0=[0.0], targeted=True)
    model, masked = torch.nn.Linear(2, 1), [MASKED, np.ones(2)]
    for arguments in (
        dict(data=masked),
        dict(data=[np.ones(2)], targets=[MASKED]),
        dict(data=[(np.ones(2), MASKED[:1])]),
        dict(data=[np.ones(2)], held_out=masked),
    ):
        with pytest.raises(ValueError, match="must have no masked elements: fill them, or leave the items out"):
            problems.GreyBox(model, inner, **arguments)


def test_one_number_in_an_array_or_tensor_is_fine():
    for wrap in (lambda v: np.array([v]), lambda v: torch.tensor(v), np.float32, int):
        assert invopt.minimize(lambda x, w=wrap: w(4 * x[0] ** 2), x0=[1.0], rng=0, maxiter=2).nfev > 0


def test_a_callable_that_raises_loses_nothing():
    calls = []

    def fails(x):
        calls.append(x)
        if len(calls) == 50:
            raise ZeroDivisionError("too close")
        return float(x @ x)

    with pytest.raises(
        invopt.EvaluationError, match="raised ZeroDivisionError: too close; after 49 evaluations"
    ) as caught:
        invopt.minimize(fails, x0=[3.0, 1.0], rng=0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    result = caught.value.result
    assert result.status is invopt.Status.ERROR
    assert result.nfev == 49
    assert result.fun < 10.0


def test_some_values_that_are_not_finite_are_dropped_and_counted():
    rng = np.random.default_rng(5)

    def flaky(x):
        return math.nan if rng.random() < 0.05 else float(x @ x)

    result = invopt.minimize(flaky, estimators.SharedSamples(n_samples=8), x0=[3.0, 1.0], rng=0, maxfev=600)
    low, high = stats.binom(result.nfev, 0.05).ppf([5e-5, 1 - 5e-5])
    assert low <= result.n_nonfinite <= high
    np.testing.assert_allclose(result.x, 0, atol=0.05)


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
@pytest.mark.parametrize("estimator", ["shared-samples", "fr22", "finite-difference", "aggregate-hvp"])
def test_too_many_values_that_are_not_finite(bad, estimator):
    def hole(x):
        return float(x @ x) if x[0] > 1.5 else bad

    with pytest.raises(invopt.NonFiniteError, match="finite") as caught:
        invopt.minimize(hole, estimator, x0=[3.0, 1.0], rng=0, maxfev=3000)
    result = caught.value.result
    assert result.status is invopt.Status.NONFINITE
    assert result.nfev > 0
    assert np.isfinite(result.x).all()


def test_a_method_that_steps_to_nan():
    class Broken(optimizers.GradientDescent):
        def step(self, x, estimate, state, oracle):
            return x * math.nan, state

    with pytest.raises(invopt.NonFiniteError, match="not finite") as caught:
        invopt.minimize(lambda x: float(x @ x), "finite-difference", Broken(), x0=[1.0])
    np.testing.assert_allclose(caught.value.result.x, [1.0], atol=1e-5)


class Jump(optimizers.GradientDescent):
    """Goes to one point."""

    def step(self, x, estimate, state, oracle):
        return torch.tensor(self.place, dtype=x.dtype), state


@pytest.mark.parametrize("place", [[3.0, 4.0], [1e200, 0.0]])
def test_a_step_is_finite_if_its_components_are(place):
    """Though the square of its length may be too large for its type."""
    Jump.place = place
    result = invopt.minimize(lambda x: float(-np.tanh(x[0])), "finite-difference", Jump(), x0=[0.0, 0.0], maxiter=1)
    assert result.x_last.tolist() == place


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_step_to_a_point_that_is_not_finite_is_an_error(bad):
    Jump.place = [0.0, bad]
    with pytest.raises(invopt.NonFiniteError, match="the method stepped to a point that is not finite"):
        invopt.minimize(lambda x: float(x @ x), "finite-difference", Jump(), x0=[1.0, 0.0], maxiter=1)
