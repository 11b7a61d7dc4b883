"""Targets that cannot be matched: a smooth random picture is added to the target of a task.

Run with ``python tests/benchmarks/mismatch.py [task ...] [--shares 0.01 0.1 0.5] [--estimator NAME]``. The sum of
squares of the picture is a share of that of the residuals at the start; it is white noise blurred by an eighth of the
shorter side. Seeds 0 to 19 give start, run and picture; settings were chosen on seeds from 1000 up. Counts are those of
the first iterate whose parameter error has fallen to 10 % and 1 % of the start's and from which on it stays there; a
run that never does counts as infinite.
"""

import argparse
import collections
import functools
import math

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from invopt import problems
from invopt.bench.results.measures import evaluations_to
from invopt.plugin import Objective, minimize_on

TASKS = {
    "MUG": problems.Mug,
    "SHADOW": problems.Shadow,
    "BUNNY": problems.Bunny,
    "BOX2": functools.partial(problems.Box2, resolution=100),
}
# Seed of the render that tells the residuals at the start; no run has it.
FIRST_SEED = 77


class Unmatched(Objective):
    """Residuals of another objective and a constant picture."""

    chunk_size = 1

    def __init__(self, objective, start, share, seed):
        self._objective, self.image_shapes = objective, objective.image_shapes
        first = objective.residuals(torch.from_numpy(start)[None], seed=np.array([FIRST_SEED]))[0].double()
        (shape,) = objective.image_shapes
        width = min(shape[:2]) / 8
        picture = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (width, width, 0)[: len(shape)])
        picture = torch.from_numpy(picture.ravel())
        self._picture = picture * math.sqrt(share * float(first @ first) / float(picture @ picture))

    def residuals(self, x, *, seed, spp=None):
        return self._objective.residuals(x, seed=seed, spp=spp).double() + self._picture

    def fun(self, x, *, seed, spp=None):
        return self.residuals(x, seed=seed, spp=spp).square().mean(1)


def measure(name, share, seeds, estimator, maxfev):
    problem = TASKS[name]()
    tenth, hundredth, spent, statuses = [], [], [], collections.Counter()
    with problem.open() as objective:
        for seed in seeds:
            start = problem.starts(np.random.default_rng(seed), 1)[0]
            unmatched = Unmatched(objective, start, share, seed)
            result = minimize_on(unmatched, problem, estimator, x0=start, rng=seed, maxfev=maxfev, progress=False)
            tenth.append(evaluations_to(result, 0.1))
            hundredth.append(evaluations_to(result, 0.01))
            spent.append(result.nfev)
            statuses[result.status.name] += 1
    parts = []
    for text, counts in (("10 %", tenth), ("1 %", hundredth)):
        solved = sum(math.isfinite(count) for count in counts)
        middle = np.quantile(counts, 0.5, method="higher")
        parts.append(f"to {text}: {solved} of {len(counts)}, median {middle:.0f}, worst {max(counts):.0f}")
    ends = ", ".join(f"{status} {count}" for status, count in statuses.most_common())
    print(f"{name:7} {share:4}  {'; '.join(parts)}; spent {np.median(spent):.0f}; {ends}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.1, 0.5])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--estimator", default="auto")
    parser.add_argument("--maxfev", type=int, default=300)
    arguments = parser.parse_args()
    for name in arguments.tasks:
        for share in arguments.shares:
            measure(name, share, range(arguments.seeds), arguments.estimator, arguments.maxfev)


if __name__ == "__main__":
    main()
