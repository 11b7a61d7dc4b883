"""Renders until a scene is found from photographs of it, made in many ways.

The Cornell box, seven unknowns: where the small box stands, the colour of the right wall, the radiance of the lamp. The
photographs are rendered four times as fine as the film with the lamp in view, under a seed of their own, and then
exposed, saturated, compressed, masked and so on. Printed are the errors of the answer, their sizes in error bars, and
the renders.

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
from invopt.rendering import Color, Photograph, Translation, activate

# Width of the film and of the photographs, and samples per pixel.
FILM, FINE, SPP, FINE_SPP = 64, 256, 16, 128
TRUTH = {
    "small-box.translation": (0.25, 0.20),
    "green.reflectance": (0.15, 0.20, 0.60),
    "light.emitter.radiance": (14.0, 10.0, 5.0),
}
TOLERANCES = {"small-box.translation": 0.01, "green.reflectance": 0.03, "light.emitter.radiance": 0.05}
EXPOSURE, VIGNETTING, QUALITY = 0.7, 0.03, 85
MAXFEV = 120


def box(width: int, *, luminance: bool = False, filter_name: str = "gaussian") -> dict:
    import mitsuba as mi

    scene = mi.cornell_box()
    scene["sensor"]["film"] |= {"width": width, "height": width, "rfilter": {"type": filter_name}}
    if luminance:
        scene["sensor"]["film"]["pixel_format"] = "luminance"
    second = dict(scene["sensor"])
    second["to_world"] = mi.ScalarTransform4f().look_at(origin=[1.5, 1, 3.4], target=[0, -0.1, 0], up=[0, 1, 0])
    scene["second"] = second
    return scene


def parameters() -> list:
    return [
        Translation("small-box", axes="xz", bounds=(-0.5, 0.5)),
        Color("green.reflectance"),
        Color("light.emitter.radiance"),
    ]


def statement(scene: dict, **facts) -> problems.Scene:
    return problems.Scene(scene, parameters=parameters(), **facts)


def pictures(seed: int, sensors: tuple[int, ...] = (0,)) -> list[np.ndarray]:
    """Linear pictures at the truth, under a seed of their own; kept in the cache of rendered pictures."""
    facts = {"x_opt": TRUTH, "sensors": sensors, "reference_spp": FINE_SPP, "reference_seed": 2**31 + 1000 + seed}

    def render() -> np.ndarray:
        with statement(box(FINE), **facts).open() as live:
            return live.reference

    joined = cached_pictures(f"photographs-{FINE}-{FINE_SPP}-{len(sensors)}-{seed}", render)
    return list(np.split(joined, len(sensors), axis=1))


def encoded(light: np.ndarray, bits: int = 8) -> np.ndarray:
    clipped = np.clip(light, 0.0, 1.0)
    srgb = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.round(srgb * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def vignetted(light: np.ndarray) -> np.ndarray:
    place = np.linspace(-1, 1, len(light))
    square = (place[:, None] ** 2 + place[None, :] ** 2) / 2
    return light * (1 - VIGNETTING * square)[:, :, None]


def hdr(light, folder):
    return Photograph(light)


def png(light, folder):
    Image.fromarray(encoded(light)).save(folder / "photo.png")
    return Photograph(folder / "photo.png")


def jpeg(light, folder):
    Image.fromarray(encoded(EXPOSURE * light)).save(folder / "photo.jpg", quality=QUALITY)
    return Photograph(folder / "photo.jpg")


def exposed(light, folder):
    jpeg(light, folder)
    return Photograph(folder / "photo.jpg", exposure="unknown")


def vignetting(light, folder):
    return png(vignetted(light), folder)


def deep(light, folder):
    return Photograph(encoded(light, 16))


def alpha(light, folder):
    """A quarter of the picture is another one, and transparent."""
    pixels = np.dstack([encoded(light), np.full(light.shape[:2], 255, np.uint8)])
    pixels[: FINE // 2, : FINE // 2] = (255, 0, 0, 0)
    Image.fromarray(pixels).save(folder / "photo.png")
    return Photograph(folder / "photo.png")


def luminance(light, folder):
    return Photograph(light)


CASES = {
    "hdr": hdr,
    "png": png,
    "jpeg": jpeg,
    "unknown exposure": exposed,
    "vignetting": vignetting,
    "16 bits": deep,
    "alpha": alpha,
    "luminance": luminance,
    "two views": png,
}


def run(case: str, seed: int, loss: str = "mse") -> dict[str, float]:
    activate()
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sensors = (0, 1) if case == "two views" else (0,)
        targets = []
        for number, light in enumerate(pictures(seed, sensors)):
            (Path(folder) / str(number)).mkdir()
            targets.append(CASES[case](light.astype(np.float32), Path(folder) / str(number)))
        problem = statement(
            box(FILM, luminance=case == "luminance"), target=targets, sensors=sensors, spp=SPP, loss=loss
        )
        start = problem.starts(np.random.default_rng(seed), 1)[0]
        began = time.perf_counter()
        res = invopt.minimize(problem, x0=start, rng=seed, maxfev=MAXFEV)
    found, errors, bars = problem.layout.decode(res.x), {}, []
    scale = EXPOSURE if case == "jpeg" else 1.0
    if case == "unknown exposure":
        # Only the product of exposure and radiance is in the photograph.
        scale = EXPOSURE / res.parameters["exposure"]
    unknown = np.full(problem.n, np.nan)
    spread = problem.layout.decode(unknown if res.x_standard_error is None else res.x_standard_error)
    for name, truth in TRUTH.items():
        difference = np.array(found[name]) - np.array(truth) * (scale if name.endswith("radiance") else 1)
        errors[name] = float(np.abs(difference / (truth if name.endswith("radiance") else 1)).max())
        bars.extend(np.abs(difference / spread[name]))
    return errors | {
        "renders": res.nfev,
        "bars": float(np.sqrt(np.mean(np.square(bars)))),
        "seconds": time.perf_counter() - began,
        "status": res.status.name,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 10))
    parser.add_argument("--loss", default="mse")
    options = parser.parse_args()
    for case in options.cases:
        rows = []
        for seed in range(*options.seeds):
            rows.append(run(case, seed, options.loss))
            print(
                f"  {case} {seed}: "
                + ", ".join(f"{k} {v:.4g}" if not isinstance(v, str) else v for k, v in rows[-1].items()),
                flush=True,
            )
        solved = [all(row[name] <= tolerance for name, tolerance in TOLERANCES.items()) for row in rows]
        middle = {name: float(np.median([row[name] for row in rows])) for name in (*TOLERANCES, "renders", "bars")}
        print(
            f"{case}: {sum(solved)} of {len(rows)} solved; medians "
            + ", ".join(f"{k} {v:.3g}" for k, v in middle.items())
        )


if __name__ == "__main__":
    main()
