"""Rays through specular surfaces. Import with a backend active."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import drjit
import mitsuba

__all__ = ["follow", "is_specular"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Specular surfaces that a ray passes at most: enough for several nested glasses, with two surfaces each.
_MAX_SPECULAR = 12


def follow(scene: Any, ray: Any, sampler: Any, weigh: Callable[[Any], Any] | None = None) -> tuple[Any, Any, Any, Any]:
    """Trace a ray through specular surfaces.

    Parameters
    ----------
    scene : mitsuba.Scene
        A loaded scene.
    ray : Ray3f
        The rays.
    sampler : mitsuba.Sampler
        Random numbers.
    weigh : callable, optional
        Weight of the emission of the first specular surface, which an emitter sample may have found too.

    Returns
    -------
    point : SurfaceInteraction3f
        End of the ray.
    passed, gathered : Color3f
        Throughput and emission of the specular surfaces.
    straight : Bool
        Whether there was no specular surface.
    """
    context, count = mi.BSDFContext(), dr.width(ray)
    passed, gathered = mi.Color3f(dr.ones(mi.Float, count)), mi.Color3f(dr.zeros(mi.Float, count))
    depth, active = dr.zeros(mi.UInt32, count), dr.full(mi.Bool, True, count)

    # Without a shape that emits, the sum stays the literal 0; Dr.Jit refuses to replace it by another one in a loop.
    shines = any(shape.is_emitter() for shape in scene.shapes())

    def going(_sampler: Any, _ray: Any, _passed: Any, _gathered: Any, _depth: Any, active: Any) -> Any:
        return active

    def step(sampler: Any, ray: Any, passed: Any, gathered: Any, depth: Any, active: Any) -> tuple[Any, ...]:
        point = scene.ray_intersect(ray, active)
        specular = active & point.is_valid() & is_specular(point.bsdf().flags())
        if shines:
            emitted = point.emitter(scene).eval(point, specular)
            if weigh is not None:
                emitted *= dr.select(depth == 0, weigh(point), 1)
            gathered[specular] += passed * emitted
        sample, weight = point.bsdf().sample(
            context, point, sampler.next_1d(specular), sampler.next_2d(specular), specular
        )
        passed[specular] *= weight
        ray[specular] = point.spawn_ray(point.to_world(sample.wo))
        depth[specular] += 1
        alive = specular & (depth < _MAX_SPECULAR) & (dr.max(passed) > 0)
        return sampler, ray, passed, gathered, depth, alive

    _, ray, passed, gathered, depth, _ = dr.while_loop(
        (sampler, mi.Ray3f(ray), passed, gathered, depth, active), going, step
    )
    return scene.ray_intersect(ray), passed, gathered, depth == 0


def is_specular(flags: Any) -> Any:
    """Return whether a BSDF with these flags has specular lobes only."""
    smooth = mi.has_flag(flags, mi.BSDFFlags.Smooth)
    delta = mi.has_flag(flags, mi.BSDFFlags.Delta)
    return delta and not smooth if isinstance(smooth, bool) else delta & ~smooth
