"""Failed evaluations: an error, or counted as failed up to a stated share."""

import math

import numpy as np
import pytest

import invopt
from invopt import EvaluationError, NonFiniteError, Status, estimators, optimizers, problems

X0 = [2.0, 1.0]


def fails_sometimes(share, error=ZeroDivisionError, seed=0):
    """A quadratic that fails in a share of its calls."""
    rng = np.random.default_rng(seed)

    def fun(x):
        if rng.random() < share:
            raise error("now and then")
        return float(np.sum(x**2))

    return fun


def run(fun, estimator=None, method=None, **options):
    return invopt.minimize(fun, estimator, method, **({"x0": X0, "rng": 0, "progress": False, "maxfev": 400} | options))


def test_an_exception_ends_the_run_and_says_what_else_could_be():
    with pytest.raises(EvaluationError, match=r"x = .*; with failures='nan' it would count as a failed evaluation$"):
        run(fails_sometimes(0.1))


@pytest.mark.parametrize("error", [ZeroDivisionError, OSError, MemoryError, EvaluationError, NonFiniteError])
def test_failures_are_dropped_and_counted(error, caplog):
    result = run(fails_sometimes(0.1, error), estimators.SharedSamples(n_samples=8), failures="nan")
    assert 0.05 * result.nfev < result.n_nonfinite < 0.2 * result.nfev
    assert np.abs(result.x).max() < 0.3
    assert f"{result.n_nonfinite} of {result.nfev} evaluations failed, the last: " in result.message
    assert "now and then" in result.message
    assert caplog.text.count("it counts as a failed evaluation") == 1


def test_residuals_of_a_failed_evaluation_are_dropped():
    rng = np.random.default_rng(1)

    def fun(x):
        if rng.random() < 0.1:
            raise ValueError("no residuals")
        return np.array([x[0], x[1], x[0] * x[1]])

    problem = problems.Function(fun=fun, x0=X0, residuals=True)
    result = invopt.minimize(problem, rng=0, maxfev=200, failures="nan", progress=False)
    assert result.n_nonfinite > 0
    assert np.abs(result.x).max() < 0.1


def test_all_rows_of_a_vectorized_call_fail_together():
    calls = []

    def fun(X):
        calls.append(len(X))
        if len(calls) % 3 == 2:
            raise ValueError("a part of them")
        return (X**2).sum(1)

    problem = problems.Function(fun=fun, x0=X0, vectorized=True, chunk_size=4)
    made = estimators.SharedSamples(n_samples=8)
    result = invopt.minimize(problem, made, rng=0, maxfev=17, failures="nan", progress=False)
    assert calls == [4, 4, 4, 4, 1]
    assert (result.nfev, result.n_nonfinite) == (17, 5)


@pytest.mark.parametrize("most", [0.0, 0.3])
def test_too_many_failures_are_an_error_that_says_the_last(most):
    with pytest.raises(
        NonFiniteError, match=r"'max_nonfinite' = .* the last failure: .*ZeroDivisionError: now and"
    ) as caught:
        run(fails_sometimes(0.6), estimators.SharedSamples(n_samples=20), failures="nan", max_nonfinite=most)
    assert caught.value.result.status is Status.NONFINITE


def test_a_derivative_that_fails_is_not_finite():
    class Objective(invopt.Objective):
        def fun(self, x, *, seed, spp=None):
            return x.square().sum(1)

        def jac(self, x, *, seed):
            raise ZeroDivisionError("no derivative")

    class Failing(problems.Quadratic):
        provides = invopt.Capability.FUN | invopt.Capability.JAC

        def open(self):
            return Objective()

    with pytest.raises(EvaluationError, match=r"derivative of the objective raised .*; with failures='nan'"):
        invopt.minimize(Failing(), "autodiff", progress=False)
    with pytest.raises(NonFiniteError, match="derivative is not finite.*the last failure: .*no derivative"):
        invopt.minimize(Failing(), "autodiff", failures="nan", progress=False)


@pytest.mark.parametrize(
    ("method", "left"),
    # A model of COBYQA that holds a failed value may be of no use for the rest of the run.
    [(optimizers.Scipy("nelder-mead"), 0.01), (optimizers.Scipy("cobyqa"), 0.9), (optimizers.CMAES(), 0.01)],
    ids=repr,
)
def test_single_values_that_fail_are_as_bad_as_inf_up_to_a_share_of_the_run(method, left):
    result = run(fails_sometimes(0.1), "function-value", method, failures="nan", maxfev=200)
    assert result.n_nonfinite > 0
    assert result.fun < left * result.history.fun[0]
    with pytest.raises(NonFiniteError, match="values are not finite"):
        run(fails_sometimes(0.8), "function-value", method, failures="nan", maxfev=200)


def test_a_first_value_that_fails_is_an_error():
    with pytest.raises(NonFiniteError, match="1 of 1 values are not finite"):
        run(lambda x: math.nan, "function-value", optimizers.Scipy("nelder-mead"))


@pytest.mark.parametrize("returned", ["text", None, [1.0, 2.0], 1j])
def test_a_wrong_value_is_an_error_either_way(returned):
    for failures in ("raise", "nan"):
        with pytest.raises(EvaluationError, match="'fun' must return one real number") as caught:
            run(lambda x: returned, failures=failures)
        assert isinstance(caught.value.__cause__, invopt.WrongValueError)
        assert "failures='nan'" not in str(caught.value)


@pytest.mark.parametrize("values", ["text", object()])
def test_an_objective_that_returns_no_tensor_is_an_error_either_way(values):
    class Objective(invopt.Objective):
        def fun(self, x, *, seed, spp=None):
            return values

    class Wrong(problems.Quadratic):
        def open(self):
            return Objective()

    with pytest.raises(EvaluationError, match="the objective must return a Tensor, got (str|object)"):
        invopt.minimize(Wrong(), "shared-samples", failures="nan", progress=False)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_is_no_failed_evaluation(error):
    def fun(x):
        if x[0] < 1.5:
            raise error
        return float(x @ x)

    if error is SystemExit:
        with pytest.raises(SystemExit) as caught:
            run(fun, method="nelder-mead", failures="nan")
        assert caught.value.result.nfev > 0
        assert caught.value.result.status is Status.ERROR
    else:
        assert run(fun, failures="nan").status is Status.INTERRUPTED


def test_differentiate_takes_failures():
    made = estimators.SharedSamples(n_samples=40, sigma=0.1)
    found = invopt.differentiate(fails_sometimes(0.1), made, X0, rng=0, failures="nan")
    np.testing.assert_allclose(found.jac, [4.0, 2.0], atol=4 * found.standard_error.max())
    with pytest.raises(EvaluationError, match="failures='nan'"):
        invopt.differentiate(fails_sometimes(0.1), made, X0, rng=0)


def test_a_run_goes_on_with_what_it_has_counted(tmp_path):
    def fun(x):
        # Fails depending on the point only: a resumed run repeats its last evaluation.
        if int(1e6 * abs(x[0])) % 10 == 0:
            raise ZeroDivisionError("at some points")
        return float(np.sum(x**2))

    options = dict(estimator=estimators.SharedSamples(n_samples=8), failures="nan", maxfev=None)
    whole = run(fun, **options, maxiter=20)
    run(fun, **options, maxiter=10, checkpoint=tmp_path / "run")
    resumed = run(fun, **options, maxiter=20, checkpoint=tmp_path / "run")
    assert whole.n_nonfinite > 0
    assert (resumed.n_nonfinite, resumed.message) == (whole.n_nonfinite, whole.message)
    np.testing.assert_array_equal(resumed.x, whole.x)


@pytest.mark.parametrize("failures", ["ignore", None, True, ["nan"], math.nan])
def test_bad_failures(failures):
    def never(x):
        pytest.fail("evaluated before the arguments were checked")

    with pytest.raises(ValueError, match="'failures' must be 'raise' or 'nan': "):
        run(never, failures=failures)
    with pytest.raises(ValueError, match="'failures' must be 'raise' or 'nan': "):
        invopt.Session(x0=X0, failures=failures)


def test_sides_of_an_equation_cannot_fail():
    class NeedsSides(estimators.FR22):
        needs = invopt.Capability.SIDES

    class Sided(problems.Quadratic):
        provides = problems.Quadratic.provides | invopt.Capability.SIDES

    with pytest.raises(invopt.IncompatibleError, match="'failures' must be 'raise' where both sides"):
        invopt.minimize(Sided(), NeedsSides(), optimizers.Adam(), failures="nan")
