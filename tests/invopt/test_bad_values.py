"""Wrong return values of a function: shapes, types, masked and non-finite values."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import invopt
from invopt import InvoptError, estimators, problems


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


def test_a_masked_value_is_an_error():
    with pytest.raises(InvoptError, match="'fun' returned masked elements"):
        invopt.minimize(lambda x: np.ma.array([1.0], mask=[True]), x0=[1.0])


def test_a_vectorized_callable_of_the_wrong_shape():
    wrong = problems.Function(fun=lambda x: np.zeros((len(x), 2)), x0=[1.0, 2.0], vectorized=True)
    with pytest.raises(InvoptError, match=r"'fun' must return real numbers of shape \(\d+,\), got .* \(\d+, 2\)"):
        invopt.minimize(wrong)


MASKED = np.ma.masked_less([0.1, 0.9], 0.5)


@pytest.mark.parametrize("returned", [MASKED, [MASKED[0], 0.9], [MASKED], np.ma.masked], ids=repr)
def test_masked_values_are_refused(returned):
    """NumPy drops the mask, so masked values would be used."""
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
        if len(calls) == 10:
            raise ZeroDivisionError("too close")
        return float(x @ x)

    with pytest.raises(
        invopt.EvaluationError, match="raised ZeroDivisionError: too close; after 9 evaluations"
    ) as caught:
        invopt.minimize(fails, x0=[3.0, 1.0], rng=0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    result = caught.value.result
    assert result.status is invopt.Status.ERROR
    assert result.nfev == 9
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
