"""Values only: separable functions, stairs, many parameters, workers, and the time that a run takes itself.

Run with ``python tests/benchmarks/values.py [separable stairs many overhead workers] [--seeds K] [--first-seed S]
[--seconds T]``. Counts are
of evaluations until 1e-3 of the start's value above the minimum is left, and for stairs until the lowest step; runs
that never reach it count as infinite. Seeds from 1000 up are for tuning.
"""

import argparse
import functools
import math
import time

import numpy as np

import invopt

OPTIMUM = 0.3
SEPARABLE = {
    "kinks": lambda z: np.abs(z).sum(),
    "scaled kinks": lambda z: (np.abs(z) * np.logspace(0, 3, len(z))).sum(),
    "roots": lambda z: np.sqrt(np.abs(z)).sum(),
    "quartic": lambda z: (z**4).sum(),
    "ellipsoid": lambda z: (z**2 * np.logspace(0, 6, len(z))).sum(),
    "steps": lambda z: (np.floor(2 * z + 0.5) ** 2).sum(),
    "waves": lambda z: (2 * z**2 + 1 - np.cos(2 * np.pi * z)).sum(),
    "cosh": lambda z: (np.cosh(z) - 1).sum(),
    "kinks and parabolas": lambda z: np.maximum(z**2, np.abs(z)).sum(),
    "oblique kinks": lambda z: np.where(z > 0, 5 * z, -z).sum(),
}
STAIRS = {
    "stairs": lambda z: (np.floor(np.abs(z) + 0.5) ** 2).sum(),
    "fine stairs": lambda z: (np.floor(2 * np.abs(z) + 0.5) ** 2).sum(),
}
MANY = {
    "sphere": lambda z: (z**2).sum(),
    "ellipsoid": lambda z: (z**2 * np.logspace(0, 3, len(z))).sum(),
    "rosenbrock": lambda z: (100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2).sum(),
    "steps": lambda z: (np.floor(np.abs(z) + 0.5) ** 2).sum(),
}


def values_of(fun, x0, method, seed, maxfev):
    """Values of all evaluations, and the processor's seconds of the run without them."""
    values, spent = [], 0.0

    def noted(x):
        nonlocal spent
        began = time.process_time()
        values.append(float(fun(x)))
        spent += time.process_time() - began
        return values[-1]

    options = {"options": {"direc": np.eye(len(x0))}} if method == "powell" else {}
    began = time.process_time()
    # Tolerances of 0: the budget alone ends a run, but those of scipy's methods.
    parts = {"method": method} | options
    invopt.minimize(noted, x0=x0, rng=seed, maxfev=maxfev, gtol=0, xtol=0, progress=False, **parts)
    return np.array(values), time.process_time() - began - spent


def count_to(values, target):
    reached = np.flatnonzero(values <= target)
    return reached[0] + 1 if reached.size else math.inf


def compare(functions, centre, dimensions, seeds, share):
    for n in dimensions:
        for name, fun in functions.items():
            counts = {"portfolio": [], "powell": []}
            for seed in seeds:
                x0 = 1 + 2 * np.random.default_rng(seed).standard_normal(n)
                for method, found in counts.items():
                    values, _ = values_of(lambda x, fun=fun: fun(x - centre), x0, method, seed, 200 * n)
                    found.append(count_to(values, share * values[0]))
            said = "  ".join(
                f"{method} {np.median(found):5.0f} ({sum(map(math.isfinite, found))} of {len(found)})"
                for method, found in counts.items()
            )
            print(f"n = {n:2}  {name:20} {said}", flush=True)


def many(seeds):
    for n, each in [(20, 100), (100, 100), (500, 20)]:
        for name, fun in MANY.items():
            x0 = np.tile([-1.2, 1.0], n // 2) if name == "rosenbrock" else np.full(n, 3.2)
            left = {}
            for method in ("portfolio", "powell", "l-bfgs-b"):
                # scipy's own differences.
                chosen = invopt.optimizers.Scipy("l-bfgs-b", differences=True) if method == "l-bfgs-b" else method
                values, own = values_of(fun, x0, chosen, seeds[0], each * n)
                left[method] = f"{values.min():8.2g} ({1000 * own / len(values):.2f} ms)"
            print(f"n = {n:3}  {name:12} left after {each} n: {left}", flush=True)


def overhead(seeds):
    for n in (2, 20, 500):
        for name in ("rosenbrock", "steps"):
            fun = MANY[name]
            values, own = values_of(fun, np.full(n, -1.2), "portfolio", seeds[0], 20 * n + 400)
            print(
                f"n = {n:3}  {name:12} {1000 * own / len(values):.2f} ms of own time an evaluation, of {len(values)}",
                flush=True,
            )


def mixed(n):
    """Ten functions of n parameters, most of them turned."""
    turn = np.linalg.qr(np.random.default_rng(7).standard_normal((n, n)))[0]
    sums = np.arange(1, n + 1) / 2
    return {
        "sphere": lambda z: (z**2).sum(),
        "ellipsoid": lambda z: ((turn.T @ z) ** 2 * np.logspace(0, 3, n)).sum(),
        "rosenbrock": MANY["rosenbrock"],
        "quartic": lambda z: ((turn.T @ z) ** 4 * np.logspace(0, 1, n)).sum(),
        "cosh": lambda z: (np.cosh((turn.T @ z) * np.logspace(0, 0.5, n)) - 1).sum(),
        "logarithm": lambda z: np.log1p(((turn.T @ z) ** 2 * np.logspace(0, 2, n)).sum()),
        "trid": lambda z: ((z - 1) ** 2).sum() - z[1:] @ z[:-1] + 30,
        "zakharov": lambda z: z @ z + (z @ sums) ** 2 + (z @ sums) ** 4,
        "steps": lambda z: (np.floor(2 * np.abs(z) + 0.5) ** 2).sum(),
        "powers": lambda z: (np.abs(turn.T @ z) ** np.linspace(2, 4, n)).sum(),
    }


def waiting(z, fun, seconds):
    time.sleep(seconds)
    return float(fun(z))


def workers(seeds, seconds):
    """Seconds of a run with an evaluation of so many seconds, to 1e-3 of the descent, in one process and in four."""
    ratios = {"default": [], "portfolio": []}
    for name, fun in mixed(5).items():
        x0 = np.random.default_rng(seeds[0]).uniform(-2, 2, 5)
        best = invopt.minimize(fun, x0=x0, rng=0, maxfev=1000, progress=False).fun
        target, taken = best + 1e-3 * (float(fun(x0)) - best), []
        for method, count in ((None, 1), (None, 4), ("portfolio", 4)):
            done = []

            def reached(*, intermediate_result, done=done, target=target):
                if intermediate_result.history.fun.min() <= target:
                    done.append(intermediate_result.history.seconds[-1])
                    raise StopIteration

            objective = functools.partial(waiting, fun=fun, seconds=seconds)
            options = {"callback": reached, "workers": count, "rng": 0, "maxfev": 400, "progress": False}
            invopt.minimize(objective, x0=x0, method=method, **options)
            taken.append(done[0] if done else math.inf)
        for kind, each in zip(ratios, taken[1:], strict=True):
            ratios[kind].append(taken[0] / each)
        print(f"{name:12} {taken[0]:6.1f} s; 4 workers {taken[1]:6.1f} s, with batch=1 {taken[2]:6.1f} s", flush=True)
    print(
        "times as fast, median of 10: " + ", ".join(f"{kind} {np.median(found):.2f}" for kind, found in ratios.items())
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["separable", "stairs", "many", "overhead", "workers"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.2)
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for part in arguments.parts:
        print(part)
        if part == "separable":
            compare(SEPARABLE, OPTIMUM, [2, 10], seeds, 1e-3)
        elif part == "stairs":
            compare(STAIRS, 0.0, [2, 4], seeds, 0.0)
        elif part == "workers":
            workers(seeds, arguments.seconds)
        else:
            {"many": many, "overhead": overhead}[part](seeds)


if __name__ == "__main__":
    main()
