"""Light in a Mitsuba scene: points on surfaces, directions, what arrives from them. Import with a backend active."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import drjit
import mitsuba
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import SceneError
from invopt.rendering.loading import readable

from .guiding import Lobes
from .query import Incident, Query

__all__ = ["GUIDED_SHARE", "Transport", "seed_of"]

# Untyped, for what their stubs say depends on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Specular surfaces that a ray passes before it is given up.
_MAX_SPECULAR = 12
# Share of the guide in a mixture with the BSDF.
GUIDED_SHARE = 0.5


class Drawn(NamedTuple):
    """Directions drawn at interactions: local direction, BSDF cosine / density, and the density, 0 if specular."""

    wo: Any
    factor: Any
    density: Any


class Transport:
    """Sampling of light transport in a scene.

    Parameters
    ----------
    scene : mitsuba.Scene
        A loaded scene; one with participating media, without surfaces, or with instances is a `SceneError`.
    sampling : {"uniform", "bsdf", "nee", "guided"}
        How incident directions are drawn.
    media : {"refuse", "ignore"}, default "refuse"
        What to do about participating media.
    """

    def __init__(self, scene: Any, sampling: str, media: str = "refuse") -> None:
        self.scene = scene
        self.sampling = sampling
        self._context = mi.BSDFContext()
        self._sampler = mi.load_dict({"type": "independent"})
        if media == "refuse":
            _check_media(scene)
        _check_emitters(scene, sampling)
        self._surfaces = mi.DiscreteDistribution(_areas(scene))
        self._has_specular = any(_is_specular(shape.bsdf().flags()) for shape in scene.shapes())
        box = scene.bbox()
        self._low = np.array(box.min, dtype=np.float64).ravel()
        self._extent = np.maximum(np.array(box.max, dtype=np.float64).ravel() - self._low, 1e-9)

    @property
    def box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest corner and size of what is scaled to the unit cube, both of shape (3,)."""
        return self._low, self._extent

    def points(self, count: int, seed: int) -> Any:
        """Interactions uniform by area over the surfaces that scatter, seen from directions uniform in solid angle.

        One-sided surfaces are seen from their bright side only.
        """
        sampler = self._seeded(seed, count)
        shape = dr.gather(mi.ShapePtr, self.scene.shapes_dr(), self._surfaces.sample(sampler.next_1d()))
        place = shape.sample_position(0.0, sampler.next_2d())
        point = self._met(place, shape)
        drawn = sampler.next_2d()
        both = mi.has_flag(shape.bsdf().flags(), mi.BSDFFlags.BackSide)
        point.wi = dr.select(both, mi.warp.square_to_uniform_sphere(drawn), mi.warp.square_to_uniform_hemisphere(drawn))
        return point

    def _met(self, place: Any, shape: Any) -> Any:
        """Interactions at places of shapes, as a ray meets them.

        The place itself knows no tangents, which brushed metal and bumps turn with, and on some shapes other texture
        coordinates. Where another surface lies in the same place, it has to do.
        """
        found = mi.SurfaceInteraction3f(place, dr.zeros(mi.Color0f))
        found.shape = shape
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

    def query(self, point: Any) -> tuple[Query, Tensor, Tensor]:
        """What the field is told of interactions; what they emit, (3, k); whether the field is asked there, (k,)."""
        emitted, asked = point.emitter(self.scene).eval(point), self._asked(point)
        arrays = self._described(point)
        dr.eval(arrays, emitted, asked)
        dr.sync_thread()
        count = dr.width(point.p)
        return Query(*(_tensor(array, count) for array in arrays)), _tensor(emitted, count), _tensor(asked, count)[0]

    def incident(self, point: Any, m: int, seed: int, lobes: Lobes | None = None) -> Incident:
        """Light arriving at interactions from `m` directions each."""
        count = dr.width(point.p)
        sampler = self._seeded(seed, count * m)
        index = dr.repeat(dr.arange(mi.UInt32, count), m)
        here = dr.gather(type(point), point, index)
        mixture = None if lobes is None else Mixture(lobes, index)
        drawn = self._draw(here, sampler, mixture)
        ray = here.spawn_ray(here.to_world(drawn.wo))
        direct = mi.Color3f(0)
        weigh: Callable[[Any], Any] | None = None
        if self.sampling in ("nee", "guided"):
            direct = self._next_event(here, sampler, mixture)
            weigh = partial(self._weight_of_hit, here, drawn.density)
        there, passed, gathered, straight = self._follow(ray, sampler, weigh)
        emitted = there.emitter(self.scene).eval(there)
        if weigh is not None:
            emitted *= dr.select(straight, weigh(there), 1)
        known = drawn.factor * (gathered + passed * emitted)
        weight = dr.select(self._asked(there), drawn.factor * passed, 0)
        arrays = self._described(there)
        outwards = here.to_world(drawn.wo)
        dr.eval(arrays, known, direct, weight, outwards)
        dr.sync_thread()
        total = count * m
        described = Query(*(_tensor(array, total) for array in arrays))
        return Incident(described, *(_tensor(array, total) for array in (weight, known, direct, outwards)))

    def camera(
        self, sensor: Any, first: int, pixels: int, spp: int, seed: int, size: tuple[int, int] | None = None
    ) -> tuple[Any, Tensor, Tensor]:
        """Interactions seen by `pixels` pixels from number `first` on, `spp` rays each, pixel slowest.

        Specular surfaces are looked through. With them come what lets the light through and what emits in between,
        both of shape (3, pixels * spp).
        """
        sampler = self._seeded(seed, pixels * spp)
        ray, weight = self._rays(sensor, first, pixels, spp, sampler, size)
        point, passed, gathered, _ = self._follow(ray, sampler)
        passed, gathered = passed * weight, gathered * weight
        dr.eval(point, passed, gathered)
        dr.sync_thread()
        return point, _tensor(passed, pixels * spp), _tensor(gathered, pixels * spp)

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
        """Path-traced radiance of pixels, shape (pixels, 3): the mean of `spp` paths in the square of the pixel."""
        sampler = self._seeded(seed, pixels * spp)
        ray, weight = self._rays(sensor, first, pixels, spp, sampler, size)
        integrator = mi.load_dict({"type": "path", "max_depth": depth, "rr_depth": min(depth, 24)})
        found, _, _ = integrator.sample(self.scene, sampler, ray)
        radiance = found * weight
        dr.eval(radiance)
        dr.sync_thread()
        return _tensor(radiance, pixels * spp).view(3, pixels, spp).mean(2).t()

    def size(self, sensor: Any) -> tuple[int, int]:
        """Width and height of a camera's pictures."""
        width, height = self.sensor(sensor).film().crop_size()
        return int(width), int(height)

    def sensor(self, sensor: Any) -> Any:
        """A camera of the scene by its number, or one of its own by its description."""
        if isinstance(sensor, Mapping):
            with readable("cannot be seen by that camera"):
                return mi.load_dict(_live(sensor))
        sensors = self.scene.sensors()
        if not 0 <= sensor < len(sensors):
            raise SceneError(f"'sensor' must be below {len(sensors)}, the number of cameras of the scene: {sensor}")
        return sensors[sensor]

    # Directions.

    def _draw(self, here: Any, sampler: Any, mixture: Mixture | None) -> Drawn:
        scattered = here.bsdf().sample(self._context, here, sampler.next_1d(), sampler.next_2d())
        by_bsdf = self._from_bsdf(*scattered)
        if self.sampling == "uniform":
            return self._uniform(here, sampler, by_bsdf)
        if mixture is not None:
            return self._mixed(here, sampler, by_bsdf, mixture)
        return by_bsdf

    @staticmethod
    def _from_bsdf(sample: Any, weight: Any) -> Drawn:
        specular = mi.has_flag(sample.sampled_type, mi.BSDFFlags.Delta)
        return Drawn(sample.wo, dr.select(dr.isfinite(weight), weight, 0), dr.select(specular, 0, sample.pdf))

    def _uniform(self, here: Any, sampler: Any, by_bsdf: Drawn) -> Drawn:
        """Uniform over the hemisphere of the viewer, or the sphere where light is let through.

        Where a BSDF has a specular lobe beside others, as plastic has, no uniform direction ever finds it: there
        directions are the BSDF's.
        """
        flags = here.bsdf().flags()
        drawn = sampler.next_2d()
        wo = mi.warp.square_to_uniform_hemisphere(drawn)
        wo.z = dr.mulsign(wo.z, here.wi.z)
        through = mi.has_flag(flags, mi.BSDFFlags.Transmission)
        wo = dr.select(through, mi.warp.square_to_uniform_sphere(drawn), wo)
        density = dr.select(through, dr.inv_four_pi, dr.inv_two_pi)
        value = here.bsdf().eval(self._context, here, wo) / density
        specular = mi.has_flag(flags, mi.BSDFFlags.Delta)
        return Drawn(
            dr.select(specular, by_bsdf.wo, wo),
            dr.select(specular, by_bsdf.factor, value),
            dr.select(specular, by_bsdf.density, density),
        )

    def _mixed(self, here: Any, sampler: Any, by_bsdf: Drawn, mixture: Mixture) -> Drawn:
        """Half the guide's, half the BSDF's, each weighted by the density of both together."""
        guided = sampler.next_1d() < GUIDED_SHARE
        theirs = here.to_local(mixture.sample(sampler.next_1d(), sampler.next_2d()))
        wo = dr.select(guided, theirs, by_bsdf.wo)
        specular = ~guided & (by_bsdf.density <= 0)
        value, density = here.bsdf().eval_pdf(self._context, here, wo)
        density = self._joined(here, wo, density, mixture)
        factor = dr.select(density > 0, value / density, 0)
        return Drawn(
            wo,
            dr.select(specular, by_bsdf.factor / (1 - GUIDED_SHARE), factor),
            dr.select(specular, 0, density),
        )

    @staticmethod
    def _joined(here: Any, wo: Any, density: Any, mixture: Mixture | None) -> Any:
        if mixture is None:
            return density
        return (1 - GUIDED_SHARE) * density + GUIDED_SHARE * mixture.density(here.to_world(wo))

    # Emitters.

    def _next_event(self, here: Any, sampler: Any, mixture: Mixture | None) -> Any:
        """Light of a sampled emitter, weighted against finding it by direction (power heuristic)."""
        sample, light = self.scene.sample_emitter_direction(here, sampler.next_2d(), True)
        wo = here.to_local(sample.d)
        value, density = here.bsdf().eval_pdf(self._context, here, wo)
        density = self._joined(here, wo, density, mixture)
        weight = dr.select(sample.delta, 1, _power(sample.pdf, density))
        return dr.select(sample.pdf > 0, value * light * weight, 0)

    def _weight_of_hit(self, here: Any, density: Any, there: Any) -> Any:
        """Weight of an emitter found by direction; 1 for a specular one, which no emitter sample could take."""
        towards = mi.DirectionSample3f(self.scene, there, here)
        other = self.scene.pdf_emitter_direction(here, towards)
        return dr.select(density > 0, _power(density, dr.select(dr.isfinite(other), other, 0)), 1)

    # Rays.

    def _follow(self, ray: Any, sampler: Any, weigh: Callable[[Any], Any] | None = None) -> tuple[Any, Any, Any, Any]:
        """Where a ray ends, through specular surfaces; what passes, what they emit, whether there was none.

        `weigh` is the weight of what the first of them emits, which an emitter sample may have found too.
        """
        if not self._has_specular:
            return self.scene.ray_intersect(ray), mi.Color3f(1), mi.Color3f(0), mi.Bool(True)
        count = dr.width(ray)
        passed, gathered = mi.Color3f(dr.ones(mi.Float, count)), mi.Color3f(dr.zeros(mi.Float, count))
        depth, active = dr.zeros(mi.UInt32, count), dr.full(mi.Bool, True, count)

        def going(_sampler: Any, _ray: Any, _passed: Any, _gathered: Any, _depth: Any, active: Any) -> Any:
            return active

        def step(sampler: Any, ray: Any, passed: Any, gathered: Any, depth: Any, active: Any) -> tuple[Any, ...]:
            point = self.scene.ray_intersect(ray, active)
            specular = active & point.is_valid() & _is_specular(point.bsdf().flags())
            emitted = point.emitter(self.scene).eval(point, specular)
            if weigh is not None:
                emitted *= dr.select(depth == 0, weigh(point), 1)
            gathered[specular] += passed * emitted
            sample, weight = point.bsdf().sample(
                self._context, point, sampler.next_1d(specular), sampler.next_2d(specular), specular
            )
            passed[specular] *= weight
            ray[specular] = point.spawn_ray(point.to_world(sample.wo))
            depth[specular] += 1
            alive = specular & (depth < _MAX_SPECULAR) & (dr.max(passed) > 0)
            return sampler, ray, passed, gathered, depth, alive

        _, ray, passed, gathered, depth, _ = dr.while_loop(
            (sampler, mi.Ray3f(ray), passed, gathered, depth, active), going, step
        )
        return self.scene.ray_intersect(ray), passed, gathered, depth == 0

    def _rays(
        self, sensor: Any, first: int, pixels: int, spp: int, sampler: Any, size: tuple[int, int] | None
    ) -> tuple[Any, Any]:
        width, height = size or self.size(sensor)
        camera = self.sensor(sensor)
        number = dr.arange(mi.UInt32, pixels * spp) // spp + first
        corner = mi.Vector2f(mi.Float(number % width), mi.Float(number // width))
        place = (corner + sampler.next_2d()) / mi.Vector2f(width, height)
        ray, weight = camera.sample_ray(camera.shutter_open(), sampler.next_1d(), place, sampler.next_2d())
        return ray, weight

    # What the network is told.

    def _asked(self, point: Any) -> Any:
        """Whether light is reflected here towards the viewer in a way that the field holds."""
        flags = point.bsdf().flags()
        faces = mi.has_flag(flags, mi.BSDFFlags.BackSide) | (point.wi.z > 0)
        return point.is_valid() & faces & mi.has_flag(flags, mi.BSDFFlags.Smooth)

    def _described(self, point: Any) -> list[Any]:
        place = (point.p - mi.Point3f(*self._low.tolist())) / mi.Vector3f(*self._extent.tolist())
        level = mi.SurfaceInteraction3f(point)
        # Seen from above, where no reflectance is hidden.
        level.wi = mi.Vector3f(0.353553, 0.353553, 0.866025)
        albedo = point.bsdf().eval_diffuse_reflectance(level)
        found = [dr.clip(place, 0, 1), point.to_world(point.wi), point.sh_frame.n, albedo]
        # A ray that leaves the scene has no place; the field's answer is not used there, but must be finite.
        return [dr.select(point.is_valid() & dr.isfinite(value), value, 0) for value in found]

    def _seeded(self, seed: int, count: int) -> Any:
        sampler = self._sampler.clone()
        sampler.seed(seed, count)
        return sampler


class Mixture:
    """Mixture of von Mises-Fisher lobes at each interaction, in Dr.Jit."""

    def __init__(self, lobes: Lobes, index: Any) -> None:
        # For each lobe: share, concentration, mean direction.
        columns = [_gathered(lobes.shares, index), _gathered(lobes.concentrations, index)]
        means = [_gathered(lobes.means[:, :, axis], index) for axis in range(3)]
        self._lobes = [
            (share, kappa, mi.Vector3f(x, y, z)) for share, kappa, x, y, z in zip(*columns, *means, strict=True)
        ]

    def sample(self, choice: Any, drawn: Any) -> Any:
        """A direction: the lobe by `choice`, the place in it by `drawn`."""
        below = dr.zeros(mi.Float, dr.width(choice))
        kappa, mean = self._lobes[-1][1], self._lobes[-1][2]
        chosen = dr.full(mi.Bool, False, dr.width(choice))
        for share, other, direction in self._lobes:
            below = below + share
            here = ~chosen & (choice < below)
            kappa, mean = dr.select(here, other, kappa), dr.select(here, direction, mean)
            chosen = chosen | here
        cosine = 1 + dr.log(drawn.x + (1 - drawn.x) * dr.exp(-2 * kappa)) / kappa
        sine = dr.safe_sqrt(1 - cosine * cosine)
        sin_phi, cos_phi = dr.sincos(dr.two_pi * drawn.y)
        return mi.Frame3f(mean).to_world(mi.Vector3f(sine * cos_phi, sine * sin_phi, cosine))

    def density(self, direction: Any) -> Any:
        """Density of a direction, per solid angle."""
        total = dr.zeros(mi.Float, 1)
        for share, kappa, mean in self._lobes:
            total += (
                share * kappa / (dr.two_pi * (1 - dr.exp(-2 * kappa))) * dr.exp(kappa * (dr.dot(direction, mean) - 1))
            )
        return total


def _gathered(columns: Tensor, index: Any) -> list[Any]:
    """The columns of a tensor of shape (n, k) as Dr.Jit arrays, at the rows in `index`."""
    return [dr.gather(mi.Float, mi.Float(column.contiguous()) + 0, index) for column in columns.unbind(1)]


def _power(first: Any, second: Any) -> Any:
    return first * first / (first * first + second * second)


def _is_specular(flags: Any) -> Any:
    """Whether a BSDF has specular lobes only; works on numbers and on arrays."""
    smooth = mi.has_flag(flags, mi.BSDFFlags.Smooth)
    delta = mi.has_flag(flags, mi.BSDFFlags.Delta)
    return delta and not smooth if isinstance(smooth, bool) else delta & ~smooth


def _tensor(value: Any, count: int) -> Tensor:
    """An evaluated array as a tensor of shape (channels, count), on the same memory where it is full."""
    if type(value).__name__ == "Bool":
        value = mi.UInt8(value)
        dr.eval(value)
        dr.sync_thread()
        found: Tensor = value.torch().view(1, -1).bool()
    else:
        found = value.torch()
    return found.expand(found.shape[0], count) if found.shape[1] != count else found


def _areas(scene: Any) -> list[float]:
    """Area of each surface that scatters, 0 for the others."""
    areas = []
    for shape in scene.shapes():
        smooth = mi.has_flag(shape.bsdf().flags(), mi.BSDFFlags.Smooth)
        try:
            area = float(dr.ravel(mi.Float(shape.surface_area()))[0])
        except RuntimeError:
            raise SceneError(
                f"shape {shape.id()!r} ({shape.class_name()}) has no area to draw points from: neural radiosity takes "
                f"meshes and simple shapes, no instances"
            ) from None
        areas.append(area if smooth and np.isfinite(area) else 0.0)
    if not sum(areas) > 0:
        raise SceneError("the scene has no surface with an area that scatters light, so there is nothing to learn")
    return areas


def _check_media(scene: Any) -> None:
    for shape in scene.shapes():
        if shape.is_medium_transition():
            raise SceneError(
                f"shape {shape.id()!r} bounds a participating medium, and neural radiosity knows surfaces only: "
                f"media='ignore' leaves media out, as Mitsuba's 'path' integrator does"
            )


def _check_emitters(scene: Any, sampling: str) -> None:
    if not scene.emitters():
        raise SceneError("the scene has no emitter, so every picture of it is black: add a light")
    if sampling in ("nee", "guided"):
        return
    for emitter in scene.emitters():
        if mi.has_flag(emitter.flags(), mi.EmitterFlags.Delta):
            raise SceneError(
                f"light {emitter.id()!r} ({emitter.class_name()}) is a point or a direction, which "
                f"sampling={sampling!r} never finds: take sampling='nee'"
            )


def _live(description: Mapping[str, Any]) -> dict[str, Any]:
    """A description with its 4x4 arrays as transforms."""
    found = {key: _live(value) if isinstance(value, Mapping) else value for key, value in description.items()}
    return {
        key: mi.ScalarTransform4f(value) if isinstance(value, np.ndarray) and value.shape == (4, 4) else value
        for key, value in found.items()
    }


def denoised(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """A picture of shape (height, width, 3) through OptiX's denoiser."""
    height, width, _ = picture.shape
    denoiser = mi.OptixDenoiser(mi.ScalarVector2u(width, height))
    return np.array(denoiser(mi.TensorXf(picture)), dtype=np.float32)


def seed_of(*key: int) -> int:
    """A renderer seed below 2**31 from numbers, unlike that of any other numbers."""
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
