"""Whether the error bars at the noise floor are true: errors over bars, each run with a target of its own noise.

Run with ``python tests/benchmarks/error_bars.py [task ...]``. Tiny pictures; seeds 0 to 19 give start, run and target.
The root mean square of errors over bars is 1.18 where the bars are right, as Student's t of seven degrees of freedom
has; one target for all runs would make their errors one and the same.
"""

import argparse

import numpy as np

from invopt import minimize, problems
from invopt.core.seeds import FIRST_REFERENCE_SEED

TASKS = {"MUG": problems.Mug, "SHADOW": problems.Shadow, "BUNNY": problems.Bunny}


def measure(name, seeds, estimator):
    scores, ends = [], []
    for seed in seeds:
        problem = TASKS[name](size="tiny", reference_seed=FIRST_REFERENCE_SEED + 1 + seed)
        start = problem.starts(np.random.default_rng(seed), 1)[0]
        result = minimize(problem, estimator, x0=start, rng=seed, maxfev=2000, progress=False)
        ends.append(result.status.name)
        if result.x_standard_error is not None:
            scores.append(problem.wrap(result.x - problem.x_opt) / result.x_standard_error)
    roots = ", ".join(f"{root:.2f}" for root in np.sqrt(np.mean(np.square(scores), axis=0)))
    worst = np.abs(scores).max()
    floor = ends.count("NOISE_FLOOR")
    print(f"{name:8} root mean square {roots}; worst {worst:.1f}; at the noise {floor} of {len(ends)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--estimator", default="auto")
    arguments = parser.parse_args()
    for name in arguments.tasks:
        measure(name, range(arguments.seeds), arguments.estimator)


if __name__ == "__main__":
    main()
