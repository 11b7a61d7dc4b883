"""
Five boxes from one heap
========================

Five boxes lie on one heap in the middle of a picture; in the target picture they lie apart. The boxes are equal, so
that all 120 assignments of boxes to places are equally good, and one picture must determine ten unknowns. A descent can
end in a local minimum, with two boxes in one place and one place empty.

The default, ``Kriging`` with ``LeastSurprise``, models all pixels of the picture, at several blurs, from every render
so far. After eleven renders for the first slopes it takes one render an iteration. If a descent ends with much left of
the picture, the run goes on from a random point, with all renders kept.

``invopt run runs/box10.toml`` runs it from a file.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
import torch

import invopt
from invopt import problems

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
torch.set_num_threads(1)  # fastest for pictures this small

problem = problems.Box10(resolution=40 if TINY else 100)

# %%
# Twenty runs
# -----------
# Each start is the heap with every box moved at random. The budget is enough for several descents.

runs = {}
for seed in range(1 if TINY else 20):
    rng = np.random.default_rng(seed)
    x0 = problem.starts(rng, 1)[0]
    runs[seed] = invopt.minimize(problem, x0=x0, rng=rng, maxfev=60 if TINY else 400, progress=False)


errors = {seed: np.array([problem.parameter_error(x) for x in res.history["x"]]) for seed, res in runs.items()}


def renders_to(fraction, seed):
    """Renders until the parameter error stays below a fraction of its start; infinite if it never does."""
    last = np.flatnonzero(errors[seed] > fraction * errors[seed][0])[-1]
    return np.inf if last + 1 == len(errors[seed]) else runs[seed].history["nfev"][last + 1]


renders = np.array([renders_to(0.01, seed) for seed in runs])
low, median, high = np.quantile(renders, [0.25, 0.5, 0.75], method="inverted_cdf")
solved = np.isfinite(renders).sum()
print(f"solved {solved} of {len(runs)}, renders to 1 %: median {median:.0f}, quartiles {low:.0f} to {high:.0f}")

# %%
# The longest run
# ---------------
# Its start, its best point after half of its renders, and its answer.

longest = list(runs)[int(np.argmax(np.where(np.isfinite(renders), renders, 0)))]
res = runs[longest]
history = res.history
middle = int(np.searchsorted(history["nfev"], history["nfev"][-1] / 2))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for seed, other in runs.items():
    color, order = ("C3", 3) if seed == longest else ("0.8", 1)
    left.semilogy(other.history["nfev"], np.sqrt(errors[seed]), color=color, zorder=order)
left.axvline(history["nfev"][middle], color="k", lw=0.8)
left.set(xlabel="renders", ylabel="root of the mean squared distance", title=f"all runs; in red that of seed {longest}")

with problem.open() as objective:
    found = [problem.x_opt, history["x"][0], history["x"][middle], res.x]
    pictures = [objective.image(x, seed=0) for x in found]
right.imshow(np.hstack([np.clip(picture, 0, 2) for picture in pictures]), cmap="gray")
right.set(title="target, start, half-way, answer", xticks=[], yticks=[])
plt.show()
