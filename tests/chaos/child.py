"""One run in a process of its own, to be killed: every finished evaluation is noted in a file as soon as it is there.

``python child.py TASK JOURNAL NOTES [OPTIONS]`` prints a line of JSON: status, nfev, replayed, a digest of the result.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time

import numpy as np

import invopt
from invopt import estimators, optimizers, problems
from invopt.core import objective
from invopt.core.identity import digest

# Chance that an evaluation of a faulty task raises, or is nan, or inf.
FAULTS = (0.06, 0.04, 0.04)


def note(path, x, seed):
    """Append what was evaluated, and when: one write, whole whatever happens to the process."""
    line = f"{time.time():.6f} {np.ascontiguousarray(x).tobytes().hex()} {int(seed)}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with contextlib.suppress(OSError):  # the disk is full: on purpose, below
        os.write(descriptor, line.encode())
    os.close(descriptor)


def _size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


class Slow:
    """A simulator of 5 ms that notes its calls itself, and so in workers too; picklable, and told by content."""

    def __init__(self, notes, *, residuals=False, faulty=False, deadly=None):
        self.notes, self.residuals, self.faulty, self.deadly = str(notes), residuals, faulty, deadly

    def __call__(self, x, seed):
        time.sleep(0.005)
        if self.deadly is not None and not os.path.exists(self.deadly) and _size(self.notes) > 2000:
            open(self.deadly, "w").close()
            os.kill(os.getpid(), 9)
        rng = np.random.default_rng([seed, *np.abs(x * 1e6).astype(int)])
        kind = rng.random()
        value = self.value(x, rng)
        note(self.notes, x, seed)
        if self.faulty and kind < FAULTS[0]:
            raise RuntimeError("a faulty evaluation")
        if self.faulty and kind < sum(FAULTS[:2]):
            return value * np.nan
        return value + np.inf if self.faulty and kind < sum(FAULTS) else value

    def value(self, x, rng):
        if self.residuals:
            t = np.linspace(0, 1, 40)
            return x[0] * np.exp(-x[1] * t) - 2 * np.exp(-t / 2) + 0.01 * rng.standard_normal(40)
        return float(5 * x[0] ** 2 + 5 * x[1] ** 2 + 7.5 * x[0] * x[1] + 0.01 * rng.standard_normal())


def slow(notes, **options):
    residuals = options.get("residuals", False)
    return problems.Function(fun=Slow(notes, **options), x0=[2.0, 1.5], sigma=0.5, seeded=True, residuals=residuals)


# Problem, estimator, method, budget.
TASKS = {
    "quad": lambda notes: (problems.Quadratic(), None, None, 3000),
    "quad-paper": lambda notes: (problems.Quadratic(), "aggregate-hvp", "fletcher-reeves-cg", 3000),
    "box2": lambda notes: (problems.Box2(resolution=60), None, None, 500),
    "box10": lambda notes: (problems.Box10(resolution=60), None, None, 600),
    "mug": lambda notes: (problems.Mug(size="tiny"), None, None, 120),
    "shadow": lambda notes: (problems.Shadow(size="tiny"), None, None, 160),
    "bunny": lambda notes: (problems.Bunny(size="tiny"), None, None, 160),
    "texture": lambda notes: (problems.Texture(size="tiny"), None, None, 300),
    "mug-autodiff": lambda notes: (problems.Mug(size="tiny"), "fr22", "adam", 160),
    "values": lambda notes: (slow(notes), None, None, 250),
    "residuals": lambda notes: (slow(notes, residuals=True), None, None, 250),
    "cmaes": lambda notes: (slow(notes), "function-value", optimizers.CMAES(), 200),
    "nelder-mead": lambda notes: (slow(notes), "function-value", optimizers.Scipy("nelder-mead"), 200),
    "spsa": lambda notes: (slow(notes), estimators.SPSA(), "adam", 200),
    "faulty": lambda notes: (slow(notes, faulty=True), estimators.SharedSamples(n_samples=8), "newton-cg", 250),
    "faulty-search": lambda notes: (slow(notes, faulty=True), "function-value", optimizers.CMAES(), 200),
    "faulty-residuals": lambda notes: (slow(notes, residuals=True, faulty=True), None, None, 250),
}


def main():
    task, journal, notes = sys.argv[1:4]
    options = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    problem, estimator, method, maxfev = TASKS[task](notes)
    if (deadly := options.pop("deadly", None)) is not None:
        problem = slow(notes, deadly=deadly)
    if not isinstance(problem, problems.Function):
        asked = objective.ask

        def ask(objective, name, chunk, **rest):
            values = asked(objective, name, chunk, **rest)
            for row, seed in zip(chunk.rows, chunk.seeds, strict=True):
                note(notes, row.numpy(), seed)
            return values

        objective.ask = ask
    limit, options["callback"] = options.pop("limit", None), None
    if limit is not None:
        options["callback"] = full_disk(limit)
    x0 = problem.starts(np.random.default_rng(1), 1)[0]
    result = invopt.minimize(
        problem,
        estimator,
        method,
        x0=x0,
        rng=7,
        maxfev=maxfev,
        journal=None if journal == "-" else journal,
        failures="nan" if task.startswith("faulty") else "raise",
        **options,
    )
    # A signal that comes after the run is none of its business.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    columns = [result.history[name] for name in ("x", "fun", "sigma", "nfev")]
    bits = digest([result.x, float(result.fun), str(result.status), int(result.nfev), *columns], "the result")
    said = {"status": result.status.name, "nfev": int(result.nfev), "replayed": result.n_replayed, "bits": bits}
    print(json.dumps(said), flush=True)


def full_disk(limit):
    """A callback after which no file of this process may grow: from the iteration on that is given."""
    import resource

    def fill(*, intermediate_result):
        if intermediate_result.nit == limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    return fill


if __name__ == "__main__":
    main()
