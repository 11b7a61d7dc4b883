"""What the contract checks say of mistakes that are easily made in a first part."""

import attrs
import numpy as np
import pytest
import torch
from scipy.optimize import Bounds

from invopt import estimators, optimizers, testing
from invopt.plugin import Capability, Objective, Optimizer, Order, Problem


class Flat(Objective):
    def __init__(self, values):
        self._values = values

    def fun(self, x, *, seed, spp=None):
        return self._values(x)


class Sound(Problem):
    x0 = np.array([1.0, 2.0])

    def values(self, x):
        return x.square().sum(1)

    def open(self):
        return Flat(self.values)


def problem(**changes):
    """A sound problem with something changed, of a class that pickle finds."""
    name = f"Changed{len(globals())}"
    globals()[name] = type(name, (Sound,), changes | {"__module__": __name__})
    return globals()[name]()


def estimator(change=lambda estimate: estimate, **changes):
    """`FiniteDifference` with another estimate."""

    def estimate(self, objective, x, state, rng):
        found, after = estimators.FiniteDifference.estimate(self, objective, x, state, rng)
        changed = change(found)
        return changed if changed is None else (changed, after)

    return type("Changed", (estimators.FiniteDifference,), {"estimate": estimate} | changes)()


def method(step):
    return type("Changed", (Optimizer,), {"init": lambda self, x0: None, "step": step})()


def run(checks, part):
    for check in checks:
        check(part)


@pytest.mark.parametrize(
    ("part", "checks", "message"),
    [
        (problem(x0=[1.0, 2.0]), testing.PROBLEM_CHECKS, r"x0 must be an array of float64: \[1.0, 2.0\]"),
        (problem(x_scale=2.0), testing.PROBLEM_CHECKS, r"x_scale must have shape \(n,\)"),
        (problem(names=("a",)), testing.PROBLEM_CHECKS, r"names must be 2 names, .*: \('a',\)"),
        (problem(bounds=[(0, 1), (0, 3)]), testing.PROBLEM_CHECKS, r"must be scipy.optimize.Bounds or None: \[\(0, 1"),
        (problem(bounds=Bounds([0, 0], [1, 1])), testing.PROBLEM_CHECKS, "a start is above the bounds"),
        (problem(open=lambda self: None), testing.PROBLEM_CHECKS, "open must return an invopt.Objective, got NoneType"),
        (problem(values=lambda self, x: x.numpy()), testing.PROBLEM_CHECKS, "fun must return a tensor, got ndarray"),
        (problem(values=lambda self, x: x), testing.PROBLEM_CHECKS, r"fun must return \(k,\) values, got \(2, 2\)"),
        (problem(values=lambda self, x: x.sum(1).float()), testing.PROBLEM_CHECKS, "float64, got torch.float32"),
        (estimator(provides=None), testing.ESTIMATOR_CHECKS, "provides must be an Order, such as"),
        (
            estimator(lambda found: None),
            testing.ESTIMATOR_CHECKS,
            "must return an Estimate and the next state, got None",
        ),
        (
            estimator(lambda found: attrs.evolve(found, jac=found.jac.numpy())),
            testing.ESTIMATOR_CHECKS,
            "must be tensors of float64, got ndarray of float64",
        ),
        (
            estimator(lambda found: attrs.evolve(found, hessian=None)),
            testing.ESTIMATOR_CHECKS,
            "that provides HESS or HESSP needs 'hessian'",
        ),
        (
            estimator(lambda found: attrs.evolve(found, standard_error=None)),
            testing.ESTIMATOR_CHECKS,
            "a derivative has no standard error",
        ),
        (method(lambda self, x, *rest: x), testing.OPTIMIZER_CHECKS, "the next point and the next state, got Tensor"),
        (method(lambda self, x, *rest: (x.numpy(), None)), testing.OPTIMIZER_CHECKS, "a tensor of float64 of shape"),
        (method(lambda self, x, *rest: (x[None], None)), testing.OPTIMIZER_CHECKS, "a tensor of float64 of shape"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_mistake_is_named(part, checks, message):
    with pytest.raises(AssertionError, match=message):
        run(checks, part)


@pytest.mark.parametrize(
    ("part", "checks"),
    [
        (Sound(), testing.PROBLEM_CHECKS),
        (estimator(), testing.ESTIMATOR_CHECKS),
        (estimator(provides=Order.FUN | Order.JAC), testing.ESTIMATOR_CHECKS),
        (optimizers.GradientDescent(), testing.OPTIMIZER_CHECKS),
    ],
)
def test_without_a_mistake_nothing_is_said(part, checks):
    assert part.provides if hasattr(part, "provides") else part.requires
    run(checks, part)


def test_an_estimator_must_not_evaluate_the_problem_itself():
    class Cheat(estimators.FiniteDifference):
        def init(self, problem):
            with problem.open() as objective:
                objective.fun(torch.zeros(1, 2, dtype=torch.float64), seed=np.zeros(1, dtype=np.int64))

    assert Capability.FUN in Sound.provides
    with pytest.raises(AssertionError, match="an estimator must evaluate through the evaluator"):
        testing.ESTIMATOR_CHECKS[0](Cheat())


class Sloped(Flat):
    def __init__(self, jac, hess):
        super().__init__(lambda x: x.square().sum(1))
        self._jac, self._hess = jac, hess

    def jac(self, x, *, seed):
        return self._jac(x)

    def hess(self, x, *, seed):
        return self._hess(x)


def sloped(jac=lambda x: 2 * x, hess=lambda x: 2 * torch.eye(2).double(), **changes):
    """A sound problem with these derivatives."""
    provides = Capability.FUN | Capability.JAC | Capability.HESS
    return problem(open=lambda self: Sloped(jac, hess), provides=provides, **changes)


ONE_POINT = r"of an Objective takes one point of shape \(n,\), while 'fun' takes points of shape \(k, n\)"


def rows(x):
    return torch.stack([2 * row[:2] for row in x[:, :2]])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (sloped(jac=rows), f"jac raised IndexError: .*; 'jac' {ONE_POINT}"),
        (sloped(hess=rows), f"hess raised IndexError: .*; 'hess' {ONE_POINT}"),
        (sloped(jac=lambda x: 2 * x[None]), r"'jac' must return a Tensor of shape \(n,\) = \(2,\).* of shape \(1, 2\)"),
        (
            sloped(hess=lambda x: np.eye(2)),
            r"'hess' must return a Tensor of shape \(n, n\) = \(2, 2\) .* a NumPy array",
        ),
    ],
)
def test_what_the_check_of_derivatives_says(part, message):
    testing.problem_differentiates(sloped())
    with pytest.raises(AssertionError, match=message):
        testing.problem_differentiates(part)
