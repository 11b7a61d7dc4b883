"""
A network of your own, through a black box of your own
======================================================

A small network gets a noisy curve with a step up and a step down, and returns the positions of the two. There are no
labels: a function draws the output as a curve of zeros and ones, and the two curves are compared. The derivative of
that function is zero almost everywhere; the network is differentiable.

It has no run file: its black box is a function in Python.
"""

import os
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import invopt
from invopt import estimators, optimizers, problems

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
GRID = np.linspace(0, 1, 64)

# %%
# The black box
# -------------
# A numpy function. It gets a point x, here the middle and the width of a block, and the ``target`` of one item.
# :class:`~invopt.problems.Function` passes the target if ``targeted=True``.


def draw(x):
    """Curve with a block of that middle and width."""
    middle, width = x
    return (np.abs(GRID - middle) < width / 2).astype(float)


def loss(x, target):
    """Mean squared difference of the curve at `x` and the target."""
    return float(np.mean((draw(x) - target) ** 2))


black_box = problems.Function(fun=loss, x0=[0.5, 0.3], targeted=True, sigma=0.1)

# %%
# The network
# -----------
# Any ``torch.nn.Module``. Its inputs are the curves, which are the targets too. Each has its true values, which are
# used in the report only.

rng = np.random.default_rng(0)


def curves(k):
    """`k` noisy curves, each with its true values."""
    truth = np.stack([rng.uniform(0.3, 0.7, k), rng.uniform(0.15, 0.45, k)], axis=1)
    drawn = np.stack([draw(x) for x in truth]) + 0.1 * rng.standard_normal((k, GRID.size))
    return list(zip(drawn.astype(np.float32), truth, strict=True))


torch.manual_seed(0)
network = nn.Sequential(nn.Linear(GRID.size, 32), nn.Tanh(), nn.Linear(32, 2), nn.Sigmoid())
problem = problems.GreyBox(network, black_box, curves(256), held_out=curves(64), batch_size=16)
print(f"{problem.n} weights")

# %%
# Training
# --------
# Like any other run: a problem, an estimator, a method. The estimator samples the two outputs of the network, and the
# chain rule gives the derivatives of the weights. The schedule advances with passes over the data: sigma decreases from
# 0.1 by a twentieth in each pass, down to a fifth.

steps = 20 if TINY else 600
errors = []


def watch(*, intermediate_result):
    """Keep the error every 20 iterations."""
    if len(intermediate_result.history) % 20 == 1:
        errors.append((intermediate_result.nfev, *np.abs(problem.errors(intermediate_result.x_last)).mean(0)))


began = time.perf_counter()
result = invopt.minimize(
    problem,
    estimators.FR22(sigma=invopt.Exponential(0.1, factor=0.95, ratio=0.2), n_samples=2),
    optimizers.Adam(lr=3e-3),
    rng=0,
    maxiter=steps,
    callback=watch,
)
print(f"{result.nfev} evaluations in {time.perf_counter() - began:.1f} s")
for name, before, after in zip(("middle", "width"), errors[0][1:], errors[-1][1:], strict=True):
    print(f"mean error of the {name}: {before:.3f} at the start, {after:.3f} at the end")

# %%
# The output
# ----------
# Four curves that were not used in training, and the outputs in colour. ``problem.save(result, "weights.safetensors")``
# saves the weights, ``problem.trained(result)`` returns the module.

figure, axes = plt.subplots(1, 5, figsize=(12, 2.5), layout="constrained")
for ax, curve, said in zip(axes, problem.held_out.targets, problem.predict(result.x), strict=False):
    ax.plot(GRID, curve, "0.6", lw=1)
    ax.plot(GRID, draw(said), lw=2)
    ax.set(xticks=[], yticks=[])
nfev, middle, width = np.array(errors).T
axes[-1].clear()
axes[-1].semilogy(nfev, middle, label="middle")
axes[-1].semilogy(nfev, width, label="width")
axes[-1].set(xlabel="evaluations", ylabel="mean error")
axes[-1].legend()
plt.show()
