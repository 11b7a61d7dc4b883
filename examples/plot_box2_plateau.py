"""
Off the plateau
===============

A box in a picture must move onto the box of a target picture. If the two do not overlap, a small movement does not
change the loss: it has a plateau, on which its derivative is zero. This is the smallest problem that an exact gradient
cannot solve.

``invopt run runs/box2.toml`` runs it from a file, with one of the methods.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
import torch

import invopt
from invopt import estimators, optimizers, problems

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
torch.set_num_threads(1)  # fastest for pictures this small

problem = problems.Box2(resolution=50 if TINY else 100)

# %%
# Along a line
# ------------
# The derivatives along a line through the target: by finite differences, and by samples of the loss smoothed by
# Gaussians of three standard deviations. One set of samples gives the value, the gradient and the Hessian, each with
# its standard error. The same ``rng`` at each point gives smooth lines. In the grey areas the boxes do not overlap.

distance = np.linspace(-0.35, 0.3, 5 if TINY else 34)
line = problem.x_opt + distance[:, None] * [1, 0]

samples = 20 if TINY else 400
along = {"finite differences": estimators.FiniteDifference(abs_step=0.01)}
for sigma in (0.05, 0.1, 0.2):
    along[f"sigma = {sigma}"] = estimators.SharedSamples(sigma=sigma, n_samples=samples)

figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for name, estimator in along.items():
    found = [invopt.differentiate(problem, estimator, x, rng=0) for x in line]
    value, slope, curvature = zip(*((d.fun, d.jac[0], d.hess[0, 0]) for d in found), strict=True)
    for ax, quantity in zip(axes, (value, slope, curvature), strict=True):
        ax.plot(distance, quantity, color="k" if name == "finite differences" else None, label=name)
    error = found[0].standard_error[0]
    print(f"{name:18} slope at the left end {slope[0]:8.5f} ± {error:.5f} from {found[0].nfev} evaluations")

for ax, title in zip(axes, ("value", "slope", "curvature"), strict=True):
    ax.axvspan(distance[0], -0.2, color="0.93")
    ax.axvspan(0.2, distance[-1], color="0.93")
    ax.set(title=title, xlabel="distance from the target", xlim=distance[[0, -1]])
axes[1].set_yscale("symlog", linthresh=0.01)
axes[2].set_yscale("symlog", linthresh=0.1)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)

# %%
# On the plateau the finite difference is zero (the scales of slope and curvature are logarithmic except around zero).
# With a small sigma there is a slope near the target only; with a large one everywhere, but the valley is shallow. This
# is why ``sigma`` starts large and decreases. The curvature is negative at some distance from the target, where a plain
# Newton step would go uphill. The methods below go downhill there, up to their limit of a step.
#
# Three methods
# -------------
# A gradient method, the paper's conjugate gradients with sampled Hessian-vector products, and a truncated Newton
# method on shared samples, whose products need no evaluations. Each starts from the same points without overlap, and
# runs until the parameter error is 1 %. Only the callback knows the true answer.

methods = {
    "FR22 + Adam": (estimators.FR22(), optimizers.Adam()),
    "AggregateHVP + FletcherReevesCG": (estimators.AggregateHVP(n_samples=4), optimizers.FletcherReevesCG()),
    "SharedSamples + NewtonCG": (
        estimators.SharedSamples(n_samples=6, sigma=invopt.Exponential(factor=0.85)),
        optimizers.NewtonCG(),
    ),
}


def solve(estimator, method, start, rng):
    """Run until the parameter error is 1 % of that of the start."""
    goal = 0.01 * problem.parameter_error(start)

    def stop_at_goal(*, intermediate_result):
        if problem.parameter_error(intermediate_result.x_last) < goal:
            raise StopIteration

    budget = 40 if TINY else 600
    return invopt.minimize(problem, estimator, method, x0=start, rng=rng, maxfev=budget, callback=stop_at_goal)


starts = problem.starts(np.random.default_rng(0), 2 if TINY else 20)
results = {name: [solve(*parts, start, rng) for rng, start in enumerate(starts)] for name, parts in methods.items()}

for name, runs in results.items():
    nfev = sorted(run.nfev if run.status is invopt.Status.CALLBACK else np.inf for run in runs)
    print(f"{name:32} solved {np.isfinite(nfev).sum():2} of {len(nfev)}, evaluations: median {np.median(nfev):.0f},")
    print(f"{'':32} from {nfev[0]:.0f} to {max(n for n in [0, *nfev] if np.isfinite(n)):.0f}")

# %%
# Curvature allows longer steps, but it has a cost. A step of the conjugate gradients needs 8 evaluations for the
# gradient and 16 for the product, a step of Adam 4: here the gradient alone is cheaper. With shared samples curvature
# needs no evaluations, and this method is the fastest.
#
# The paths of four runs, over the target picture, with squares at the starts:

with problem.open() as objective:
    target = objective.reference

figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained", sharey=True)
for ax, (name, runs) in zip(axes, results.items(), strict=True):
    ax.imshow(target, cmap="gray", extent=(0, 1, 1, 0), vmax=3)
    for run in runs[:4]:
        ax.plot(*run.history.x.T, ".-", lw=1)
        ax.plot(*run.history.x[0], "ws", ms=8, mfc="none")
    ax.set_title(name, fontsize="medium")

plt.show()
