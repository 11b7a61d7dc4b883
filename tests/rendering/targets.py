"""Scenes with a target, and pictures in files, for the tests of targets."""

import numpy as np

from invopt import problems
from invopt.rendering import Translation, activate
from invopt.rendering.backend import two_threads

from .rooms import SIZE, room

PICTURE = np.random.default_rng(0).uniform(0.05, 0.95, (SIZE, SIZE, 3)).astype(np.float32)
LUMINANCE = PICTURE @ [0.212671, 0.715160, 0.072169]


def scene(target, description=room, **facts):
    parameters = Translation("box", axes="x", bounds=(-1, 1))
    return problems.Scene(description, parameters=parameters, target=target, spp=1, **facts)


def reference(target, description=room):
    with scene(target, description).open() as live:
        return live.reference


def filming(**facts):
    described = room()
    described["sensor"]["film"] |= facts
    return described


def write(path, picture, names=None):
    activate()
    import mitsuba as mi

    formats = mi.Bitmap.PixelFormat
    bitmap = mi.Bitmap(picture) if names is None else mi.Bitmap(picture, formats.MultiChannel, names)
    if path.suffix == ".png":
        bitmap = bitmap.convert(component_format=mi.Struct.Type.UInt8, srgb_gamma=True)
    with two_threads():
        bitmap.write(str(path))
    return path
