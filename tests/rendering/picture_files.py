"""One picture in files of every supported format."""

import numpy as np

from invopt.rendering import activate
from invopt.rendering.backend import two_threads
from invopt.rendering.pictures.targets import as_target, read_target

HEIGHT, WIDTH = 32, 24
ROW, COLUMN = np.mgrid[:HEIGHT, :WIDTH]
PICTURE = np.stack([0.5 + 0.4 * np.sin(COLUMN / 5), 0.5 + 0.4 * np.cos(ROW / 7), 0.2 + 0.01 * ROW], axis=2).astype("f4")
LEVELS = (255 * PICTURE).astype(np.uint8)
KINDS = ("exr", "half.exr", "hdr", "pfm", "png", "deep.png", "jpg", "progressive.jpg", "bmp", "tga", "packed.tga")


def make(path):
    """Write the picture as a file of the kind that its name says."""
    from PIL import Image

    activate()
    import mitsuba as mi

    bitmap, image = mi.Bitmap(PICTURE), Image.fromarray(LEVELS)
    first, suffix = path.name.split(".")[0], path.suffix
    if first == "half":
        with two_threads():
            bitmap.convert(component_format=mi.Struct.Type.Float16).write(str(path))
    elif first == "deep":
        bitmap.convert(component_format=mi.Struct.Type.UInt16, srgb_gamma=True).write(str(path))
    elif suffix in (".exr", ".hdr", ".pfm"):
        with two_threads():
            bitmap.write(str(path))
    else:
        options = {"progressive": {"progressive": True}, "packed": {"compression": "tga_rle"}}.get(first, {})
        image.save(path, **options)
    return path


def named(folder, kind):
    return folder / (kind if "." in kind else f"picture.{kind}")


def pixels(path):
    return read_target(as_target(path))
