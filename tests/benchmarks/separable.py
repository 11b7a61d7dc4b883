"""What moves and what shades, in one call: evaluations to the answer, and the time of a pass.

``python tests/benchmarks/separable.py [--seeds 10] [--first 0] [--maxfev 100] [--case NAME]``

Errors are sums of squares in units of `x_scale`, relative to the start. Evaluations count a pass, residuals with their
Jacobian, as two; the last column is its measured time in renders. A run counts as solved if the error of what moves is
below 1 % at its end.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from separable_scenes import CASES

import invopt
from invopt import optimizers, problems

# Repetitions of a render and a pass, one after the other.
TIMED = 8


def relative_errors(problem, points, start, columns):
    away = (points - problem.x_opt)[:, columns] / problem.x_scale[columns]
    first = (start - problem.x_opt)[columns] / problem.x_scale[columns]
    return np.square(away).sum(1) / np.square(first).sum()


def first_below(nfev, errors, limit):
    return next((float(n) for n, error in zip(nfev, errors, strict=True) if error < limit), np.inf)


def solved(case, seed, maxfev):
    """Evaluations to 10 % and 1 % of what moves, errors of both kinds at the end, evaluations."""
    problem, rng = case.problem(), np.random.default_rng(seed)
    moves, start = ~problem.shades, problem.x0
    away = 2 * case.spread * problem.x_scale[moves] * rng.uniform(-1, 1, moves.sum())
    start[moves] = np.clip(problem.x_opt[moves] + away, problem.bounds.lb[moves], problem.bounds.ub[moves])
    res = invopt.minimize(problem, method=optimizers.Separable(), x0=start, rng=seed, maxfev=maxfev, progress=False)
    errors = relative_errors(problem, res.history["x"], start, moves)
    ends = [float(relative_errors(problem, res.x[None], start, kind)[0]) for kind in (moves, ~moves)]
    return [first_below(res.history["nfev"], errors, limit) for limit in (0.1, 0.01)] + [*ends, res.nfev]


def of_texture(channels, seed):
    problem = problems.Texture(channels=channels)
    start = problem.starts(np.random.default_rng(seed), 1)[0]
    res = invopt.minimize(problem, x0=start, rng=seed, progress=False)
    points, every = res.history["x"], np.ones(problem.n, dtype=bool)
    errors = relative_errors(problem, points, start, every)
    return [first_below(res.history["nfev"], errors, limit) for limit in (0.01, 0.001)] + [res.nfev]


def seconds_of(live, name, x, seed):
    began = time.process_time()
    if name == "shading":
        live.shading(x, seed=seed)
    else:
        live.residuals(x[None], seed=np.array([seed]))
    return time.process_time() - began


def pass_in_renders(problem):
    """Time of a pass over that of a render, interleaved, medians of CPU seconds."""
    x = torch.from_numpy(problem.x0)
    with problem.open() as live:
        rounds = [[seconds_of(live, name, x, seed) for name in ("residuals", "shading")] for seed in range(2 * TIMED)]
    render, one = np.median(rounds[TIMED:], axis=0)
    return one / render


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--maxfev", type=int, default=100)
    parser.add_argument("--case", default="")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    print("| problem | to 10 % | to 1 % | solved | what moves | what shades | evaluations | a pass in renders |")
    print("|---|---|---|---|---|---|---|---|")
    for name, case in CASES.items():
        if options.case in name:
            rows = np.array([solved(case, seed, options.maxfev) for seed in seeds])
            ten, one, moves, shades, nfev = (statistics.median(column) for column in rows.T)
            count, time_of_one = int((rows[:, 2] < 0.01).sum()), pass_in_renders(case.problem())
            share = f"{count} of {len(seeds)} | {moves:.1e} | {shades:.3f}"
            print(f"| {name} | {ten:g} | {one:g} | {share} | {nfev:g} | {time_of_one:.1f} |", flush=True)
    for channels in (1, 3):
        if options.case in "TEXTURE":
            rows = np.array([of_texture(channels, seed) for seed in seeds])
            one, tenth, nfev = (statistics.median(column) for column in rows.T)
            print(
                f"TEXTURE, {channels} channels: {one:g} evaluations to 1 %, {tenth:g} to 0.1 %, {nfev:g} in all",
                flush=True,
            )


if __name__ == "__main__":
    main()
