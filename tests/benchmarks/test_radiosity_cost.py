"""What neural radiosity costs: seconds per iteration, path tracing in the same time, memory; alone on the machine."""

import math
import subprocess
import sys
import time

import numpy as np
import pytest

from invopt import estimators
from invopt.problems.radiosity.pictures.metrics import compare
from invopt.problems.radiosity.pictures.reference import reference
from invopt.problems.radiosity.training import Training, seconds_per_iteration
from invopt.rendering import set_threads

from .radiosity_cells import ESTIMATORS, SIZE, adam, problem

TIMED = ("NR", "DB", "WDB.5", "SG")
pytestmark = pytest.mark.timeout(0)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    set_threads(1)


@pytest.mark.parametrize("name", ["gap-room", "cornell"])
def test_seconds_per_iteration(name):
    posed = problem(name)
    with posed.open() as live:
        chosen = [ESTIMATORS[label] for label in TIMED]
        timed = list(seconds_per_iteration(live, chosen, x0=posed.x0, blocks=5, iterations=10))
    medians = {label: np.median(spent) for label, (_, spent, _) in zip(TIMED, timed, strict=True)}
    for label, (_, spent, _) in zip(TIMED, timed, strict=True):
        ratio = medians[label] / medians["NR"]
        print(
            f"{name:12} {label:6} {1e3 * medians[label]:.1f} ms ({1e3 * min(spent):.1f}-{1e3 * max(spent):.1f}), "
            f"{ratio:.2f} of NR"
        )
    assert medians["SG"] < 0.75 * medians["NR"]


@pytest.mark.parametrize("name", ["gap-room", "cornell-nee"])
def test_equal_time_with_path_tracing(name):
    """The same view in the seconds that training and rendering take, by path tracing."""
    posed = problem(name)
    with posed.open() as live:
        size = (SIZE["width"], SIZE["width"])
        truth, mask = reference(live, spp=SIZE["spp"], size=size), live.emitting_pixels(size=size)
        training = Training(live, truth, every=SIZE["iterations"], spp=8)
        x0 = posed.starts(np.random.default_rng(0), 1)[0]
        result = training.run(estimators.SemiGradient(), adam(name), x0=x0, rng=0, maxiter=SIZE["iterations"])
        trained = training.rows[-1]["seconds"]
        work, traced_mse = path_tracing(live, truth, mask, size)
        print(f"{name}: training {trained:.1f} s; path tracing has MSE {work:.3g} / seconds")
        for side, spp in (("lhs", 8), ("rhs", 1)):
            live.render(result.x, side=side, spp=spp, size=size)
            began = time.perf_counter()
            picture = live.render(result.x, side=side, spp=spp, size=size)
            drawn = time.perf_counter() - began
            mse = compare(picture, truth, mask).mse
            print(
                f"{name} {side}: MSE {mse:.3g} in {drawn:.2f} s; path tracing in that time {work / drawn:.3g}, "
                f"with the training's {work / (trained + drawn):.3g}; as good after {work / mse:.2f} s: "
                f"{frames(trained, drawn, work / mse)}"
            )
    # Noise falls as one over the paths, on which the extrapolation rests.
    assert traced_mse[16] / traced_mse[64] == pytest.approx(4, rel=0.5)


def path_tracing(live, truth, mask, size):
    """MSE times seconds of path tracing, which does not change with the paths per pixel, and MSE by paths."""
    live.trace(spp=16, seed=1, size=size)
    errors = {}
    for spp in (16, 64):
        began = time.perf_counter()
        picture = live.trace(spp=spp, seed=2 + spp, size=size)
        seconds = time.perf_counter() - began
        errors[spp] = compare(picture, truth, mask).mse
    return errors[spp] * seconds, errors


def frames(trained, drawn, traced):
    """After how many pictures the training has paid off, if ever."""
    return "never worth it" if traced <= drawn else f"worth it from {math.ceil(trained / (traced - drawn))} pictures on"


MEMORY = """
import sys, invopt
from invopt.problems import NeuralRadiosity
name, points, early, late = sys.argv[1], *map(int, sys.argv[2:])
problem = NeuralRadiosity("gap-room", field="small", n_points=points, n_directions=16)
def note(*, intermediate_result):
    if intermediate_result.nit in (early, late):
        # What getrusage says is inherited from the process that started this one.
        print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
invopt.minimize(problem, name, rng=0, maxiter=late, callback=note, progress=False)
"""


def peaks(name, points, early, late):
    """Peaks of a process of its own after so many steps, in MiB."""
    command = [sys.executable, "-c", MEMORY, name, str(points), str(early), str(late)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = tuple(float(kibibytes) / 2**10 for kibibytes in done.stdout.split())
    print(f"{name}, {points} points: peak {found[0]:.0f} MiB after {early} steps, {found[1]:.0f} MiB after {late}")
    return found


def test_memory_is_flat():
    early, late = peaks("semi-gradient", 512, 100, 2000)
    assert late < 1.05 * early + 20


def test_memory_is_less_than_the_full_gradients():
    assert peaks("semi-gradient", 16384, 2, 6)[1] < 0.9 * peaks("full-gradient", 16384, 2, 6)[1]
