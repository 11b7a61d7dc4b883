r"""
How noisy are the estimators?
=============================

A sampled derivative is a random number. Its variance is a constant over the number of samples; the constant depends on
how they are drawn. The number of evaluations is another question: some estimators draw new samples for each element of
the Hessian, others use the same samples for all.

It has no run file: nothing is minimised.
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
torch.set_num_threads(1)  # fastest for two parameters

# %%
# What is differentiated
# ----------------------
# A function like the loss of a picture: a disc that covers the target or not, which is a step, plus smooth shading. The
# point is inside the disc, not at its centre.


def picture(X):
    """1 outside of a disc, 0 inside, and some shading; one value for each row."""
    return (np.linalg.norm(X - 0.3, axis=1) > 1.0) + 0.3 * np.cos(X @ [1.0, 2.0])


problem = invopt.problems.Function(fun=picture, x0=[0.1, 0.1], vectorized=True)
p = np.array([1.0, 2.0])  # what the Hessian is multiplied with

# %%
# Four ways to sample
# -------------------
# Each estimator is a mean of values times a kernel weight over a density. *Optimal*: each element has its own samples,
# with a density proportional to its own kernel. *Aggregate*: all elements share samples from the average of their
# kernels. *Uniform*: samples from a box. With :class:`~invopt.estimators.SharedSamples`, value, gradient, Hessian and
# all products share one set, and the mean of the other values is subtracted from each value.

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
    """Evaluations of the quantity alone; with shared samples they are the same for all."""
    if quantity == "jac" or isinstance(estimator, SharedSamples):
        return estimator.cost(problem.n)
    return estimator.hess_cost(problem.n) if quantity == "hess" else estimator.hessp_cost(problem.n)


# %%
# Variance
# --------
# All lines have slope -1. Top: at equal numbers of samples, *optimal* has the lowest variance of the three densities,
# because it has the most evaluations. Bottom: at equal evaluations, shared samples are better. The uniform box is much
# worse than both. In the Hessian, *aggregate* and :class:`~invopt.estimators.SharedSamples` differ by the subtracted
# mean: a constant added to the function raises the other lines, but not this one. The printed slopes come from few
# repetitions; ``pytest tests/benchmarks -k variance`` has more of them, and error bars.

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
