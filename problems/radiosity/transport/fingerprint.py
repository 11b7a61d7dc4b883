"""What rays meet in a scene. Import with a backend active."""

from __future__ import annotations

from typing import Any

import drjit
import mitsuba
import numpy as np
from numpy.typing import NDArray

__all__ = ["fingerprint", "is_same"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Rays, and their seed; places from which lights are seen.
_RAYS, _SEED, _PLACES = 512, 0, 8
# Numbers differ by more than rounding if by this share of one plus their size ...
_ROUNDING = 1e-3
# ... and scenes if more than this share of the rays does: at edges a ray may meet one shape or the other, because the
# same scene is loaded with its meshes merged or not.
_SHARE_AT_EDGES = 0.01


def fingerprint(scene: Any, low: NDArray[np.float64], extent: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return what rays in a box meet, and what lights send there; shape (512 + 8, 7).

    A row of a ray has the distance, the diffuse reflectance and the emission that it meets; a row of a place has the
    light of all emitters there. Nothing depends on names, on the order of objects, or on how the scene was loaded.
    """
    rng = np.random.default_rng(_SEED)
    origins = _points(low + extent * rng.random((_RAYS, 3)))
    directions = rng.normal(size=(_RAYS, 3))
    towards = mi.Vector3f(_points(directions / np.linalg.norm(directions, axis=1, keepdims=True)))
    met = scene.ray_intersect(mi.Ray3f(origins, towards))
    facing = mi.SurfaceInteraction3f(met)
    facing.wi = mi.Vector3f(0, 0, 1)
    albedo = dr.select(met.is_valid(), met.bsdf().eval_diffuse_reflectance(facing), 0)
    distance = dr.select(met.is_valid(), met.t / float(np.max(extent)), 0)
    rows = np.concatenate([np.array(part).reshape(-1, _RAYS) for part in (distance, albedo, _emission(scene, met))])
    lights = _lights(scene, low + extent * rng.random((_PLACES, 3)))
    found: NDArray[np.float32] = np.concatenate([rows.T, np.pad(lights, ((0, 0), (4, 0)))]).astype(np.float32)
    return np.nan_to_num(found, posinf=0.0, neginf=0.0)


def is_same(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    """Return whether two fingerprints are those of one scene, up to rounding."""
    if first.shape != second.shape:
        return False
    differ = (np.abs(first - second) > _ROUNDING * (1 + np.abs(second))).any(1)
    return bool(differ[:_RAYS].mean() <= _SHARE_AT_EDGES and not differ[_RAYS:].any())


def _points(rows: NDArray[np.float64]) -> Any:
    return mi.Point3f(*(mi.Float(np.ascontiguousarray(column, dtype=np.float32)) for column in rows.T))


def _emission(scene: Any, met: Any) -> Any:
    """Light of what rays meet, towards where they come from."""
    return mi.Color3f(met.emitter(scene).eval(met))


def _lights(scene: Any, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of all emitters at places, shape (k, 3), each by a fixed point."""
    total = np.zeros((len(places), 3))
    at = dr.zeros(mi.SurfaceInteraction3f, len(places))
    at.p = _points(places)
    for emitter in scene.emitters():
        _, light = emitter.sample_direction(at, mi.Point2f(0.5, 0.5))
        light = mi.Color3f(light) + dr.zeros(mi.Float, len(places))
        total += np.array(light).reshape(3, -1).T
    return total
