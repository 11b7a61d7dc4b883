"""
A network that sees the rotation of a mug, without labels
=========================================================

A network gets a picture of a mug and returns its rotation. There are no labels: the output is rendered, and the loss
compares the two pictures. The renderer is a black box, so that two renders sample the slope of the loss with respect to
the rotation. The network is differentiable: the chain rule gives the slope of its 267,745 weights.

``invopt run runs/mug_cnn.toml`` runs it from a file, with the defaults of its estimator.
"""

import os
import time

import matplotlib.pyplot as plt
import numpy as np

import invopt
from invopt import estimators, optimizers, problems
from invopt.rendering.pictures.display import to_display

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests

# %%
# The problem
# -----------
# The paper's network, here for pictures of 32 x 32 pixels. The pictures for training and for evaluation are rendered
# once, with random rotations, and kept on disk. ``problems.MugCNN()`` is the larger problem of the benchmark.

if TINY:
    problem = problems.MugCNN(size="tiny", n_train=16, n_held_out=8, reference_spp=16)
else:
    problem = problems.MugCNN(size="tiny", n_train=48, n_held_out=24, reference_spp=32)
print(f"{problem.n} weights, {problem.n_train} pictures for training, {problem.n_held_out} for evaluation")

# %%
# Training
# --------
# Each step takes 16 pictures and two renders for each: one pair of perturbations, with a first standard deviation of
# 10 degrees. The callback keeps the output of the network from time to time.

looks = []


def look(*, intermediate_result):
    """Keep the output of the network for the held-out pictures."""
    done = len(intermediate_result.history) - 1
    if done % 10 == 0:
        looks.append((intermediate_result.nfev, problem.predict(intermediate_result.x_last)))


began = time.perf_counter()
result = invopt.minimize(
    problem,
    estimators.FR22(sigma=invopt.Exponential(0.5, factor=0.98), n_samples=1),
    optimizers.Adam(lr=1e-3),
    rng=0,
    maxfev=96 if TINY else 4800,
    callback=look,
)
degrees = [np.abs(problem.inner.wrap(said - problem.held_out.truth)) * 20 for _, said in looks]
print(f"{result.nfev} renders in {time.perf_counter() - began:.1f} s")
print(f"median error at the start {np.median(degrees[0]):.1f} degrees, at the end {np.median(degrees[-1]):.1f}")

# %%
# The output, rendered
# --------------------
# Top: pictures that were not used in training. Below: the outputs, rendered, at the start, during training and at the
# end.

shown = [0, len(looks) // 3, len(looks) // 2, len(looks) - 1]
with problem.inner.open() as renderer:
    rows = [list(problem.held_out.targets[:6])]
    rows += [[renderer.image(x, spp=32) for x in looks[i][1][:6]] for i in shown]
titles = ["input", *(f"{looks[i][0]} renders" for i in shown)]

figure, axes = plt.subplots(len(rows), 6, figsize=(7, 6), layout="constrained")
for line, pictures, title in zip(axes, rows, titles, strict=True):
    line[0].set_ylabel(title, rotation=0, ha="right", va="center")
    for ax, picture in zip(line, pictures, strict=True):
        ax.imshow(to_display(picture))
        ax.set(xticks=[], yticks=[])

# %%
# The error during training
# -------------------------
# At first the output is the same for all pictures.

figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
renders = [nfev for nfev, _ in looks]
quartiles = np.array([np.percentile(error, [25, 50, 75]) for error in degrees])
ax.fill_between(renders, quartiles[:, 0], quartiles[:, 2], color="0.9", label="middle half of the pictures")
ax.plot(renders, quartiles[:, 1], ".-", label="median")
ax.set(xlabel="renders", ylabel="error, degrees", yscale="log")
ax.legend()
plt.show()
