"""
Turn the mug
============

A path tracer shows us a mug from the wrong side. By how much must it be turned to look like the picture we were given?

The handle is hidden behind the body: turn the mug a little and no pixel changes, so the derivative of the loss is zero,
however exactly it is computed. Samples taken a third of a turn away do see the handle.
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
# One unknown, the rotation in units of 20 degrees. A render has 64 x 64 pixels and 4 samples for each, which is quick
# and noisy; the target has 256. Nothing but the mean squared difference of the two pictures reaches the optimizer.

problem = problems.Mug(size="tiny" if TINY else "default")

with problem.open() as objective:
    pictures = {"a render at the start": objective.image(problem.x0), "the target": objective.reference}

figure, axes = plt.subplots(1, 2, figsize=(5, 2.7), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(to_display(picture))
    ax.set_title(title)
    ax.axis("off")

# %%
# Derivatives, with error bars
# ----------------------------
# :func:`invopt.differentiate` asks for them at one point. The finite difference has a tenth of a degree to look
# around in, where only the noise of the renders changes. It reports that noise over the length of its step, here even
# with the wrong sign, and an error of zero: being a deterministic rule, it knows no better. The loss smoothed over 60
# degrees slopes.

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
# Four renders an iteration, two pairs at :math:`x \pm \tau`, with :math:`\tau` as wide as ``sigma``, give the value,
# the gradient *and* the curvature of the smoothed loss: with curvature a step knows its length. ``sigma`` starts at
# the problem's own 60 degrees and shrinks by a tenth an iteration, so that the smoothing misleads less and less.

estimator = estimators.SharedSamples(n_samples=2)
result = invopt.minimize(problem, estimator, optimizers.NewtonCG(), rng=0, maxfev=12 if TINY else 200)

error = problem.wrap(result.x - problem.x_opt) * UNIT
print(f"start  {problem.x0[0] * UNIT:6.1f} degrees")
print(f"found  {error[0]:6.1f} degrees, after {result.nfev} renders in {result.nit} iterations")
print(f"target {problem.x_opt[0] * UNIT:6.1f} degrees")

# %%
# What it found
# -------------
# The optimizer saw small and noisy renders only. For our own eyes the same scene can be rendered larger: the problem
# is a description, and another size of it is another problem. The difference is shown three times as bright.

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
# How it got there
# ----------------
# Left: the rotation, and in grey how far ``sigma`` reaches. Right: the smoothed loss as estimated, with a band of one
# standard error from the very same samples. It does not fall to zero: that is the noise of four samples a pixel,
# which no rotation removes. Nor is every run as lucky: with so few samples some seeds end in one of the false minima
# that :doc:`plot_landscape` shows. Use more samples, or several starts, where it matters.

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
