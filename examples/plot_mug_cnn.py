"""
Learning to see a mug, without labels
=====================================

A network looks at a picture of a mug and says how it is turned. Nobody tells it the answer: its own is rendered, and it
is told how well the two pictures match. The renderer is a black box, so two renders sample the slope of that match with
respect to one number; the network is not, so the chain rule takes the slope to its 267,745 weights.
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
# The paper's network, here on pictures of 32 x 32 pixels. Those it learns from and those it is judged by are rendered
# once, from rotations drawn at random, and kept on disk. ``problems.MugCNN()`` is the larger one that the benchmark
# trains.

if TINY:
    problem = problems.MugCNN(size="tiny", n_train=16, n_held_out=8, reference_spp=16)
else:
    problem = problems.MugCNN(size="tiny", n_train=48, n_held_out=24, reference_spp=32)
print(f"{problem.n} weights, {problem.n_train} pictures to learn from, {problem.n_held_out} to be judged by")

# %%
# Training
# --------
# Each step takes 16 pictures and two renders for each: one pair of perturbations, 10 degrees wide to begin with. We
# look at the network's answers now and then.

looks = []


def look(*, intermediate_result):
    """Keep what the network says of the held-out pictures."""
    done = len(intermediate_result.history) - 1
    if done % 10 == 0:
        looks.append((intermediate_result.nfev, problem.predict(intermediate_result.x_last)))


began = time.perf_counter()
result = invopt.minimize(
    problem,
    estimators.FR22(sigma=invopt.Exponential(0.5, factor=0.98), n_samples=1),
    optimizers.Adam(lr=1e-3),
    rng=0,
    maxfev=320 if TINY else 4800,
    callback=look,
)
degrees = [np.abs(problem.inner.wrap(said - problem.held_out.truth)) * 20 for _, said in looks]
print(f"{result.nfev} renders in {time.perf_counter() - began:.1f} s")
print(f"median error at the start {np.median(degrees[0]):.1f} degrees, at the end {np.median(degrees[-1]):.1f}")

# %%
# What it says, rendered
# ----------------------
# Top: pictures it was not trained on. Below: its answers, rendered, at the start, on the way and at the end.

shown = [0, len(looks) // 3, len(looks) // 2, len(looks) - 1]
with problem.inner.open() as renderer:
    rows = [list(problem.held_out.targets[:6])]
    rows += [[renderer.image(x, spp=32) for x in looks[i][1][:6]] for i in shown]
titles = ["what it sees", *(f"{looks[i][0]} renders" for i in shown)]

figure, axes = plt.subplots(len(rows), 6, figsize=(7, 6), layout="constrained")
for line, pictures, title in zip(axes, rows, titles, strict=True):
    line[0].set_ylabel(title, rotation=0, ha="right", va="center")
    for ax, picture in zip(line, pictures, strict=True):
        ax.imshow(to_display(picture))
        ax.set(xticks=[], yticks=[])

# %%
# How it learned
# --------------
# At first it says the same of all pictures; then it finds out what tells them apart.

figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
renders = [nfev for nfev, _ in looks]
quartiles = np.array([np.percentile(error, [25, 50, 75]) for error in degrees])
ax.fill_between(renders, quartiles[:, 0], quartiles[:, 2], color="0.9", label="middle half of the pictures")
ax.plot(renders, quartiles[:, 1], ".-", label="median")
ax.set(xlabel="renders", ylabel="error, degrees", yscale="log")
ax.legend()
plt.show()
