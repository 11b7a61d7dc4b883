"""A scene found from the pictures of another renderer: the hall and Tungsten's image of it.

Needs INVOPT_DATA_DIR. Unknown are the radiance of the nine spotlights and the colour of the walls, or the pose of the
camera; the exposure, or the response of the camera too. Tungsten's EXR is linear; its PNG has a filmic curve, that of
Hejl and Burgess-Dawson. Starts are drawn around the file's own values, which are taken as the truth. Printed are the
relative mean square error of the answer, as a ratio to that at the file's values, and the errors of the parameters.

    python tests/benchmarks/hall.py --cases exr png --seeds 0 3
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

import invopt
from invopt import problems
from invopt.rendering import CameraPose, Color, Photograph, Value

FOLDER = Path(os.environ["INVOPT_DATA_DIR"]) / "scenes" / "staircase2"
SIZE, SPP, FINE_SPP, MAXFEV = 64, 16, 256, 90
SPOTS = ["shape.emitter.radiance", *(f"shape_{number}.emitter.radiance" for number in range(2, 10))]
WALLS = "WallBSDF.reflectance"


def filmic(light):
    x = np.maximum(light - 0.004, 0.0)
    return x * (6.2 * x + 0.5) / (x * (6.2 * x + 1.7) + 0.06)


PICTURES = {
    "exr": lambda: Photograph(FOLDER / "TungstenRender.exr", exposure="unknown"),
    "png": lambda: Photograph(FOLDER / "TungstenRender.png", exposure="unknown", response=filmic),
    "unknown": lambda: Photograph(FOLDER / "TungstenRender.png", response="unknown"),
}
UNKNOWNS = {
    "light": lambda: [Value(SPOTS[0], log=True, also=SPOTS[1:]), Color(WALLS)],
    "camera": lambda: [CameraPose("sensor", bounds=[(-0.5, 0.5)] * 3 + [(-5, 5)] * 3)],
}


def run(picture, unknown, seed):
    problem = problems.Scene(
        FOLDER / "scene.xml",
        parameters=UNKNOWNS[unknown](),
        target=PICTURES[picture](),
        loss="mse" if picture == "unknown" else "relative-mse",
        spp=SPP,
        variables={"resx": SIZE, "resy": SIZE},
    )
    truth = problem.x0
    low, high = problem.layout.joined("limits")
    start = (truth + problem.x_scale * np.random.default_rng(seed).uniform(-1.5, 1.5, problem.n)).clip(low, high)
    began = time.perf_counter()
    res = invopt.minimize(problem, x0=start, rng=seed, maxfev=MAXFEV)
    seconds = time.perf_counter() - began
    with problem.open() as live:
        left = [live.developed(x, renders=FINE_SPP // SPP)[0] for x in (truth, start, res.x)]
    squares = [float(np.mean(one.difference**2 / (one.picture**2 + 0.01))) for one in left]
    found = ", ".join(f"{name} {value}" for name, value in problem.readable(res.x).items())
    exposures = ", ".join(f"{one.fitted.get('exposure', np.nan):.3f}" for one in left)
    print(
        f"{picture:8} {unknown:7} {seed:2}: {res.nfev} renders, {seconds:.0f} s, {res.status.name}; relative square "
        f"error at the truth {squares[0]:.4f}, start {squares[1]:.4f}, answer {squares[2]:.4f}, ratio "
        f"{squares[2] / squares[0]:.3f}; exposures {exposures}; {found}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(PICTURES), choices=list(PICTURES))
    parser.add_argument("--unknowns", nargs="+", default=list(UNKNOWNS), choices=list(UNKNOWNS))
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 3))
    options = parser.parse_args()
    for picture in options.cases:
        for unknown in options.unknowns:
            for seed in range(*options.seeds):
                run(picture, unknown, seed)


if __name__ == "__main__":
    main()
