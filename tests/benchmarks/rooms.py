"""Neural radiosity with its defaults in seven rooms, twenty CPU-seconds of training each; a script.

    python tests/benchmarks/rooms.py [--scenes gap-room door] [--seeds 0 1 2] [--seconds 20] [--set sampling='"bsdf"']

The rooms "windows" and "gallery" are those of which no setting was chosen. Each training has a process and a thread of
its own, and ends after CPU-seconds: what opening, compiling and checking take is not counted. The table has errors of
the left side, of 64 rays through each pixel, and of the right side, of 4 rays with 4 directions; the energy of the left
side by the check without a reference; all as the median over the seeds and their range. Failures count as infinite.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from rooms_scenes import SCENES

LONGER_SIDE, REFERENCE_SPP = 64, 2048
COLUMNS = ("mse", "energy", "flip", "rhs_mse", "rhs_energy", "check", "check_error", "nit")


class CpuClock:
    """Callback that ends a run after so many CPU-seconds of this process, counted from its first call."""

    def __init__(self, seconds):
        self.seconds, self.began = seconds, None

    def __call__(self, *, intermediate_result):
        now = time.process_time()
        self.began = now if self.began is None else self.began
        if now - self.began >= self.seconds:
            raise StopIteration


def pilot(live, problem, iterations=40):
    """Iterations of the problem within a CPU-second, after those that compile."""
    from invopt.plugin import minimize_on

    minimize_on(live, problem, rng=10**6, maxiter=iterations // 2, progress=False)
    began = time.process_time()
    minimize_on(live, problem, rng=10**6, maxiter=iterations, progress=False)
    return (iterations + 1) / (time.process_time() - began)


def train(name, seed, seconds, changes):
    """Train once and return the errors."""
    from invopt import BudgetDecay
    from invopt.optimizers import Adam
    from invopt.plugin import minimize_on
    from invopt.problems import NeuralRadiosity
    from invopt.problems.radiosity.pictures.metrics import compare, flip
    from invopt.problems.radiosity.pictures.reference import reference
    from invopt.rendering import set_threads

    set_threads(1)
    lr = changes.pop("lr", None)
    ignore = {"media": "ignore"} if name == "hall" else {}
    problem = NeuralRadiosity(SCENES[name], **ignore | changes | {"energy_check": False})
    method = None if lr is None else Adam(lr=BudgetDecay(lr))
    with problem.open() as live:
        width, height = live.transport.size(0)
        scale = LONGER_SIDE / max(width, height)
        size = (round(width * scale), round(height * scale))
        # A number of iterations, not of seconds, so that a seed has its bits again on the same machine.
        maxiter = max(1, round(seconds * pilot(live, problem)))
        x0 = problem.starts(np.random.default_rng(seed), 1)[0]
        result = minimize_on(
            live, problem, None, method, x0=x0, rng=seed, maxiter=maxiter, callback=CpuClock(seconds), progress=False
        )
        truth = reference(live, spp=REFERENCE_SPP, size=size)
        emitting = live.emitting_pixels(size=size)
        left = live.render(result.x, spp=64, size=size, seed=1)
        right = live.render(result.x, side="rhs", spp=4, n_directions=4, size=size, seed=2)
        found, rhs = compare(left, truth, emitting), compare(right, truth, emitting)
        check = live.energy(result.x, seed=3)
    return {
        "mse": found.mse,
        "energy": found.energy,
        "flip": flip(left, truth),
        "rhs_mse": rhs.mse,
        "rhs_energy": rhs.energy,
        "check": check.lhs,
        "check_error": check.lhs_standard_error,
        "nit": result.nit,
    }


def measured(name, seed, seconds, changes):
    """Errors of a training in a process of its own; infinite if it fails."""
    command = [sys.executable, __file__, "--one", name, str(seed), str(seconds), json.dumps(changes)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return dict.fromkeys(COLUMNS, math.inf)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--scenes", nargs="*", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON", dest="changes")
    given = parser.parse_args()
    if given.one:
        name, seed, seconds, changes = given.one
        warnings.simplefilter("ignore")
        print(json.dumps(train(name, int(seed), float(seconds), json.loads(changes))))
        return
    changes = {key: json.loads(text) for key, _, text in (setting.partition("=") for setting in given.changes)}
    print(f"{'scene':12} {'n':>2}", *(f"{column:>26}" for column in COLUMNS))
    for name in given.scenes:
        if SCENES[name] is None:
            print(f"{name:12} INVOPT_DATA_DIR has no such scene")
            continue
        rows = [measured(name, seed, given.seconds, changes) for seed in given.seeds]
        values = {column: sorted(row[column] for row in rows) for column in COLUMNS}
        cells = [f"{np.median(v):.4g} ({v[0]:.4g}-{v[-1]:.4g})" for v in values.values()]
        print(f"{name:12} {len(rows):2}", *(f"{cell:>26}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
