r"""
How noisy are the estimators?
=============================

A sampled derivative is a random number. Its variance falls as one over the number of samples, whichever way they are
drawn; which way decides the factor in front. And a sample is not an evaluation: some estimators draw new ones for each
element of the Hessian, others use the same ones for everything.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
import torch

import invopt
from invopt.estimators import (
    AggregateGradient,
    AggregateHessian,
    AggregateHVP,
    SharedSamples,
    SmoothedGradient,
    SmoothedHessian,
    SmoothedHVP,
)

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
torch.set_num_threads(1)  # two parameters are no work for many threads

# %%
# What is differentiated
# ----------------------
# A picture's loss in small: a disc that covers the target or does not, which is a step, on gentle shading. We stand
# inside of the disc, off centre.


def picture(X):
    """1 outside of a disc, 0 inside, and some shading; one value for each row."""
    return (np.linalg.norm(X - 0.3, axis=1) > 1.0) + 0.3 * np.cos(X @ [1.0, 2.0])


problem = invopt.problems.Function(fun=picture, x0=[0.1, 0.1], vectorized=True)
p = np.array([1.0, 2.0])  # what the Hessian is multiplied with

# %%
# Four ways to sample
# -------------------
# Each estimator is a mean of values times a kernel weight over a density. *Optimal*: each element has samples of its
# own, drawn in proportion to its own kernel. *Aggregate*: all elements share samples from the average of their
# kernels. *Uniform*: from a box around. :class:`~invopt.estimators.SharedSamples` goes further: value, gradient,
# Hessian and all products share one set, and each value has the mean of the others subtracted first.

makers = {
    "optimal": {"jac": SmoothedGradient, "hess": SmoothedHessian, "hessp": SmoothedHVP},
    "aggregate": {"jac": AggregateGradient, "hess": AggregateHessian, "hessp": AggregateHVP},
    "uniform": {"jac": SmoothedGradient, "hess": SmoothedHessian, "hessp": SmoothedHVP},
    "SharedSamples": dict.fromkeys(("jac", "hess", "hessp"), SharedSamples),
}
sizes = (4, 16) if TINY else (4, 16, 64, 256)
repetitions = 5 if TINY else 150


def measure(estimator, quantity, rng):
    """Variance of the whole quantity, the sum over its elements, over independent repetitions."""
    of_product = {"p": p} if quantity == "hessp" else {}
    found = [invopt.differentiate(problem, estimator, rng=rng, **of_product) for _ in range(repetitions)]
    return np.var([getattr(derivatives, quantity) for derivatives in found], axis=0, ddof=1).sum()


def cost(estimator, quantity):
    """Evaluations of the quantity alone; from shared samples they are the same for all."""
    if quantity == "jac" or isinstance(estimator, SharedSamples):
        return estimator.cost(problem.n)
    return estimator.hess_cost(problem.n) if quantity == "hess" else estimator.hessp_cost(problem.n)


# %%
# Variance
# --------
# All lines fall with slope -1. Above, at equal numbers of samples, *optimal* is lowest among the proposals, as it
# must be: it has the most evaluations. Below, at equal evaluations, sharing wins. Against the uniform box both win by
# a wide margin. The difference between *aggregate* and :class:`~invopt.estimators.SharedSamples` in the Hessian is
# the subtracted mean: a constant added to the function would make the other lines rise, but not this one. The slopes
# printed here come from few repetitions; ``pytest tests/benchmarks -k variance`` has more of them, and error bars.

rng = np.random.default_rng(0)
figure, axes = plt.subplots(2, 3, figsize=(10, 6.5), sharey="col", layout="constrained")
for column, quantity in enumerate(("jac", "hess", "hessp")):
    for name, classes in makers.items():
        options = {"proposal": "uniform"} if name == "uniform" else {}
        chosen = [classes[quantity](sigma=0.5, n_samples=m, **options) for m in sizes]
        variance = [measure(estimator, quantity, rng) for estimator in chosen]
        evaluations = [cost(estimator, quantity) for estimator in chosen]
        axes[0, column].loglog(sizes, variance, ".-", label=name)
        axes[1, column].loglog(evaluations, variance, ".-", label=name)
        slope = np.polyfit(np.log(sizes), np.log(variance), 1)[0]
        print(
            f"{quantity:5} {name:13} slope {slope:5.2f},"
            f" variance times evaluations {variance[-1] * evaluations[-1]:7.1f}"
        )
    axes[0, column].set(title=quantity, xlabel="samples (antithetic pairs)")
    axes[1, column].set(xlabel="evaluations")
axes[0, 0].set_ylabel("variance")
axes[1, 0].set_ylabel("variance")
axes[0, 0].legend()

plt.show()
