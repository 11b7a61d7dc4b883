"""The default on the paper's tasks with other settings: samples, pixels, sigma, losses, no bounds.

Run with ``python tests/benchmarks/robustness.py [task ...] [--cases NAME ...] [--seeds N]``. Seeds 0 to 19 give start
and run; settings were chosen on seeds from 1000 up. Counts are those of the first iterate whose parameter error has
fallen to 1 % of the start's and from which on it stays there; a run that never does counts as infinite.
"""

import argparse
import collections
import math

import numpy as np
from attrs import evolve

import invopt
from invopt import problems
from invopt.bench.results.measures import evaluations_to
from invopt.plugin import minimize_on
from invopt.rendering import L1, MultiScaleMSE, RelativeMSE, Translation

TASKS = {"MUG": problems.Mug, "SHADOW": problems.Shadow, "BUNNY": problems.Bunny}


def unbounded(task, field_of_view=None):
    """SHADOW without bounds; the shadow of a start may lie outside the picture of a narrow camera."""
    statement = task().statement
    description = task()._description()
    if field_of_view is not None:
        description["sensor"] = description["sensor"] | {"fov": field_of_view}
    free = [Translation("sphere", axes="yz", scale=1.0)]
    return evolve(statement, scene=description, parameters=free, x0=statement.x0, x_opt=statement.x_opt)


# Each makes the problem of a task.
CASES = {
    "as it is": lambda task: task().statement,
    "1 sample": lambda task: task(spp=1).statement,
    "16 samples": lambda task: task(spp=16).statement,
    "32 pixels": lambda task: task(width=32, height=32).statement,
    "128 pixels": lambda task: task(width=128, height=128).statement,
    "half sigma": lambda task: evolve(task().statement, sigma=0.5 * task().sigma),
    "twice sigma": lambda task: evolve(task().statement, sigma=2.0 * task().sigma),
    "relative": lambda task: evolve(task().statement, loss=RelativeMSE()),
    "multi-scale": lambda task: evolve(task().statement, loss=MultiScaleMSE()),
    "L1": lambda task: evolve(task().statement, loss=L1()),
}
OF_SHADOW = {
    "no bounds": unbounded,
    "no bounds, camera of 40 degrees": lambda task: unbounded(task, 40),
}


def measure(name, case, make, seeds, maxfev):
    task, problem = TASKS[name](), make(TASKS[name])
    counts, spent, statuses = [], [], collections.Counter()
    with problem.open() as objective:
        for seed in seeds:
            start = task.starts(np.random.default_rng(seed), 1)[0]
            try:
                result = minimize_on(objective, problem, x0=start, rng=seed, maxfev=maxfev, progress=False)
            except invopt.exceptions.InvoptError as error:
                statuses[type(error).__name__] += 1
                counts.append(math.inf)
                continue
            counts.append(evaluations_to(result, 0.01))
            spent.append(result.nfev)
            statuses[result.status.name] += 1
    solved = sum(math.isfinite(count) for count in counts)
    middle, ends = np.quantile(counts, 0.5, method="higher"), ", ".join(f"{a} {n}" for a, n in statuses.most_common())
    print(
        f"{name:7} {case:32} {solved} of {len(counts)}, median {middle:.0f}, worst {max(counts):.0f}; "
        f"spent {np.median(spent):.0f}; {ends}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--cases", nargs="+")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--maxfev", type=int, default=300)
    arguments = parser.parse_args()
    for name in arguments.tasks:
        for case, make in (CASES | (OF_SHADOW if name == "SHADOW" else {})).items():
            if arguments.cases is None or case in arguments.cases:
                seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
                measure(name, case, make, seeds, arguments.maxfev)


if __name__ == "__main__":
    main()
