"""Points on both faces of the surfaces of a scene. Import with a backend active."""

from __future__ import annotations

from typing import Any

import drjit
import mitsuba
import numpy as np
from numpy.typing import NDArray

from ..checks import areas

__all__ = ["Points", "lit_shares"]

# Untyped, because their stubs depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Views of each face, so that a share has a standard error of at most 0.5 / sqrt(128) = 0.04; with many faces fewer, but
# at least 32 (0.09), so that all together are about 2^14.
_VIEWS, _FEWEST_VIEWS, _ALL_VIEWS = 128, 32, 2**14
# Paths of each view, and their length.
_PATHS, _DEPTH = 64, 16
# Paths in memory at once.
_PATHS_AT_ONCE = 2**20


class Points:
    """Sampling of points on surfaces that scatter, and directions to see them from.

    The directions are uniform in solid angle.


    Parameters
    ----------
    scene : mitsuba.Scene
        A loaded scene. `SceneError` if it has no such surfaces, or instances.
    dark_density : float
        Points per area of a face without light, in (0, 1]; a face with light everywhere has 1.
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
        """Arrays of Dr.Jit's that a draw reads, beside the scene."""
        return self._surfaces, self._front

    def draw(self, count: int, sampler: Any) -> Any:
        """Draw interactions; one-sided surfaces are seen from their front only."""
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
        # Otherwise it would be drawn and traced anew for each direction.
        dr.eval(point)
        return point

    def _met(self, place: Any, shape: Any) -> Any:
        """Interactions at places of shapes, as a ray meets them.

        A sampled position has no tangents, which brushed metal and bumps need, and on some shapes other texture
        coordinates. If another surface is at the same position, the sampled one is used.
        """
        found = _interaction(place, shape)
        above = found.spawn_ray(place.n).o
        # Twice as far as the place is from above.
        reach = 2 * dr.norm(above - place.p)
        ray = mi.Ray3f(above, -place.n)
        ray.maxt = reach
        met = self.scene.ray_intersect(ray)
        point = dr.select(met.is_valid() & (met.shape == shape), met, found)
        # The end of a ray is rounded more coarsely, and may be outside of a spherical lamp that is seen from inside.
        point.p, point.t = place.p, dr.zeros(mi.Float, dr.width(place.p))
        return point


def lit_shares(scene: Any) -> NDArray[np.float64]:
    """Share of views of each face in which any light is seen, shape (n_shapes, 2).

    Views are uniform by area and solid angle. Faces are front and back.


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
    step = _PATHS_AT_ONCE // _PATHS
    lit = [_lit(scene, ray, first, min(step, faces * views - first)) for first in range(0, faces * views, step)]
    share: NDArray[np.float64] = np.concatenate(lit).reshape(len(scene.shapes()), 2, views).mean(2)
    return share


def _lit(scene: Any, ray: Any, first: int, count: int) -> NDArray[np.bool_]:
    """Whether any path along each ray finds light, shape (count,).

    The rays are `count` ones from number `first` on.
    """
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
