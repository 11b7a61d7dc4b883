"""Random points on a scene's surfaces. Import with a backend active."""

from __future__ import annotations

from typing import Any

import drjit
import mitsuba
import numpy as np
from numpy.typing import NDArray

from ..scene_checks import areas

__all__ = ["Points", "lit_shares"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Views of a face: at most and at least, and of all faces together, which bounds the time that opening a scene takes.
# With 128 views the standard error of a share is at most 0.044 (binomial).
_MOST_VIEWS, _FEWEST_VIEWS, _ALL_VIEWS = 128, 32, 2**14
# Paths of each view, and their maximum length.
_PATHS_PER_VIEW, _PATH_DEPTH = 64, 16
# Largest number of paths in memory.
_PATHS_AT_ONCE = 2**20


class Points:
    """Random points on surfaces that scatter light, with uniform viewing directions.

    Parameters
    ----------
    scene : mitsuba.Scene
        A loaded scene; `SceneError` if it has no such surface, or instances.
    dark_density : float
        Density of points on a face without light, relative to a face that is lit everywhere, in (0, 1].
    """

    def __init__(self, scene: Any, dark_density: float) -> None:
        self.scene = scene
        area = np.array(areas(scene))
        density = np.ones((len(area), 2))
        if dark_density < 1:
            density = np.maximum(lit_shares(scene), dark_density)
        both = np.array([mi.has_flag(shape.bsdf().flags(), mi.BSDFFlags.BackSide) for shape in scene.shapes()])
        self._surfaces = mi.DiscreteDistribution((area * np.where(both, density.mean(1), density[:, 0])).tolist())
        self._front = mi.Float(density[:, 0] / density.sum(1))

    @property
    def arrays(self) -> tuple[Any, ...]:
        """Arrays that `draw` reads, beside those of the scene."""
        return self._surfaces, self._front

    def draw(self, count: int, sampler: Any) -> Any:
        """Draw interactions; one-sided surfaces are seen from their front only."""
        index = self._surfaces.sample(sampler.next_1d())
        shape = dr.gather(mi.ShapePtr, self.scene.shapes_dr(), index)
        place = shape.sample_position(0.0, sampler.next_2d())
        point = self._interactions(place, shape)
        drawn, front = sampler.next_2d(), dr.gather(mi.Float, self._front, index)
        # The lower half of the unit square is mapped to the upper hemisphere.
        halved = dr.select(drawn.y < front, 0.5 * drawn.y / front, 0.5 + 0.5 * (drawn.y - front) / (1 - front))
        sphere = mi.warp.square_to_uniform_sphere(mi.Point2f(drawn.x, halved))
        both = mi.has_flag(shape.bsdf().flags(), mi.BSDFFlags.BackSide)
        point.wi = dr.select(both, sphere, mi.warp.square_to_uniform_hemisphere(drawn))
        # Otherwise the points would be computed again for each direction.
        dr.eval(point)
        return point

    def _interactions(self, place: Any, shape: Any) -> Any:
        """Return interactions at positions on shapes, as a ray finds them.

        A sampled position has no tangents, which anisotropic BSDFs and bump maps need, and on some shapes other texture
        coordinates. It is used nevertheless where another surface is at the same place.
        """
        found = _interaction(place, shape)
        above = found.spawn_ray(place.n).o
        # Twice the distance of the position from the ray's origin.
        reach = 2 * dr.norm(above - place.p)
        ray = mi.Ray3f(above, -place.n)
        ray.maxt = reach
        met = self.scene.ray_intersect(ray)
        point = dr.select(met.is_valid() & (met.shape == shape), met, found)
        # The end of a ray has a larger rounding error, which can put it outside a spherical lamp seen from inside.
        point.p, point.t = place.p, dr.zeros(mi.Float, dr.width(place.p))
        return point


def lit_shares(scene: Any) -> NDArray[np.float64]:
    """Estimate the lit share of each shape's front and back, (n_shapes, 2).

    It is the share of views, uniform by area and solid angle, from which at least one of several paths finds light.
    """
    faces = 2 * len(scene.shapes())
    views = min(_MOST_VIEWS, max(_FEWEST_VIEWS, _ALL_VIEWS // faces))
    sampler: Any = mi.load_dict({"type": "independent"})
    sampler.seed(0, faces * views)
    face = dr.repeat(dr.arange(mi.UInt32, faces), views)
    shape = dr.gather(mi.ShapePtr, scene.shapes_dr(), face // 2)
    point = _interaction(shape.sample_position(0.0, sampler.next_2d()), shape)
    local = mi.warp.square_to_uniform_hemisphere(sampler.next_2d())
    local.z = dr.select(face % 2 == 0, local.z, -local.z)
    towards = point.to_world(local)
    ray = mi.Ray3f(point.spawn_ray(towards).o, -towards)
    dr.eval(ray)
    step = _PATHS_AT_ONCE // _PATHS_PER_VIEW
    lit = [_lit(scene, ray, first, min(step, faces * views - first)) for first in range(0, faces * views, step)]
    share: NDArray[np.float64] = np.concatenate(lit).reshape(len(scene.shapes()), 2, views).mean(2)
    return share


def _lit(scene: Any, ray: Any, first: int, count: int) -> NDArray[np.bool_]:
    """Return whether any path finds light, for `count` rays from number `first`."""
    sampler: Any = mi.load_dict({"type": "independent"})
    sampler.seed(1 + first, count * _PATHS_PER_VIEW)
    index = first + dr.repeat(dr.arange(mi.UInt32, count), _PATHS_PER_VIEW)
    integrator: Any = mi.load_dict({"type": "path", "max_depth": _PATH_DEPTH, "rr_depth": _PATH_DEPTH})
    radiance, _, _ = integrator.sample(scene, sampler, mi.RayDifferential3f(dr.gather(mi.Ray3f, ray, index)))
    brightest: NDArray[np.float32] = np.array(dr.max(radiance)).reshape(count, _PATHS_PER_VIEW).max(1)
    return brightest > 0


def _interaction(place: Any, shape: Any) -> Any:
    found = mi.SurfaceInteraction3f(place, dr.zeros(mi.Color0f))
    found.shape = shape
    return found
