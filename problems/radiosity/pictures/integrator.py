"""Mitsuba's integrator "radiance_field". Import with a backend active."""

from __future__ import annotations

from functools import cache
from typing import Any

import drjit
import mitsuba
import torch
from torch import Tensor

from invopt.exceptions import BackendError, CheckpointError
from invopt.plugin import one_at_a_time, require

from ..fields.field import split
from ..fields.query import Query
from ..fields.saved import SavedField
from ..seeds import seed_of
from ..transport.fingerprint import fingerprint, is_same
from ..transport.leaving import leaving
from ..transport.transport import Transport

__all__ = ["NAME", "integrator_class", "register"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

NAME = "radiance_field"
# Incident directions of a ray for the right side, as for trainings.
_DIRECTIONS = 4
# Largest number of queries in memory, by kind of device, as in `field_pictures`.
_QUERIES_AT_ONCE = {True: 2**21, False: 2**18}


def register() -> None:
    """Register the integrator with the active variant of Mitsuba; again has no effect."""
    integrator_class(mi.variant())


@cache
def integrator_class(variant: str) -> Any:
    """Return the class of the integrator for a variant, registered there."""
    if not variant.endswith("_rgb") or "scalar" in variant:
        raise BackendError(f"{NAME!r} needs a variant of Mitsuba such as 'llvm_ad_rgb', not {variant!r}")

    class RadianceFieldIntegrator(mi.SamplingIntegrator):  # type: ignore[misc]
        """Draws a saved field, by `Drawing`: this base depends on the variant."""

        def __init__(self, props: Any, field: SavedField | None = None) -> None:
            super().__init__(props)
            self.drawing = Drawing(props, field)

        def render(
            self, scene: Any, sensor: Any = 0, seed: Any = 0, spp: int = 0, develop: bool = True, evaluate: bool = True
        ) -> Any:
            """Render with the integrator's own number of samples, if none is given."""
            camera = scene.sensors()[sensor] if isinstance(sensor, int) else sensor
            return super().render(scene, camera, seed, spp or self.drawing.spp, develop, evaluate)

        def sample(self, scene: Any, sampler: Any, ray: Any, medium: Any = None, active: Any = True) -> Any:
            """Radiance along rays, whether they meet something, and no further channels."""
            return self.drawing.sample(scene, sampler, ray, active)

        def aov_names(self) -> list[str]:
            """No further channels."""
            return []

        def to_string(self) -> str:
            """Name, side and network."""
            return f"RadianceFieldIntegrator[side={self.drawing.side}, field={self.drawing.field.field}]"

    mi.register_integrator(NAME, RadianceFieldIntegrator)
    return RadianceFieldIntegrator


class Drawing:
    """Radiance of a saved field along rays.

    Parameters
    ----------
    props : mitsuba.Properties
        Properties of the integrator.
    field : SavedField or None
        Stands for its file.
    """

    def __init__(self, props: Any, field: SavedField | None) -> None:
        if field is None:
            require("filename", "filename" in props, "the file of a field, as RadianceField.save writes it", None)
            field = SavedField.load(str(mi.file_resolver().resolve(props["filename"])))
        self.field = field
        self.side, self.media = str(props.get("side", "lhs")), str(props.get("media", "refuse"))
        self.sampling = str(props.get("sampling", "nee"))
        for name, values in _CHOICES.items():
            require(name, getattr(self, name) in values, f"one of {', '.join(values)}", getattr(self, name))
        numbers = {"spp": 0, "n_directions": _DIRECTIONS, "bounces": 1}
        self.spp, self.n_directions, self.bounces = (int(props.get(name, value)) for name, value in numbers.items())
        for name, least in (("spp", 0), ("n_directions", 1), ("bounces", 1)):
            require(name, getattr(self, name) >= least, f">= {least}", getattr(self, name))
        self._transport: Any = None

    def sample(self, scene: Any, sampler: Any, ray: Any, active: Any) -> Any:
        """Radiance along rays, whether they meet something, and no further channels."""
        transport = self._in(scene)
        count = dr.width(ray)
        point, passed, gathered, _ = transport.follow(mi.Ray3f(ray), sampler)
        number = mi.UInt32(sampler.next_1d() * 2**31)
        dr.eval(point, passed, gathered, number)
        found = self._leaving(transport, point, count, int(number[0]))
        light = mi.Color3f(*(mi.Float(column.contiguous()) + 0 for column in found.unbind(1)))
        return dr.select(active, gathered + passed * light, 0), point.is_valid(), []

    def _in(self, scene: Any) -> Any:
        """Sampling of light in a scene, which must be the field's."""
        if self._transport is None or self._transport.scene is not scene:
            saved = self.field
            known = saved.fingerprint
            if known is not None and not is_same(fingerprint(scene, saved.low, saved.extent), known):
                raise CheckpointError(
                    f"the field is of another scene, {saved.scene or 'unknown'}: rays meet other things here; train it "
                    f"for this one, which can start there: minimize(..., x0=field)"
                )
            box = (saved.low, saved.extent)
            self._transport = Transport(scene, self.sampling, self.media, self.bounces, box=box)
            device = torch.device("cuda" if "cuda" in mi.variant() else "cpu")
            self._weights = split(saved.weights.to(device), saved.field.shapes)
        return self._transport

    def _leaving(self, transport: Any, point: Any, count: int, seed: int) -> Tensor:
        """Radiance of interactions, in parts that fit into memory; shape (count, 3)."""
        m = self.n_directions if self.side == "rhs" else 0
        step = max(1, _QUERIES_AT_ONCE["cuda" in mi.variant()] // max(m, 1))
        if count <= step:
            return leaving(transport, self._reflected, point, m, seed_of(seed, 0))
        parts = []
        for first in range(0, count, step):
            index = dr.arange(mi.UInt32, min(step, count - first)) + first
            part = dr.gather(type(point), point, index)
            parts.append(leaving(transport, self._reflected, part, m, seed_of(seed, first)))
        return torch.cat(parts)

    @one_at_a_time()
    def _reflected(self, query: Query) -> Tensor:
        with torch.no_grad():
            return self.field.field(self._weights, query, self.field.field.encoding.lookup_drjit)


_CHOICES = {
    "side": ("lhs", "rhs"),
    "media": ("refuse", "ignore"),
    "sampling": ("nee", "bsdf", "uniform"),
}
