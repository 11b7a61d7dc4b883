"""Functions with a known minimum, and a count of their evaluations."""

import scipy.optimize

from invopt import estimators


def sphere(x):
    return float(x @ x)


def rosenbrock(x):
    return float(scipy.optimize.rosen(x))


class Counter:
    """A callable that records its arguments."""

    def __init__(self, fun=sphere):
        self.fun = fun
        self.points = []

    def __call__(self, x):
        self.points.append(x)
        return self.fun(x)


ESTIMATORS = [
    estimators.FR22(),
    estimators.SPSA(),
    estimators.SmoothedGradient(),
    estimators.AggregateGradient(antithetic=False),
    estimators.SmoothedHessian(),
    estimators.AggregateHessian(),
    estimators.SmoothedHVP(),
    estimators.AggregateHVP(),
    estimators.SharedSamples(),
    estimators.FiniteDifference(),
]
