"""Renders until a scene is found from photographs of it, made in many ways.

The Cornell box with seven unknowns: where the small box stands, the colour of the right wall, the radiance of the lamp.
The photographs are four times as fine as the film, have the lamp in view, and are rendered with many samples under
seeds of their own; then they are exposed, saturated, compressed, masked and so on. A run has found the scene if the
position is within 0.01, the colour within 0.03 and the radiance within 5 %. Printed are, for each seed, the errors of
the answer, all renders, those after which the iterates stay within the tolerances, and the root mean square of error /
error bar. Medians count a run that never finds the scene as infinite. Settings were chosen on seeds from 1000 up.

    python tests/benchmarks/photographs.py --cases png jpeg --seeds 0 10
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import invopt
from invopt import problems
from invopt.problems.scenes.picture_cache import cached_pictures
from invopt.rendering import Color, Photograph, Translation, Value, activate

# Width of the film and of the photographs, and samples per pixel.
FILM, FINE, SPP, FINE_SPP = 64, 256, 16, 128
POSITION, WALL, LAMP = "small-box.translation", "green.reflectance", "light.emitter.radiance"
TRUTH = {POSITION: (0.25, 0.20), WALL: (0.15, 0.20, 0.60), LAMP: (14.0, 10.0, 5.0)}
TOLERANCES = {POSITION: 0.01, WALL: 0.03, LAMP: 0.05}
EXPOSURE, VIGNETTING, QUALITY = 0.7, 0.03, 85
MAXFEV = 120


def box(width, *, known=(), **film):
    """Cornell box with two cameras; with the wall or the lamp of the truth if they are `known`."""
    import mitsuba as mi

    scene = mi.cornell_box()
    scene["sensor"]["film"] |= {"width": width, "height": width} | film
    view = mi.ScalarTransform4f().look_at(origin=[1.5, 1, 3.4], target=[0, -0.1, 0], up=[0, 1, 0])
    scene["second"] = scene["sensor"] | {"to_world": view}
    if WALL in known:
        scene["green"]["reflectance"]["value"] = list(TRUTH[WALL])
    if LAMP in known:
        scene["light"]["emitter"]["radiance"]["value"] = list(TRUTH[LAMP])
    return scene


def bindings(case):
    position = Translation("small-box", axes="xz", bounds=(-0.5, 0.5))
    if case == "luminance":
        # It does not tell colours apart.
        return [position, Value(LAMP, log=True)]
    return [position, Color(WALL), *([] if case == "exposure" else [Color(LAMP)])]


def pictures(seed, sensors):
    """Linear pictures at the truth; kept in the cache of rendered pictures."""

    def render():
        facts = {"sensors": sensors, "reference_spp": FINE_SPP, "reference_seed": 2**31 + 1000 + seed}
        truth = problems.Scene(box(FINE), parameters=bindings("all"), x_opt=TRUTH, **facts)
        with truth.open() as live:
            return live.reference

    joined = cached_pictures(f"photographs-{FINE}-{FINE_SPP}-{len(sensors)}-{seed}", render)
    return list(np.split(joined, len(sensors), axis=1))


def encoded(light, bits=8):
    clipped = np.clip(light, 0.0, 1.0)
    srgb = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.round(srgb * (2**bits - 1)).astype(f"u{bits // 8}")


def plain(light, folder):
    """A saturated picture as a target of its own, not as a photograph."""
    numbers = encoded(light) / 255
    decoded = np.where(numbers <= 0.04045, numbers / 12.92, ((numbers + 0.055) / 1.055) ** 2.4)
    return decoded.reshape(FILM, FINE // FILM, FILM, FINE // FILM, 3).mean((1, 3))


def png(light, folder):
    Image.fromarray(encoded(light)).save(folder / "photo.png")
    return Photograph(folder / "photo.png")


def jpeg(light, folder, **facts):
    Image.fromarray(encoded(EXPOSURE * light)).save(folder / "photo.jpg", quality=QUALITY)
    return Photograph(folder / "photo.jpg", **facts)


def vignetting(light, folder):
    place = np.linspace(-1, 1, len(light))
    square = (place[:, None] ** 2 + place[None, :] ** 2) / 2
    return png(light * (1 - VIGNETTING * square)[:, :, None], folder)


def alpha(light, folder):
    """A quarter of the picture shows something else, and is transparent."""
    pixels = np.dstack([encoded(light), np.full(light.shape[:2], 255, np.uint8)])
    pixels[: FINE // 2, : FINE // 2] = (255, 0, 0, 0)
    Image.fromarray(pixels).save(folder / "photo.png")
    return Photograph(folder / "photo.png")


CASES = {
    "plain png": plain,
    "hdr": lambda light, folder: Photograph(light),
    "png": png,
    "jpeg": jpeg,
    # The exposure is unknown, and the lamp known; both are unknown.
    "exposure": lambda light, folder: jpeg(light, folder, exposure="unknown"),
    "exposure and lamp": lambda light, folder: jpeg(light, folder, exposure="unknown"),
    "vignetting": vignetting,
    "16 bits": lambda light, folder: Photograph(encoded(light, 16)),
    "alpha": alpha,
    "luminance": lambda light, folder: Photograph(light, saturation=1.0),
    "two views": png,
}


def errors(found, exposure):
    """Largest errors of position, colour and radiance; the photograph has the last one times the exposure."""
    found = {name: np.ravel(value) for name, value in found.items()}
    truth = TRUTH | {LAMP: exposure * np.array(TRUTH[LAMP])}
    if LAMP in found and found[LAMP].size == 1:
        truth[LAMP] = np.mean(truth[LAMP], keepdims=True)
    scale = {LAMP: truth[LAMP]}
    return {name: np.abs(found[name] - truth[name]) / scale.get(name, 1.0) for name in found if name in truth}


def within(each):
    return all(each[name].max() <= TOLERANCES[name] for name in each)


def run(case, seed, loss):
    sensors = (0, 1) if case == "two views" else (0,)
    film = {"pixel_format": "luminance"} if case == "luminance" else {}
    activate()
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        targets = []
        for number, light in enumerate(pictures(seed, sensors)):
            (Path(folder) / str(number)).mkdir()
            targets.append(CASES[case](light.astype(np.float32), Path(folder) / str(number)))
        scene = box(FILM, known={"luminance": (WALL, LAMP), "exposure": (LAMP,)}.get(case, ()), **film)
        problem = problems.Scene(scene, parameters=bindings(case), target=targets, sensors=sensors, spp=SPP, loss=loss)
        start = problem.starts(np.random.default_rng(seed), 1)[0]
        began = time.perf_counter()
        res = invopt.minimize(problem, x0=start, rng=seed, maxfev=MAXFEV)
        seconds = time.perf_counter() - began
        exposure = EXPOSURE if case == "jpeg" else 1.0
        along = [within(errors(problem.layout.decode(x), exposure)) for x in res.history.x]
        if case == "exposure and lamp":
            # Only the product of exposure and radiance is in the photograph, and it is known at the answer only.
            exposure, along = EXPOSURE / res.parameters["exposure"], []
    found = errors(problem.layout.decode(res.x), exposure)
    if case == "exposure":
        found[LAMP] = np.abs([res.parameters["exposure"] / EXPOSURE - 1])
    bars = np.full(problem.n, np.nan) if res.x_standard_error is None else res.x_standard_error
    reached = next((res.history.nfev[i] for i in range(len(along)) if all(along[i:])), np.inf if along else np.nan)
    ratios = np.concatenate([np.ravel(found[name]) for name in (POSITION, WALL) if name in found])
    return found | {
        "renders": res.nfev,
        "reached": reached,
        "bars": float(np.sqrt(np.mean((ratios / bars[: ratios.size]) ** 2))),
        "seconds": seconds,
        "status": res.status.name,
        "found": within(found),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 10))
    parser.add_argument("--loss", default="mse")
    options = parser.parse_args()
    print(f"{'case':18} {'found':>8} {'reached':>8} {'renders':>8}  median errors, error / bar, seconds")
    for case in options.cases:
        rows = []
        for seed in range(*options.seeds):
            row = run(case, seed, options.loss)
            rows.append(row)
            worst = [f"{row[name].max():.4f}" for name in TRUTH if name in row]
            print(f"  {seed:4} {row['status']:12} {row['reached']:6} {row['renders']:6} {' '.join(worst)}", flush=True)
        middle = [f"{np.median([row[name].max() for row in rows]):.4f}" for name in TRUTH if name in rows[0]]
        bars = [row["bars"] for row in rows if np.isfinite(row["bars"])]
        print(
            f"{case:18} {sum(row['found'] for row in rows):3} of {len(rows):2} "
            f"{np.median([row['reached'] for row in rows]):8.0f} {np.median([row['renders'] for row in rows]):8.0f}  "
            f"{' '.join(middle)}, {np.median(bars) if bars else np.nan:.2f} ({len(bars)}), "
            f"{np.median([row['seconds'] for row in rows]):.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
