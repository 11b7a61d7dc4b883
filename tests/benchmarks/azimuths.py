"""MUG from any angle: how many of 12 starts are solved at each view, and whether a success is at a wrong angle.

Run with ``python tests/benchmarks/azimuths.py [azimuth ...]``. Starts are uniform over the turn; seeds 0 to 11 give
start and run, and settings were chosen on seeds from 1000 up. A run is solved if its parameter error is at most 1 % of
that of a uniform guess, on average.
"""

import argparse
import collections

import numpy as np

from invopt import minimize, problems

# Mean squared error of a uniform guess on a circle of length 18.
GUESS = 18**2 / 12


def measure(azimuth, seeds, maxfev):
    problem = problems.Mug(azimuth=azimuth)
    solved, wrong, spent, statuses = 0, 0, [], collections.Counter()
    for seed in seeds:
        start = np.random.default_rng(seed).uniform(0, 18, 1)
        result = minimize(problem, x0=start, rng=seed, maxfev=maxfev, progress=False)
        good = problem.parameter_error(result.x) <= 0.01 * GUESS
        solved, wrong = solved + good, wrong + (result.success and not good)
        spent.append(result.nfev)
        statuses[result.status.name] += 1
    ends = ", ".join(f"{status} {count}" for status, count in statuses.most_common())
    print(
        f"azimuth {azimuth:5.1f}: solved {solved} of {len(spent)}; success at a wrong angle {wrong}; "
        f"evaluations {np.median(spent):.0f}; {ends}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("azimuths", nargs="*", type=float, default=[45.0 * i for i in range(8)])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--maxfev", type=int, default=200)
    arguments = parser.parse_args()
    for azimuth in arguments.azimuths:
        measure(azimuth, range(arguments.first, arguments.first + arguments.seeds), arguments.maxfev)


if __name__ == "__main__":
    main()
