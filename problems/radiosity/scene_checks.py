"""Requirements of neural radiosity on a scene. Import with a backend active."""

from __future__ import annotations

from typing import Any

import drjit
import mitsuba
import numpy as np

from invopt.exceptions import SceneError

__all__ = ["areas", "check_emitters", "check_media"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba


def areas(scene: Any) -> list[float]:
    """Return the area of each surface that scatters light, 0 for the others."""
    areas = []
    for shape in scene.shapes():
        smooth = mi.has_flag(shape.bsdf().flags(), mi.BSDFFlags.Smooth)
        try:
            area = float(dr.ravel(mi.Float(shape.surface_area()))[0])
        except RuntimeError:
            raise SceneError(
                f"shape {shape.id()!r} ({shape.class_name()}) has no area to draw points from: neural radiosity takes "
                f"meshes and simple shapes, but no instances or curves"
            ) from None
        areas.append(area if smooth and np.isfinite(area) else 0.0)
    if not sum(areas) > 0:
        raise SceneError("the scene has no surface with an area that scatters light: there is nothing to train")
    return areas


def check_media(scene: Any) -> None:
    """Raise if there are participating media, around a camera too."""
    for sensor in scene.sensors():
        if sensor.get_medium() is not None:
            raise SceneError(
                f"camera {sensor.id()!r} is inside a participating medium, and neural radiosity has surfaces only: "
                f"media='ignore' leaves media out, as Mitsuba's 'path' integrator does"
            )
    for shape in scene.shapes():
        if shape.is_medium_transition():
            raise SceneError(
                f"shape {shape.id()!r} bounds a participating medium, and neural radiosity has surfaces only: "
                f"media='ignore' leaves media out, as Mitsuba's 'path' integrator does"
            )


def check_emitters(scene: Any, sampling: str) -> None:
    """Raise if there is no light, or a light that the sampling never finds."""
    if not scene.emitters():
        raise SceneError("the scene has no emitter, so every picture of it is black: add a light")
    if sampling in ("nee", "guided"):
        return
    for emitter in scene.emitters():
        if mi.has_flag(emitter.flags(), mi.EmitterFlags.Delta):
            raise SceneError(
                f"light {emitter.id()!r} ({emitter.class_name()}) is a point or a direction, which "
                f"sampling={sampling!r} never finds: use sampling='nee'"
            )
