r"""
A loss and its smoothed versions
================================

Smoothing gives a plateau a slope, but to which minimum does the slope lead? With one unknown we can plot it: the loss
of the :doc:`plot_mug` example around the full circle, and smoothed by several Gaussians, for two cameras.

It has no run file: nothing is minimised.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
import torch

from invopt import problems
from invopt.rendering.pictures.display import to_display

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
SIGMAS = (3, 2, 1, 0.5)
PERIOD = 18  # units of 20 degrees

# %%
# The loss around the circle
# --------------------------
# ``problem.open()`` returns the objective; ``fun`` takes rows of points, and a seed for each. With the same seed for
# all points, the noise of the renders does not hide the shape.

x = np.arange(0, PERIOD, 1 if TINY else 0.1) - PERIOD / 2
options = {"size": "tiny"} if TINY else {"spp": 8}
views = {"camera at 45 degrees to the handle": 45.0, "camera facing the handle": 0.0}

loss, target = {}, {}
for name, azimuth in views.items():
    with problems.Mug(azimuth=azimuth, **options).open() as objective:
        loss[name] = objective.fun(torch.from_numpy(x[:, None]), seed=np.zeros(len(x), dtype=np.int64)).numpy()
        target[name] = objective.reference

# %%
# Smoothed
# --------
# On a circle, smoothing by a Gaussian of standard deviation :math:`\sigma` multiplies each frequency :math:`\omega` by
# :math:`e^{-\omega^2 \sigma^2 / 2}`. This is the function whose derivatives the estimators sample, here computed
# without sampling.

frequency = 2 * np.pi * np.fft.rfftfreq(len(x), x[1] - x[0])


def smooth(values, sigma):
    """Values on the circle, smoothed by a Gaussian."""
    return np.fft.irfft(np.fft.rfft(values) * np.exp(-((frequency * sigma) ** 2) / 2), len(values))


def minima(values):
    """Indices of the local minima on the circle, the lowest first."""
    found = np.flatnonzero((values < np.roll(values, 1)) & (values <= np.roll(values, -1)))
    return found[np.argsort(values[found])]


# %%
# Two views
# ---------
# From 45 degrees, each smoothed loss down to :math:`\sigma = 1` has one minimum only. It is shifted, but it moves to
# the true angle as :math:`\sigma` decreases: with a large sigma first and a small one later, a run reaches the answer.
# At :math:`\sigma = 0.5` there are false minima to the right. If sigma decreases too quickly, or with too few samples,
# a run can end in one of them.
#
# From the front, with the handle towards the camera, the loss has two basins. A handle at the side causes two errors:
# handle pixels where the target has none, and none where the target has them. A handle *behind* the mug causes only the
# second. That basin is wider, so that with a large sigma it has the lower minimum. When sigma is small enough to
# distinguish the two, the run is in the wrong basin, on a plateau.

figure, axes = plt.subplots(2, 2, figsize=(10, 6), width_ratios=(3, 1), layout="constrained")
for (ax, picture), name in zip(axes, views, strict=True):
    ax.plot(x, loss[name], color="0.75", label="loss")
    for sigma in SIGMAS:
        smoothed = smooth(loss[name], sigma)
        lowest, *others = minima(smoothed)
        (line,) = ax.plot(x, smoothed, label=rf"$\sigma = {sigma}$")
        ax.plot(x[lowest], smoothed[lowest], "o", color=line.get_color())
        ax.plot(x[others], smoothed[others], "o", color=line.get_color(), mfc="w")
        print(f"{name}, sigma {sigma}: minima at", *(f"{x[i]:.1f}" for i in (lowest, *others)))
    ax.axvline(0, color="k", lw=0.8, ls="--")
    ax.set(title=name, ylabel="loss")
    picture.imshow(to_display(target[name]))
    picture.set_title("its target")
    picture.axis("off")
axes[0, 0].legend(ncols=2, loc="lower right")
axes[1, 0].set(xlabel="rotation from the truth, in units of 20 degrees (filled: lowest minimum; open: others)")

# %%
# If a run does not converge, plot the loss along a line first. Do the same when you choose the camera of a scene.

plt.show()
