"""Pieces of scene dictionaries that the tasks share."""

from __future__ import annotations

from typing import Any

__all__ = ["area_light", "camera", "diffuse", "floor", "rgb"]


def rgb(*value: float) -> dict[str, Any]:
    """Colour as Mitsuba takes it."""
    return {"type": "rgb", "value": list(value)}


def diffuse(*value: float) -> dict[str, Any]:
    """Matt material of a colour."""
    return {"type": "diffuse", "reflectance": rgb(*value)}


def floor(bsdf: dict[str, Any], half_width: float = 20.0) -> dict[str, Any]:
    """Ground at z = 0."""
    import mitsuba as mi

    return {"type": "rectangle", "to_world": mi.ScalarTransform4f().scale(half_width), "bsdf": bsdf}


def camera(
    *,
    origin: list[float],
    target: list[float],
    fov: float,
    width: int,
    height: int,
    up: tuple[float, float, float] = (0, 0, 1),
) -> dict[str, Any]:
    """Perspective camera, upright; a sample counts in its own pixel only, so that pixels are independent."""
    import mitsuba as mi

    return {
        "type": "perspective",
        "fov": fov,
        "fov_axis": "larger",
        "to_world": mi.ScalarTransform4f().look_at(origin=origin, target=target, up=list(up)),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
            "component_format": "float32",
        },
        "sampler": {"type": "independent"},
    }


def area_light(
    *,
    origin: list[float],
    target: list[float],
    half_width: float,
    radiance: float,
    weight: float = 1.0,
    up: tuple[float, float, float] = (0, 0, 1),
) -> dict[str, Any]:
    """Square light that faces a point; `weight` is how often it is sampled relative to the others."""
    import mitsuba as mi

    facing = mi.ScalarTransform4f().look_at(origin=origin, target=target, up=list(up))
    return {
        "type": "rectangle",
        "to_world": facing @ mi.ScalarTransform4f().scale(half_width),
        "emitter": {"type": "area", "radiance": rgb(radiance, radiance, radiance), "sampling_weight": weight},
    }
