"""Sessions answered from a known function, and the same runs by `minimize`."""

import numpy as np

import invopt
from invopt import Session, problems

T = np.linspace(0.0, 1.0, 12)


def misfit(x):
    return x[..., :1] * np.exp(-x[..., 1:] * T) - 2 * np.exp(-1.5 * T)


def values(x):
    return ((x - 1) ** 2).sum(axis=1)


def minimized(kind, **options):
    if kind == "fun":
        return invopt.minimize(lambda x: values(x[None])[0], x0=[3.0, -2.0], **options)
    return invopt.minimize(problems.Function(fun=misfit, x0=[1.0, 1.0], residuals=True), **options)


def session_of(kind, **options):
    if kind == "fun":
        return Session(x0=[3.0, -2.0], **options)
    return Session(x0=[1.0, 1.0], residuals=True, **options)


def answers(request):
    return values(request.x) if request.kind == "fun" else misfit(request.x)


def assert_same(session, expected):
    np.testing.assert_array_equal(session.result.history.x, expected.history.x)
    assert session.result.nfev == expected.nfev
    assert session.result.status is expected.status
