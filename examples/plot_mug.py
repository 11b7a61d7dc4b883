"""
Turn the mug
============

A path tracer renders a mug. Which rotation of the mug gives the target picture?

At the start the handle is hidden behind the body: a small rotation changes no pixel, so that the exact derivative of
the loss is zero. In samples a third of a turn away the handle is visible.

``invopt run runs/mug.toml`` runs it from a file, with the defaults of its estimator.
"""

import os

import matplotlib.pyplot as plt
import numpy as np

import invopt
from invopt import estimators, optimizers, problems
from invopt.rendering.pictures.display import to_display

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
UNIT = 20  # degrees

# %%
# The problem
# -----------
# One unknown, the rotation in units of 20 degrees. A render has 64 x 64 pixels with 4 samples each, which is fast and
# noisy; the target has 256. The optimizer gets only the mean squared difference of the two pictures.

problem = problems.Mug(size="tiny" if TINY else "default")

with problem.open() as objective:
    pictures = {"a render at the start": objective.image(problem.x0), "the target": objective.reference}

figure, axes = plt.subplots(1, 2, figsize=(5, 2.7), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(to_display(picture))
    ax.set_title(title)
    ax.axis("off")

# %%
# Derivatives, with standard errors
# ---------------------------------
# :func:`invopt.differentiate` estimates them at one point. The finite difference has a step of a tenth of a degree,
# over which only the noise of the renders changes. Its result is this noise divided by the step, here even with the
# wrong sign, and its standard error is 0 because its rule is deterministic. The loss smoothed over 60 degrees has a
# slope.

samples = 2 if TINY else 32
for name, estimator in {
    "finite difference": estimators.FiniteDifference(abs_step=0.1 / UNIT),
    "smoothed, sigma = 3": estimators.SharedSamples(sigma=3.0, n_samples=samples),
}.items():
    at_start = invopt.differentiate(problem, estimator, rng=0)
    print(
        f"{name:20} gradient {at_start.jac[0]: .5f} ± {at_start.standard_error[0]:.5f},"
        f" curvature {at_start.hess[0, 0]: .5f} ± {at_start.hess_standard_error[0, 0]:.5f}"
    )

# %%
# The run
# -------
# Four renders in each iteration, two pairs at :math:`x \pm \tau` with :math:`\tau` of standard deviation ``sigma``,
# give the value, the gradient *and* the curvature of the smoothed loss; the curvature sets the step length. ``sigma``
# starts at the problem's 60 degrees and decreases by a tenth in each iteration, so that the shift of the minimum
# decreases.

estimator = estimators.SharedSamples(n_samples=2)
result = invopt.minimize(problem, estimator, optimizers.NewtonCG(), rng=0, maxfev=12 if TINY else 200)

error = problem.wrap(result.x - problem.x_opt) * UNIT
print(f"start  {problem.x0[0] * UNIT:6.1f} degrees")
print(f"found  {error[0]:6.1f} degrees, after {result.nfev} renders in {result.nit} iterations")
print(f"target {problem.x_opt[0] * UNIT:6.1f} degrees")

# %%
# What it found
# -------------
# The optimizer had small and noisy renders only. For the figure, the same scene is rendered larger: a problem is a
# description, so that another size is another problem. The difference is shown three times as bright.

large = problems.Mug(width=32 if TINY else 128, height=32 if TINY else 128)
with large.open() as objective:
    target = objective.reference
    start, found = (objective.image(x, spp=4 if TINY else 128) for x in (problem.x0, result.x))

pictures = {"start": start, "found": found, "target": target, "difference": 3 * np.abs(found - target)}
figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(to_display(picture))
    ax.set_title(title)
    ax.axis("off")

# %%
# The course of the run
# ---------------------
# Left: the rotation, and in grey plus and minus ``sigma``. Right: the estimate of the smoothed loss, with a band of one
# standard error from the same samples. It does not reach zero because of the noise of four samples per pixel. With so
# few samples, some seeds end in one of the false minima of :doc:`plot_landscape`. Use more samples or several starts if
# this matters.

history = result.history
rotation, reach = history.x[:, 0] * UNIT, history.sigma * UNIT

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
left.fill_between(history.nfev, rotation - reach, rotation + reach, color="0.9", label=r"$\pm\,\sigma$")
left.plot(history.nfev, rotation, ".-", label="rotation")
left.axhline(0, color="k", lw=0.8, ls="--", label="truth")
left.set(xlabel="renders", ylabel="degrees")
left.legend()
history.plot(right)
right.set(xlabel="renders", ylabel="smoothed loss")

plt.show()
