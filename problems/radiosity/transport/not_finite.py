"""What in a scene gives light that is not finite. Import with a backend active."""

from __future__ import annotations

from typing import Any

import drjit
import mitsuba
import numpy as np

__all__ = ["PLACES", "not_finite"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Places on each shape, and those from which each emitter is seen.
PLACES = 4096


def not_finite(scene: Any, sampler: Any) -> str:
    """Name the first emitter or BSDF of a scene whose values are not all finite.

    Each is evaluated at random places of its own; empty if all found is finite.

    Parameters
    ----------
    scene : mitsuba.Scene
        A loaded scene.
    sampler : mitsuba.Sampler
        Seeded for 4096 sequences.
    """
    box = scene.bbox()
    at = dr.zeros(mi.SurfaceInteraction3f, PLACES)
    at.p = box.min + (box.max - box.min) * mi.Point3f(sampler.next_1d(), sampler.next_1d(), sampler.next_1d())
    for emitter in scene.emitters():
        _, light = emitter.sample_direction(at, sampler.next_2d())
        if not _is_finite(light):
            where = "".join(f" of shape {shape.id()!r}" for shape in scene.shapes() if shape.emitter() == emitter)
            return f"emitter {emitter.id()!r} ({emitter.class_name()}){where} has a radiance that is not finite"
    for shape in scene.shapes():
        bsdf = shape.bsdf()
        if not mi.has_flag(bsdf.flags(), mi.BSDFFlags.Smooth):
            continue
        point = mi.SurfaceInteraction3f(shape.sample_position(0.0, sampler.next_2d()), dr.zeros(mi.Color0f))
        point.wi = mi.warp.square_to_cosine_hemisphere(sampler.next_2d())
        value = bsdf.eval(mi.BSDFContext(), point, mi.warp.square_to_cosine_hemisphere(sampler.next_2d()))
        if not _is_finite(value):
            return f"BSDF {bsdf.id()!r} ({bsdf.class_name()}) of shape {shape.id()!r} has values that are not finite"
    return ""


def _is_finite(value: Any) -> bool:
    return bool(np.isfinite(np.array(mi.Color3f(value))).all())
