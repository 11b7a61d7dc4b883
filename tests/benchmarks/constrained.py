"""Constraints: ten problems of Hock and Schittkowski, with and without noise, beside COBYQA.

Run with ``python tests/benchmarks/constrained.py [--seeds K] [--first-seed S] [--noise SHARE] [--all]``. A problem is
solved if the answer violates no constraint by more than 1e-5 and its true value is within 1e-3 of the minimum, relative
to the minimum, or to 1 if that is larger. Every second problem has Gaussian noise, with ``--all`` each one. Seeds from
1000 up are for tuning.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import scipy.optimize

import invopt

sys.path.insert(0, str(Path(__file__).parents[1] / "invopt"))
from hock_schittkowski import PROBLEMS

MAXFEV = 400


def noisy(problem, noise, seed):
    """Function with noise, and the scale of the minimum."""
    scale, rng = max(abs(problem.minimum), 1), np.random.default_rng(seed)
    return (lambda x: problem.fun(x) + noise * scale * rng.standard_normal()) if noise else problem.fun


def violation(problem, x):
    """Largest violation of the constraints, as evaluated here."""
    found = invopt.minimize(problem.fun, x, constraints=problem.constraints, maxfev=1, rng=0, progress=False)
    return found.maxcv


def solved(problem, x):
    """Whether an answer is feasible and within 1e-3."""
    gap = abs(problem.fun(x) - problem.minimum) / max(abs(problem.minimum), 1)
    return violation(problem, x) < 1e-5 and gap < 1e-3


def run(problem, who, noise, seed):
    """Answer and evaluations of one run."""
    fun = noisy(problem, noise, seed)
    arguments = {"bounds": problem.bounds, "constraints": problem.constraints}
    if who == "invopt":
        found = invopt.minimize(fun, problem.x0, rng=seed, maxfev=MAXFEV, progress=False, **arguments)
    else:
        found = scipy.optimize.minimize(fun, problem.x0, method="cobyqa", options={"maxfev": MAXFEV}, **arguments)
    return found.x, found.nfev


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--noise", type=float, default=1e-3)
    parser.add_argument("--all", action="store_true")
    chosen = parser.parse_args()
    print(
        "| problem | noise | invopt | evaluations | COBYQA | evaluations |\n| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    for number, (name, problem) in enumerate(PROBLEMS.items()):
        noise = chosen.noise if chosen.all or number % 2 else 0.0
        seeds = range(chosen.first_seed, chosen.first_seed + (chosen.seeds if noise else 1))
        cells = []
        for who in ("invopt", "cobyqa"):
            runs = [run(problem, who, noise, seed) for seed in seeds]
            count = sum(solved(problem, x) for x, _ in runs)
            cells += [f"{count} of {len(runs)}", f"{np.median([nfev for _, nfev in runs]):.0f}"]
        print(f"| HS{name} | {noise:g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
