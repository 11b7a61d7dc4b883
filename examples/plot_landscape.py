r"""
A landscape, and what smoothing makes of it
===========================================

Smoothing gives a plateau a slope, but where does the slope lead? With one unknown we can afford to look: at the loss of
the :doc:`plot_mug` example all around the circle, and smoothed by Gaussians of several widths, for two cameras.
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
# ``problem.open()`` gives the live objective; ``fun`` takes rows of points, and a seed for each. The same seed for
# all keeps the noise of the renders from hiding the shape.

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
# On a circle, smoothing by a Gaussian of width :math:`\sigma` multiplies each frequency :math:`\omega` by
# :math:`e^{-\omega^2 \sigma^2 / 2}`. This is the function whose derivatives the estimators sample, here without any
# sampling.

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
# Seen at 45 degrees, each smoothed loss down to :math:`\sigma = 1` has one minimum only. It is not where it should
# be, but it moves home as :math:`\sigma` shrinks: start wide, then narrow, and the run is led to the answer. At
# :math:`\sigma = 0.5` there are false minima to the right. A run that shrinks too quickly, or on too few samples, can
# be left behind in one of them.
#
# Seen from the front, handle towards us, the loss has two low places. A handle at the side is wrong twice: there are
# handle pixels where none should be, and none where they should be. A handle hidden *behind* the mug is wrong only
# once. A wide Gaussian takes that wide hollow for the deep one. By the time a narrow one would know better, the run
# is down there, where the ground is flat.

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
# So before blaming an optimizer, plot a line through the landscape; when you choose a camera for your own scene, do
# it first.

plt.show()
