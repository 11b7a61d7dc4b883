"""After how many views a trained field has paid for itself, against path tracing, both denoised; a script.

    python tests/benchmarks/rooms_views.py [--scenes gap-room hall] [--seconds 20] [--width 128]

A view is a picture of the first camera. Path tracing with 1, 2, 4 ... paths through each pixel, and the right side of
the field with 2 rays of 4 directions, are denoised with the same inputs. Seconds are those of the CPU, one thread of
the renderer; the training's count. As many paths as are needed to be as good as the field are found by interpolation on
logarithmic axes, by MSE and by FLIP.
"""

import argparse
import math
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from rooms import CpuClock, pilot
from rooms_scenes import SCENES

PATHS = (1, 2, 4, 8, 16, 32, 64, 128)
REFERENCE_SPP, TRIES = 2048, 3


def timed(make):
    """A picture and its CPU-seconds, the least of a few after one that compiles."""
    make(0)
    best, picture = math.inf, None
    for i in range(1, TRIES + 1):
        began = time.process_time()
        picture = make(i)
        best = min(best, time.process_time() - began)
    return picture, best


def needed(seconds, errors, error):
    """Seconds of path tracing for an error, between two measured ones; infinite if none is as good."""
    for i in range(1, len(errors)):
        if errors[i] <= error <= errors[i - 1]:
            share = math.log(errors[i - 1] / error) / math.log(errors[i - 1] / errors[i])
            return math.exp((1 - share) * math.log(seconds[i - 1]) + share * math.log(seconds[i]))
    return seconds[0] if error >= errors[0] else math.inf


def views(trained, one, traced):
    """Views from which the field is faster, training included."""
    if traced == math.inf:
        return "from 1: path tracing is never as good here"
    return "never" if traced <= one else f"from {math.ceil(trained / (traced - one))}"


def measure(name, seconds, width):
    """Print the errors and the times of a scene."""
    from invopt.plugin import minimize_on
    from invopt.problems import NeuralRadiosity
    from invopt.problems.radiosity.pictures.metrics import compare, flip
    from invopt.problems.radiosity.pictures.reference import reference

    options = {"media": "ignore"} if name == "hall" else {}
    problem = NeuralRadiosity(SCENES[name], energy_check=False, **options)
    with problem.open() as live:
        across, up = live.transport.size(0)
        size = (width, round(width * up / across))
        maxiter = max(1, round(seconds * pilot(live, problem)))
        clock = CpuClock(seconds)
        x = minimize_on(live, problem, rng=0, maxiter=maxiter, callback=clock, progress=False).x
        truth = reference(live, spp=REFERENCE_SPP, size=size)
        emitting = live.emitting_pixels(size=size)

        def errors(picture):
            return compare(picture, truth, emitting).mse, flip(picture, truth)

        field, one = timed(lambda i: live.denoise(live.render(x, side="rhs", spp=2, n_directions=4, size=size, seed=i)))
        mse, seen = errors(field)
        print(f"{name} {size}: field, right side 2 x 4, denoised: MSE {mse:.3g} FLIP {seen:.3f} in {one:.3f} s")
        rows = []
        for spp in PATHS:
            picture, spent = timed(lambda i, spp=spp: live.denoise(live.trace(spp=spp, seed=100 + i, size=size)))
            rows.append((spent, *errors(picture)))
            print(
                f"  path tracing, {spp:3} spp, denoised: MSE {rows[-1][1]:.3g} FLIP {rows[-1][2]:.3f} in {spent:.3f} s"
            )
        times, by_mse, by_flip = (list(column) for column in zip(*rows, strict=True))
        for said, values, own in (("MSE", by_mse, mse), ("FLIP", by_flip, seen)):
            print(
                f"  by {said}, training of {seconds:.0f} s included: {views(seconds, one, needed(times, values, own))}"
            )


def main():
    """Measure each scene."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="*", default=["gap-room", "hall"], choices=list(SCENES))
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--width", type=int, default=128)
    given = parser.parse_args()
    from invopt.rendering import set_threads

    set_threads(1)
    warnings.simplefilter("ignore")
    for name in given.scenes:
        measure(name, given.seconds, given.width)


if __name__ == "__main__":
    main()
