"""Sampling of light transport in a scene. Import with a backend active."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import drjit
import mitsuba
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import SceneError
from invopt.rendering.recorded import Recorded

from ..fields.query import Incident, Query
from ..scene_checks import check_emitters, check_media
from . import specular
from .cameras import camera_of, film_size, rays
from .directions import Directions
from .guiding import Lobes
from .light_paths import LightPaths, light_paths
from .mixture import Mixture
from .not_finite import PLACES, not_finite
from .points import Points
from .specular import is_specular
from .tensors import tensor, tensors
from .view_points import ViewPoints

__all__ = ["Transport"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Smallest side of the bounding box, of flat scenes: positions are divided by it.
_SMALLEST_EXTENT = 1e-9
# Path length from which references use Russian roulette: longer paths contribute little.
_ROULETTE_DEPTH = 24
# Local direction from which diffuse reflectance is evaluated, 30 degrees from the normal.
_ALBEDO_DIRECTION = (0.353553, 0.353553, 0.866025)


class Transport:
    """Sampling of light transport in a scene.

    Parameters
    ----------
    scene : mitsuba.Scene
        A loaded scene; `SceneError` if it has media, instances, or no surface that scatters light.
    sampling : {"uniform", "bsdf", "nee", "guided"}
        How incident directions are drawn.
    media : {"refuse", "ignore"}, default "refuse"
        What to do with participating media.
    bounces : int, default 1
        Reflections on the right side before the field is evaluated.
    dark_density : float, default 1
        See `Points`.
    sensors : sequence of int or dict, optional
        Cameras where points are drawn, see `ViewPoints`; an empty one stands for all of the scene. None: points are
        drawn by area, and positions are relative to the scene's bounding box.
    box : (ndarray, ndarray), optional
        Lowest corner and size of the box that positions are relative to; by default chosen by the points.
    """

    def __init__(
        self,
        scene: Any,
        sampling: str,
        media: str = "refuse",
        bounces: int = 1,
        dark_density: float = 1.0,
        sensors: Sequence[Any] | None = None,
        box: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> None:
        self.scene = scene
        self.bounces = bounces
        self._directions = Directions(scene, sampling)
        self._sampler = mi.load_dict({"type": "independent"})
        if media == "refuse":
            check_media(scene)
        check_emitters(scene, sampling)
        self._points: Points | ViewPoints = Points(scene, dark_density)
        self._has_specular = any(is_specular(shape.bsdf().flags()) for shape in scene.shapes())
        whole = scene.bbox()
        self._programs: dict[tuple[int, int], Recorded] = {}
        self._low = np.array(whole.min, dtype=np.float64).ravel()
        self._extent = np.maximum(np.array(whole.max, dtype=np.float64).ravel() - self._low, _SMALLEST_EXTENT)
        if sensors is not None:
            self._look_from(sensors)
        if box is not None:
            self._low, self._extent = box

    def _look_from(self, sensors: Sequence[Any]) -> None:
        """Draw points where cameras look, if they see anything."""
        cameras = [camera_of(self.scene, sensor) for sensor in sensors] or self.scene.sensors()
        found = None
        if cameras:
            assert not isinstance(self._points, ViewPoints)
            points = ViewPoints(self._points, cameras, self.follow, self.is_evaluated)
            found = points.box(self._sampler.clone(), self._low, self._extent)
        if found is None:
            seen = "the cameras see no surface that scatters light" if cameras else "the scene has no camera"
            warnings.warn(f"{seen}: points are drawn by area over the whole scene", UserWarning, stacklevel=2)
            return
        self._points, (self._low, self._extent) = points, found

    @property
    def box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest corner and size of the box that positions are relative to, (3,) each."""
        return self._low, self._extent

    def points(self, count: int, seed: Any) -> Any:
        """Draw points on surfaces that scatter light, with directions towards viewers."""
        return self._points.draw(count, self.seeded(seed, count))

    def batch(self, count: int, m: int, first: int, second: int) -> tuple[Query, Tensor, Incident]:
        """Return points, emission and incident light, by a program traced once.

        The seeds are those of `points` and of `incident`.
        """
        if (count, m) not in self._programs:
            self._programs[count, m] = Recorded(self._program(count, m), late_checks=False)
        seeds = (dr.opaque(mi.UInt32, seed) for seed in (first, second))
        found = self._programs[count, m]((self.scene, *self._points.arrays, self._sampler), *seeds)
        query, emitted, _ = self._as_query(found[:6], count)
        return query, emitted, self._as_incident(found[6:], count * m)

    def _program(self, count: int, m: int) -> Callable[..., list[Any]]:
        def arrays(_read: Any, first: Any, second: Any) -> list[Any]:
            point = self.points(count, first)
            return [*self._query_arrays(point), *self._incident_arrays(point, m, second, None)]

        return arrays

    def light_paths(self, count: int, seed: int) -> LightPaths:
        """Trace paths from the cameras of the points, or else of the scene."""
        views = self._points
        if not isinstance(views, ViewPoints):
            cameras = self.scene.sensors()
            if not cameras:
                raise SceneError("the scene has no camera, from which energies are measured: add one")
            views = ViewPoints(views, cameras, self.follow, self.is_evaluated)
        return light_paths(self, views, count, seed)

    def not_finite(self) -> str:
        """Name what in the scene gives light that is not finite; empty if nothing does."""
        return not_finite(self.scene, self.seeded(0, PLACES))

    def query(self, point: Any) -> tuple[Query, Tensor, Tensor]:
        """Return the field's inputs, emission, and where the field is evaluated.

        The shapes are those of `Query`, (3, k) and (k,).
        """
        return self._as_query(self._query_arrays(point), dr.width(point.p))

    def incident(self, point: Any, m: int, seed: int, lobes: Lobes | None = None) -> Incident:
        """Return incident light at interactions from `m` directions each."""
        return self._as_incident(self._incident_arrays(point, m, seed, lobes), dr.width(point.p) * m)

    def _query_arrays(self, point: Any) -> list[Any]:
        emitted, asked = point.emitter(self.scene).eval(point), self.is_evaluated(point)
        return [*self.field_inputs(point), emitted, asked]

    def _incident_arrays(self, point: Any, m: int, seed: Any, lobes: Lobes | None) -> list[Any]:
        count = dr.width(point.p)
        sampler = self.seeded(seed, count * m)
        index = dr.repeat(dr.arange(mi.UInt32, count), m)
        here = dr.gather(type(point), point, index)
        mixture = None if lobes is None else Mixture(lobes, index)
        there, weight, known, direct, direction = self.bounce(here, sampler, mixture)
        for _ in range(self.bounces - 1):
            goes_on = weight != 0
            there, further, found, sampled, _ = self.bounce(there, sampler, None)
            known += dr.select(goes_on, weight * (found + sampled), 0)
            weight = dr.select(goes_on, weight * further, 0)
        return [*self.field_inputs(there), weight, known, direct, direction]

    def bounce(self, here: Any, sampler: Any, mixture: Mixture | None = None) -> tuple[Any, Any, Any, Any, Any]:
        """Trace one direction from each interaction.

        Returns the interaction there, the weight of the field there, its emission, the light of an emitter sample, all
        as reflected here, and the direction.
        """
        drawn = self._directions.draw(here, sampler, mixture)
        direction = here.to_world(drawn.wo)
        direct = mi.Color3f(0)
        weigh: Callable[[Any], Any] | None = None
        if self._directions.with_emitters:
            direct = self._directions.next_event(here, sampler, mixture)
            weigh = partial(self._directions.weight_of_hit, here, drawn.density)
        there, passed, gathered, straight = self.follow(here.spawn_ray(direction), sampler, weigh)
        emitted = there.emitter(self.scene).eval(there)
        if weigh is not None:
            emitted *= dr.select(straight, weigh(there), 1)
        known = drawn.factor * (gathered + passed * emitted)
        weight = dr.select(self.is_evaluated(there), drawn.factor * passed, 0)
        return there, weight, known, direct, direction

    @staticmethod
    def _as_query(arrays: list[Any], count: int) -> tuple[Query, Tensor, Tensor]:
        *described, emitted, asked = tensors(arrays, count)
        return Query(*described), emitted, asked[0]

    @staticmethod
    def _as_incident(arrays: list[Any], count: int) -> Incident:
        found = tensors(arrays, count)
        return Incident(Query(*found[:4]), *found[4:])

    def camera(
        self, sensor: Any, first: int, pixels: int, spp: int, seed: int, size: tuple[int, int] | None = None
    ) -> tuple[Any, Tensor, Tensor]:
        """Return what `pixels` pixels from number `first` see, with `spp` rays each.

        Rays pass through specular surfaces. Beside the interactions, the throughput and the emission of these surfaces
        are returned, both of shape (3, pixels * spp); the pixel varies slowest.
        """
        sampler = self.seeded(seed, pixels * spp)
        ray, weight = rays(camera_of(self.scene, sensor), first, pixels, spp, sampler, size)
        point, passed, gathered, _ = self.follow(ray, sampler)
        passed, gathered = passed * weight, gathered * weight
        dr.eval(point, passed, gathered)
        dr.sync_thread()
        return point, tensor(passed, pixels * spp), tensor(gathered, pixels * spp)

    def traced(
        self,
        sensor: Any,
        first: int,
        pixels: int,
        spp: int,
        seed: int,
        depth: int,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Path-trace pixels, shape (pixels, 3), with `spp` paths each."""
        sampler = self.seeded(seed, pixels * spp)
        ray, weight = rays(camera_of(self.scene, sensor), first, pixels, spp, sampler, size)
        integrator = mi.load_dict({"type": "path", "max_depth": depth, "rr_depth": min(depth, _ROULETTE_DEPTH)})
        found, _, _ = integrator.sample(self.scene, sampler, ray)
        radiance = found * weight
        dr.eval(radiance)
        dr.sync_thread()
        return tensor(radiance, pixels * spp).view(3, pixels, spp).mean(2).t()

    def size(self, sensor: Any) -> tuple[int, int]:
        """Return width and height of a camera's pictures."""
        return film_size(camera_of(self.scene, sensor))

    def follow(self, ray: Any, sampler: Any, weigh: Callable[[Any], Any] | None = None) -> tuple[Any, Any, Any, Any]:
        """Trace a ray; see `specular.follow`, which some scenes do not need."""
        if self._has_specular:
            return specular.follow(self.scene, ray, sampler, weigh)
        return self.scene.ray_intersect(ray), mi.Color3f(1), mi.Color3f(0), mi.Bool(True)

    def is_evaluated(self, point: Any) -> Any:
        """Whether the field has a value: light is scattered towards the viewer."""
        flags = point.bsdf().flags()
        faces = mi.has_flag(flags, mi.BSDFFlags.BackSide) | (point.wi.z > 0)
        return point.is_valid() & faces & mi.has_flag(flags, mi.BSDFFlags.Smooth)

    def field_inputs(self, point: Any) -> list[Any]:
        """Inputs of the field at interactions, in the order of `Query`."""
        place = (point.p - mi.Point3f(*self._low.tolist())) / mi.Vector3f(*self._extent.tolist())
        level = mi.SurfaceInteraction3f(point)
        # From the front, where every BSDF has its reflectance.
        level.wi = mi.Vector3f(*_ALBEDO_DIRECTION)
        albedo = point.bsdf().eval_diffuse_reflectance(level)
        found = [dr.clip(place, 0, 1), point.to_world(point.wi), point.sh_frame.n, albedo]
        # A ray that leaves the scene has no position. The field is not used there, but must be finite.
        return [dr.select(point.is_valid() & dr.isfinite(value), value, 0) for value in found]

    def seeded(self, seed: Any, count: int) -> Any:
        """Return a sampler of `count` sequences of random numbers."""
        sampler = self._sampler.clone()
        sampler.seed(seed, count)
        return sampler
