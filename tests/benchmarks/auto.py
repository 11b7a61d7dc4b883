"""Evaluations that `minimize(problem)` needs, over 20 random starts of every task: the table of docs/choosing.rst.

Run with ``python tests/benchmarks/auto.py [task ...]``. Seeds 0 to 19 give start and run; settings were chosen on seeds
from 1000 up. The count is that of the first iterate whose parameter error has fallen to 1 % of the start's and from
which on it stays there; a run that never does counts as infinite.
"""

import argparse
import math
import time
from functools import partial

import numpy as np

from invopt import problems
from invopt.bench.results.measures import evaluations_to
from invopt.plugin import minimize_on
from invopt.run.arguments.options import Options
from invopt.run.prepare import prepare


def quadratic_residuals():
    """QUAD as two residuals, whose mean square it is."""
    root = np.linalg.cholesky(np.array([[5.0, 3.75], [3.75, 5.0]]) * 2).T
    task = problems.Quadratic()
    return _Starting(fun=lambda x: root @ x, x0=task.x0, x_opt=task.x_opt, residuals=True)


class _Starting(problems.Function):
    """A function with the starts of QUAD."""

    def starts(self, rng, k):
        return problems.Quadratic().starts(rng, k)


TASKS = {
    "QUAD": (problems.Quadratic, 100),
    "QUAD-R": (quadratic_residuals, 100),
    "BOX2-100": (partial(problems.Box2, resolution=100), 400),
    "BOX2": (problems.Box2, 400),
    "BOX10": (problems.Box10, 2000),
    "MUG": (problems.Mug, 300),
    "SHADOW": (problems.Shadow, 300),
    "BUNNY": (problems.Bunny, 300),
    "TEXTURE": (problems.Texture, 300),
    "TEXTURE3": (partial(problems.Texture, channels=3), 300),
}


class Clock:
    """Seconds spent in an objective's methods."""

    def __init__(self, objective, names=("fun", "residuals")):
        self.seconds = 0.0
        for name in names:
            setattr(objective, name, self._timed(getattr(objective, name)))

    def _timed(self, method):
        def call(*args, **kwargs):
            began = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - began

        return call


def measure(name, seeds, estimator=None, method=None, budget=None):
    make, maxfev = TASKS[name]
    maxfev = budget or maxfev
    problem, counts, choice = make(), [], ""
    # Opened as a run opens it: the cores are the renderer's.
    with prepare(problem, Options()).open() as objective:
        # Before the clock starts: kernels are compiled.
        minimize_on(objective, problem, estimator, method, rng=1000, maxfev=60, progress=False)
        clock, began = Clock(objective), time.perf_counter()
        for seed in seeds:
            start = problem.starts(np.random.default_rng(seed), 1)[0]
            result = minimize_on(
                objective, problem, estimator, method, x0=start, rng=seed, maxfev=maxfev, progress=False
            )
            counts.append(evaluations_to(result, 0.01))
            choice = result.choice.split(":")[0] or f"{estimator} with {method}"
    low, high = np.quantile(counts, [0.25, 0.75], method="inverted_cdf")
    solved = sum(math.isfinite(count) for count in counts)
    seconds = time.perf_counter() - began
    own = 100 * (1 - clock.seconds / seconds)
    print(
        f"{name:8} {choice:40} median {np.median(counts):5.0f}  quartiles {low:.0f} to {high:.0f}  "
        f"worst {max(counts):.0f}  "
        f"solved {solved} of {len(counts)}  budget {maxfev}  {seconds:.0f} s, {own:.0f} % of it in invopt",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--maxfev", type=int, help="by default that of the task")
    parser.add_argument("--estimator", help="by default that of the problem")
    parser.add_argument("--method", help="by default that of the estimator")
    arguments = parser.parse_args()
    for name in arguments.tasks:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        measure(name, seeds, arguments.estimator, arguments.method, arguments.maxfev)


if __name__ == "__main__":
    main()
