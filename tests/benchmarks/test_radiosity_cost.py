"""Seconds per iteration, path tracing in equal time, and memory of neural radiosity; on an idle machine."""

import math
import subprocess
import sys
import time

import pytest

from invopt.problems.radiosity.pictures.metrics import compare
from invopt.rendering import set_threads

from .radiosity_cells import comparison

TIMED = ("full-gradient", "dual-buffer", "weighted-dual-buffer:0.5", "semi-gradient")
pytestmark = pytest.mark.timeout(0)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    set_threads(1)


@pytest.mark.parametrize("name", ["gap-room", "cornell"])
def test_seconds_per_iteration(name):
    compared = comparison(name)
    with compared.problem.open() as live:
        timed = {row["estimator"]: row for row in compared.times(live, TIMED, blocks=5, iterations=10)}
    full = timed["full-gradient"]["median"]
    for label, row in timed.items():
        low, middle, high = (1e3 * value for value in (min(row["blocks"]), row["median"], max(row["blocks"])))
        ratio = row["median"] / full
        print(f"{name:12} {label:24} {middle:.1f} ms ({low:.1f}-{high:.1f}), {ratio:.2f} of the full gradient's")
    assert timed["semi-gradient"]["median"] < 0.75 * full


@pytest.mark.parametrize("name", ["gap-room", "cornell-nee"])
def test_equal_time_with_path_tracing(name):
    """Compare with path tracing in the time that training and rendering take."""
    compared = comparison(name)
    with compared.problem.open() as live:
        size, truth = compared.size(live), compared.truth(live)
        mask = live.emitting_pixels(size=size)
        result, rows = compared.train(live, "semi-gradient", 0)
        trained = rows[-1]["seconds"]
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
    # The extrapolation assumes that the error is inversely proportional to the number of paths.
    assert traced_mse[16] / traced_mse[64] == pytest.approx(4, rel=0.5)


def path_tracing(live, truth, mask, size):
    """MSE times seconds of path tracing, which does not depend on the paths, and MSE by paths per pixel."""
    live.trace(spp=16, seed=1, size=size)
    errors = {}
    for spp in (16, 64):
        began = time.perf_counter()
        picture = live.trace(spp=spp, seed=2 + spp, size=size)
        seconds = time.perf_counter() - began
        errors[spp] = compare(picture, truth, mask).mse
    return errors[spp] * seconds, errors


def frames(trained, drawn, traced):
    """After how many pictures the training takes less time than path tracing, if ever."""
    return "never faster" if traced <= drawn else f"faster from {math.ceil(trained / (traced - drawn))} pictures"


MEMORY = """
import sys, invopt
from invopt.problems import NeuralRadiosity
name, points, early, late = sys.argv[1], *map(int, sys.argv[2:])
problem = NeuralRadiosity("gap-room", preset="paper", field="small", n_points=points, n_directions=16)
def note(*, intermediate_result):
    if intermediate_result.nit in (early, late):
        # Not by getrusage, whose value is inherited from the parent process.
        print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
invopt.minimize(problem, name, rng=0, maxiter=late, callback=note, progress=False)
"""


def peaks(name, points, early, late):
    """Peak memory of a new process after these steps, in MiB."""
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
