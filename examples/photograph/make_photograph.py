"""Make photo.jpg: the crate moved and turned, the wall painted, and a red ball that room.xml does not have.

The picture is six times as fine as the film of the scene. It is exposed, darkened towards its corners by the lens,
given the noise of a sensor, saturated, and compressed.

    python examples/photograph/make_photograph.py
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from invopt import problems
from invopt.rendering import Color, Rotation, Translation

FOLDER = Path(__file__).parent
WIDTH, HEIGHT, SAMPLES = 384, 288, 256
TRUTH = {"crate.translation": (-0.5, 0.45), "crate.rotation": 25.0, "wall.bsdf.reflectance": (0.25, 0.45, 0.35)}
EXPOSURE, VIGNETTING, READ_NOISE, SHOT_NOISE, QUALITY = 0.6, 0.03, 0.003, 0.0004, 85
OTHER = """<shape type="sphere" id="other">
    <transform name="to_world"><scale value="0.25"/><translate x="1.35" y="0.7" z="0.25"/></transform>
    <bsdf type="diffuse"><rgb name="reflectance" value="0.7, 0.15, 0.1"/></bsdf>
  </shape>"""


def main() -> None:
    """Render the room at the truth and photograph it."""
    document = ElementTree.parse(FOLDER / "room.xml")
    document.getroot().append(ElementTree.fromstring(OTHER))
    document.write(FOLDER / "truth.xml")
    parameters = [
        Translation("crate", axes="xy"),
        Rotation("crate", axis=(0, 0, 1)),
        Color("wall.bsdf.reflectance"),
    ]
    size = {"width": WIDTH, "height": HEIGHT}
    truth = problems.Scene(
        FOLDER / "truth.xml", parameters=parameters, x_opt=TRUTH, variables=size, reference_spp=SAMPLES
    )
    with truth.open() as live:
        light = EXPOSURE * live.reference.astype(np.float64)
    (FOLDER / "truth.xml").unlink()
    rows, columns = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    light *= (1 - VIGNETTING * (rows**2 + columns**2) / 2)[:, :, None]
    noise = np.random.default_rng(0).standard_normal(light.shape)
    light = np.clip(light + noise * np.sqrt(READ_NOISE**2 + SHOT_NOISE * light), 0, 1)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    Image.fromarray(np.round(255 * srgb).astype(np.uint8)).save(FOLDER / "photo.jpg", quality=QUALITY)


if __name__ == "__main__":
    main()
