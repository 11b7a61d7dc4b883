"""Derivatives of the wrong shape or type by a problem of one's own."""

import numpy as np
import pytest
import torch
from attrs import field, frozen

import invopt
from invopt.evaluate.workers.open import open_objective
from invopt.plugin import Capability, Objective, Problem

AT_ONE_POINT = r" at one point of shape \(n,\), got "
VECTOR = r"must return a Tensor of shape \(n,\) = \(2,\)" + AT_ONE_POINT
MATRIX = r"must return a Tensor of shape \(n, n\) = \(2, 2\)" + AT_ONE_POINT
RETURNED = {
    "long": lambda x: torch.ones(3),
    "array": lambda x: 2 * x.numpy(),
    "list": lambda x: [1.0, 2.0],
    "vector": lambda x: 2 * x,
    "flat": lambda x: torch.ones(4),
    "matrix": lambda x: np.eye(2),
    "identity": lambda x: 2 * torch.eye(2),
    "none": lambda x: None,
}


class Parabola(Objective):
    def __init__(self, problem):
        self._problem = problem

    def fun(self, x, *, seed, spp=None):
        return x.square().sum(1)

    def jac(self, x, *, seed):
        return RETURNED[self._problem.slope](x)

    def hess(self, x, *, seed):
        return RETURNED[self._problem.curvature](x)


class Both(Parabola):
    def value_and_jac(self, x, *, seed, spp=None, adjoint=None):
        slope = self.jac(x, seed=seed)
        return slope if slope is None else (float(x @ x), slope)


@frozen(kw_only=True, eq=False)
class Own(Problem):
    provides = Capability.FUN | Capability.JAC | Capability.HESS
    slope: str = field(default="vector")
    curvature: str = field(default="identity")
    opened: type = field(default=Parabola)
    x0 = property(lambda self: np.array([3.0, 1.0]))

    def open(self):
        return self.opened(self)


WRONG = [
    (dict(slope="long"), rf"'jac' {VECTOR}a Tensor of shape \(3,\)"),
    (dict(slope="array"), rf"'jac' {VECTOR}a NumPy array of shape \(2,\)"),
    (dict(slope="list"), f"'jac' {VECTOR}list"),
    (
        dict(slope="long", opened=Both),
        rf"'value_and_jac' must return a value and a Tensor of shape .n,. = .2,.{AT_ONE_POINT}a Tensor of shape \(3,\)",
    ),
    (dict(slope="none", opened=Both), "'value_and_jac' must return a value and a derivative, got NoneType"),
    (dict(curvature="flat"), rf"'hess' {MATRIX}a Tensor of shape \(4,\)"),
    (dict(curvature="matrix"), rf"'hess' {MATRIX}a NumPy array of shape \(2, 2\)"),
]


@pytest.mark.parametrize("failures", ["raise", "nan"])
@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_a_wrong_derivative_is_an_error_that_names_the_method(fields, message, failures):
    with pytest.raises(invopt.WrongValueError, match=message):
        invopt.minimize(Own(**fields), "exact-derivative", "newton", failures=failures, progress=False)


def test_a_wrong_derivative_in_a_worker():
    with pytest.raises(invopt.WrongValueError, match=WRONG[1][1]):
        invopt.minimize(Own(slope="array"), "exact-derivative", workers=2, progress=False)
    with (
        open_objective(Own(slope="array"), 2) as shared,
        pytest.raises(invopt.WrongValueError, match=WRONG[1][1]),
    ):
        shared.jac(torch.ones(2, dtype=torch.float64), seed=0)


def test_right_derivatives_solve_it():
    for opened in (Parabola, Both):
        assert abs(invopt.minimize(Own(opened=opened), "exact-derivative", "newton", progress=False).x).max() < 1e-6
