"""Derivatives given by the user: shapes, errors, and their use."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import rosen, rosen_der, rosen_hess
from scipy.sparse import csr_matrix

import invopt
from invopt import Capability, Order, estimators, optimizers, problems, testing
from invopt.core.evaluator import HESS_COST, JAC_COST
from invopt.problems import Function
from invopt.run.default_parts import choose

START = [-1.2, 1.0]
T = np.linspace(0.0, 1.0, 7)
EXACT = estimators.ExactDerivative()


def misfit(x):
    return x[0] * np.exp(-x[1] * T) - 2 * np.exp(-1.5 * T)


def misfit_jac(x):
    return np.stack([np.exp(-x[1] * T), -x[0] * T * np.exp(-x[1] * T)], 1)


def both(x):
    return rosen(x), rosen_der(x)


def seeded_rosen(x, seed):
    return rosen(x) + 0.1 * seed


def seeded_jac(x, seed):
    assert isinstance(seed, int)
    return rosen_der(x)


def in_rows(function, X, **named):
    return np.stack([function(x, **named) for x in X])


GIVEN = {
    "jac": dict(fun=rosen, jac=rosen_der),
    "jac and hess": dict(fun=rosen, jac=rosen_der, hess=rosen_hess),
    "both at once": dict(fun=both, jac=True),
    "both at once, and hess": dict(fun=lambda x: list(both(x)), jac=True, hess=rosen_hess),
    "tensors": dict(fun=rosen, jac=lambda x: torch.tensor(rosen_der(x), requires_grad=True)),
    "vectorized": dict(
        fun=partial(in_rows, rosen), jac=partial(in_rows, rosen_der), hess=partial(in_rows, rosen_hess), vectorized=True
    ),
    "vectorized, both at once": dict(
        fun=lambda X: (in_rows(rosen, X), in_rows(rosen_der, X)), jac=True, vectorized=True
    ),
    "seeded": dict(fun=seeded_rosen, jac=seeded_jac, seeded=True),
    "residuals": dict(fun=misfit, jac=misfit_jac, residuals=True),
    "residuals, sparse": dict(fun=misfit, jac=lambda x: csr_matrix(misfit_jac(x)), residuals=True),
    "residuals, both at once": dict(fun=lambda x: (misfit(x), misfit_jac(x)), jac=True, residuals=True),
    "residuals, vectorized": dict(
        fun=partial(in_rows, misfit), jac=partial(in_rows, misfit_jac), residuals=True, vectorized=True
    ),
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN.keys())
def test_derivatives_agree_with_differences_and_solve(given):
    problem = Function(x0=[0.8, 0.6], x_scale=[0.5, 2.0], **given)
    testing.problem_differentiates(problem)
    res = invopt.minimize(problem, rng=0)
    answer = [2.0, 1.5] if problem.residuals else [1.0, 1.0]
    # Tolerances that take values for exact say little where the value at one point depends on the seed.
    assert res.status is invopt.Status.UNSURE if problem.seeded else res.success
    np.testing.assert_allclose(res.x, answer, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "name"),
    [(dict(jac=lambda x: 1.1 * rosen_der(x)), "jac"), (dict(hess=lambda x: 1.1 * rosen_hess(x)), "hess")],
    ids=["jac", "hess"],
)
def test_the_check_finds_a_wrong_derivative(change, name):
    problem = Function(**dict(fun=rosen, x0=START, jac=rosen_der, hess=rosen_hess) | change)
    with pytest.raises(AssertionError, match=f"{name} is .* and differences give"):
        testing.problem_differentiates(problem)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (dict(jac="2-point"), TypeError, "'jac' must be callable, or True if 'fun' returns .*: '2-point'"),
        (dict(jac=3), TypeError, "'jac' must be callable"),
        (dict(jac=rosen_der, hess=True), TypeError, "'hess' must be callable: True"),
        (dict(hess=rosen_hess), ValueError, "'hess' must be given together with 'jac'"),
        (dict(jac=rosen_der, hess=rosen_hess, residuals=True), ValueError, "'hess' must be left out with residuals"),
    ],
)
def test_bad_fields(fields, error, message):
    with pytest.raises(error, match=message):
        Function(fun=rosen, x0=START, **fields)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(fun=rosen, jac=lambda x: x[:1]), r"'jac' must return real numbers of shape \(2,\), got .* \(1,\)"),
        (dict(fun=rosen, jac=lambda x: 3.0), r"'jac' must return real numbers of shape \(2,\), got float"),
        (dict(fun=rosen, jac=lambda x: None), "'jac' must return real numbers .* got NoneType"),
        (dict(fun=rosen, jac=lambda x: [1.0, [2.0]]), "'jac' must return real numbers"),
        (dict(fun=rosen, jac=lambda x: ["a", "b"]), "'jac' must return real numbers .* dtype <U1"),
        (dict(fun=rosen, jac=lambda x: 1j * x), "'jac' must return real numbers .* dtype complex"),
        (dict(fun=rosen, jac=True), r"'fun' must return \(f, jac\) with jac=True, got"),
        (dict(fun=both, jac=rosen_der), "'fun' must return"),
        (dict(fun=misfit, jac=rosen_der, residuals=True), r"'jac' must return real numbers of shape \(m, 2\)"),
        (
            dict(fun=misfit, jac=lambda x: misfit_jac(x)[:3], residuals=True),
            "'jac' must have a row for each of 7 residuals, got 3",
        ),
        (dict(fun=rosen, jac=lambda x: 1 / 0), "the derivative of the objective raised ZeroDivisionError"),
    ],
)
def test_what_is_not_a_derivative_is_said_at_its_first_use(given, message):
    with pytest.raises(invopt.EvaluationError, match=message) as caught:
        invopt.minimize(Function(x0=START, **given), rng=0)
    assert caught.value.result.nfev == 0


@pytest.mark.parametrize(
    ("hess", "message"),
    [
        (lambda x: x, r"'hess' must return real numbers of shape \(2, 2\)"),
        (
            lambda x: rosen_hess(x) + np.array([[0.0, 1.0], [0.0, 0.0]]),
            "'hess' must return a symmetric matrix: .* differ by 1",
        ),
    ],
    ids=["shape", "asymmetric"],
)
def test_what_is_no_hessian(hess, message):
    with pytest.raises(invopt.EvaluationError, match=message):
        invopt.minimize(Function(fun=rosen, x0=START, jac=rosen_der, hess=hess), rng=0)


@pytest.mark.parametrize("part", ["jac", "hess"])
def test_derivatives_that_are_not_finite(part):
    given = {"jac": rosen_der, "hess": rosen_hess} | {part: lambda x: np.full((2,) * (1 + (part == "hess")), np.nan)}
    with pytest.raises(invopt.NonFiniteError, match="is not finite"):
        invopt.minimize(Function(fun=rosen, x0=START, **given), rng=0)


def test_they_get_their_own_copy_of_the_point():
    def greedy(x):
        gradient = rosen_der(x)
        x[:] = np.nan
        return gradient

    res = invopt.minimize(Function(fun=rosen, x0=START, jac=greedy), rng=0)
    np.testing.assert_allclose(res.x, 1.0, atol=1e-5)


def test_capabilities():
    assert Function(fun=rosen, x0=START).provides == Capability.FUN
    assert Function(fun=rosen, x0=START, jac=rosen_der).provides == Capability.FUN | Capability.JAC
    assert Capability.HESS in Function(fun=both, x0=START, jac=True, hess=rosen_hess).provides
    assert Function(fun=rosen, x0=START, jac=False).provides == Capability.FUN


@pytest.mark.parametrize(
    ("n", "hess", "expected"),
    [(2, None, "BFGS"), (200, None, "BFGS"), (201, None, "LBFGS"), (2, rosen_hess, "Newton")],
)
def test_choice(n, hess, expected):
    choice = choose(Function(fun=rosen, x0=np.zeros(n), jac=rosen_der, hess=hess), None, None)
    assert choice.why == f"ExactDerivative with {expected}: the problem's own derivatives are given"


def test_what_is_asked_for_comes_before_the_derivatives():
    problem = Function(fun=rosen, x0=START, jac=rosen_der)
    assert type(choose(problem, "shared-samples", None).method).__name__ == "NewtonCG"
    assert type(choose(problem, None, "nelder-mead").estimator).__name__ == "FunctionValue"
    assert type(choose(problem, None, "adam").estimator).__name__ == "ExactDerivative"
    curved = choose(problem, None, "newton")
    assert type(curved.estimator).__name__ == "SharedSamples"
    assert curved.why.endswith("it provides what the method requires; 'jac' is not used: give 'hess' too")


def test_counts_and_errors_are_those_of_an_exact_estimate():
    problem = Function(fun=rosen, x0=START, jac=rosen_der, hess=rosen_hess, x_scale=[1.0, 4.0])
    found = invopt.differentiate(problem, EXACT, [0.5, 2.0], p=[1.0, -1.0])
    assert found.nfev == JAC_COST + HESS_COST
    np.testing.assert_allclose(found.jac, rosen_der([0.5, 2.0]), rtol=1e-12)
    np.testing.assert_allclose(found.hess, rosen_hess([0.5, 2.0]), rtol=1e-12)
    np.testing.assert_allclose(found.hessp, rosen_hess([0.5, 2.0]) @ [1.0, -1.0], rtol=1e-12)
    for error in (found.fun_standard_error, found.standard_error, found.hess_standard_error):
        assert not np.any(error)


def test_a_budget_is_never_exceeded():
    calls = []

    def counted(x):
        calls.append(x)
        return rosen_hess(x)

    for maxfev in range(2, 12):
        calls.clear()
        res = invopt.minimize(Function(fun=rosen, x0=START, jac=rosen_der, hess=counted), maxfev=maxfev)
        assert res.nfev <= maxfev
        descent = int(res.history.nfev[-1]) if len(res.history) else 0
        assert (descent - HESS_COST * len(calls)) % JAC_COST == 0 or res.nfev > descent


def test_a_problem_that_has_its_own():
    res = invopt.minimize("quad", "exact-derivative", rng=0)
    np.testing.assert_allclose(res.x, 0, atol=1e-12)
    assert type(res.method).__name__ == "Newton"


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (problems.Mug(size="tiny"), "ExactDerivative cannot be used for Mug: .*use Autodiff"),
        (Function(fun=rosen, x0=START), r"needs JAC, but Function provides FUN: give jac=\.\.\., its gradient"),
    ],
    ids=["rendered", "values only"],
)
def test_what_it_does_not_serve(problem, message):
    with pytest.raises(invopt.IncompatibleError, match=message):
        invopt.minimize(problem, EXACT)


def test_without_a_hessian_there_is_no_curvature():
    problem = Function(fun=rosen, x0=START, jac=rosen_der)
    assert EXACT.provided(problem) == Order.FUN | Order.JAC
    with pytest.raises(invopt.IncompatibleError, match="Newton needs HESS, but ExactDerivative provides FUN|JAC for"):
        invopt.minimize(problem, EXACT, "newton")
    with pytest.raises(TypeError, match="no Hessian-vector products"):
        invopt.differentiate(problem, EXACT, p=[1.0, 0.0])
    target = estimators.NewtonTarget(estimator=EXACT)
    with pytest.raises(invopt.IncompatibleError, match="NewtonTarget cannot be used for Function: ExactDerivative"):
        invopt.minimize(problem, target, "adam")


@pytest.mark.parametrize("given", [GIVEN["jac and hess"], GIVEN["residuals"]], ids=["values", "residuals"])
def test_workers_give_the_same_bits(given):
    alone, shared = (invopt.minimize(Function(x0=[0.8, 0.6], **given), rng=0, workers=k) for k in (1, 2))
    np.testing.assert_array_equal(alone.history.x, shared.history.x)
    assert alone.nfev == shared.nfev


@pytest.mark.parametrize("estimator", [EXACT, estimators.NewtonTarget(estimator=EXACT)], ids=["exact", "target"])
def test_behind_a_network(estimator):
    def distance(x, target):
        return float(((x - 2 * target) ** 2).sum())

    inner = Function(
        fun=distance,
        jac=lambda x, target: 2 * (x - 2 * target),
        hess=lambda x, target: 2 * np.eye(2),
        x0=[0.0, 0.0],
        targeted=True,
    )
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2, dtype=torch.float64)
    problem = problems.GreyBox(model, inner, np.random.default_rng(0).normal(size=(6, 2)))
    method = optimizers.NewtonCG(trust_radius=10) if estimator is EXACT else optimizers.Adam(lr=0.1)
    res = invopt.minimize(problem, estimator, method, maxiter=300, rng=0)
    np.testing.assert_allclose(problem.predict(res.x, np.eye(2)), 2 * np.eye(2), atol=0.02)


def test_behind_a_network_without_a_hessian_there_are_no_products():
    inner = Function(fun=lambda x: float(x @ x), jac=lambda x: 2 * x, x0=[0.0, 0.0])
    problem = problems.GreyBox(torch.nn.Linear(2, 2), inner, np.eye(2))
    with pytest.raises(invopt.IncompatibleError, match="NewtonCG needs HESSP"):
        invopt.minimize(problem, EXACT, "newton-cg")
