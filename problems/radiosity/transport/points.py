"""Points on the surfaces of a scene, on either face of each. Import with a backend active."""

from __future__ import annotations

from typing import Any

import drjit
import mitsuba
import numpy as np
from numpy.typing import NDArray

from ..scene_checks import areas

__all__ = ["Points", "lit_shares"]

# Untyped, for what their stubs say depends on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Views of a face that are looked at, fewer where there are many faces; paths of each, and their length.
_VIEWS, _FEWEST_VIEWS, _ALL_VIEWS, _PATHS, _DEPTH = 128, 32, 2**14, 64, 16
# Paths in memory at once.
_CHUNK = 2**20


class Points:
    """Sampling of points on the surfaces that scatter, seen from directions uniform in solid angle.

    Parameters
    ----------
    scene : mitsuba.Scene
        A loaded scene; one without such surfaces, or with instances is a `SceneError`.
    dark_density : float
        Points per area of a face that sends no light, in (0, 1], where one that sends light everywhere has 1.
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
        """What of Dr.Jit's a draw reads, beside the scene."""
        return self._surfaces, self._front

    def draw(self, count: int, sampler: Any) -> Any:
        """Interactions; one-sided surfaces are seen from their bright side only."""
        index = self._surfaces.sample(sampler.next_1d())
        shape = dr.gather(mi.ShapePtr, self.scene.shapes_dr(), index)
        place = shape.sample_position(0.0, sampler.next_2d())
        point = self._met(place, shape)
        drawn, front = sampler.next_2d(), dr.gather(mi.Float, self._front, index)
        # The lower half of the square is the upper hemisphere.
        halved = dr.select(drawn.y < front, 0.5 * drawn.y / front, 0.5 + 0.5 * (drawn.y - front) / (1 - front))
        sphere = mi.warp.square_to_uniform_sphere(mi.Point2f(drawn.x, halved))
        both = mi.has_flag(shape.bsdf().flags(), mi.BSDFFlags.BackSide)
        point.wi = dr.select(both, sphere, mi.warp.square_to_uniform_hemisphere(drawn))
        # Or it would be drawn and traced anew for each of the directions.
        dr.eval(point)
        return point

    def _met(self, place: Any, shape: Any) -> Any:
        """Interactions at places of shapes, as a ray meets them.

        The place itself knows no tangents, which brushed metal and bumps turn with, and on some shapes other texture
        coordinates. Where another surface lies in the same place, it has to do.
        """
        found = _interaction(place, shape)
        above = found.spawn_ray(place.n).o
        # Twice as far as the place is from above.
        reach = 2 * dr.norm(above - place.p)
        ray = mi.Ray3f(above, -place.n)
        ray.maxt = reach
        met = self.scene.ray_intersect(ray)
        point = dr.select(met.is_valid() & (met.shape == shape), met, found)
        # Where a ray ends is rounded more coarsely, enough to be outside of a lamp that is a ball seen from inside.
        point.p, point.t = place.p, dr.zeros(mi.Float, dr.width(place.p))
        return point


def lit_shares(scene: Any) -> NDArray[np.float64]:
    """Share of the views of each shape's front and back, uniform by area and solid angle, in which any light is seen.

    Shape (n_shapes, 2). A view is dark if no path of several finds light from it.
    """
    faces = 2 * len(scene.shapes())
    views = min(_VIEWS, max(_FEWEST_VIEWS, _ALL_VIEWS // faces))
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
    step = _CHUNK // _PATHS
    lit = [_lit(scene, ray, first, min(step, faces * views - first)) for first in range(0, faces * views, step)]
    share: NDArray[np.float64] = np.concatenate(lit).reshape(len(scene.shapes()), 2, views).mean(2)
    return share


def _lit(scene: Any, ray: Any, first: int, count: int) -> NDArray[np.bool_]:
    """Whether any path along each of `count` rays from number `first` on finds light, shape (count,)."""
    sampler: Any = mi.load_dict({"type": "independent"})
    sampler.seed(1 + first, count * _PATHS)
    index = first + dr.repeat(dr.arange(mi.UInt32, count), _PATHS)
    integrator: Any = mi.load_dict({"type": "path", "max_depth": _DEPTH, "rr_depth": _DEPTH})
    radiance, _, _ = integrator.sample(scene, sampler, mi.RayDifferential3f(dr.gather(mi.Ray3f, ray, index)))
    brightest: NDArray[np.float32] = np.array(dr.max(radiance)).reshape(count, _PATHS).max(1)
    return brightest > 0


def _interaction(place: Any, shape: Any) -> Any:
    found = mi.SurfaceInteraction3f(place, dr.zeros(mi.Color0f))
    found.shape = shape
    return found
