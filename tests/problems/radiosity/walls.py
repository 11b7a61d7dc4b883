"""Walls and cameras for the rooms of tests."""

import numpy as np

from invopt.rendering.descriptions import look_at


def room_camera(origin, target, width):
    """A camera that sees what is a hundredth of a unit away, with a picture of square pixels."""
    return {
        "type": "perspective",
        "fov": 60.0,
        "near_clip": 0.01,
        "to_world": look_at(origin, target, (0, 1, 0)),
        "film": {"type": "hdrfilm", "width": width, "height": width, "rfilter": {"type": "box"}},
    }


def wall(middle, facing, up, half_widths, bsdf):
    """A rectangle with one side, so that no point is drawn on its outside."""
    pose = look_at(middle, np.add(middle, facing).tolist(), up)
    return {"type": "rectangle", "to_world": pose @ np.diag([*half_widths, 1.0, 1.0]), "bsdf": bsdf}


def both_sides(bsdf):
    return {"type": "twosided", "bsdf": bsdf}
