"""Paths from cameras to lights. Import with a backend active."""

from __future__ import annotations

from typing import Any, NamedTuple

import drjit
import mitsuba
from torch import Tensor

from ..fields.query import Query
from .tensors import tensors
from .view_points import ViewPoints

__all__ = ["LightPaths", "light_paths"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Russian roulette: reflections before it, and the largest probability that a path goes on.
_CERTAIN_REFLECTIONS, _MOST_LIKELY = 3, 0.95
# Longest path: a share of 0.95^256 = 2e-6 of the paths would be longer.
_MOST_REFLECTIONS = 256


class LightPaths(NamedTuple):
    """Paths from cameras, at whose first two surfaces a field is asked.

    Light is what the first surface reflects, seen through the specular surfaces before it; paths on which an emitter is
    seen have a `shown` of 0.

    Attributes
    ----------
    first, second : Query
        The field's inputs at the first two surfaces of k paths.
    shown : Tensor, shape (3, k)
        Factor between the light that the first surface reflects and the picture.
    light : Tensor, shape (3, k)
        Emitted light that the first surface reflects.
    weight : Tensor, shape (3, k)
        Factor between what the second surface reflects and what the first one reflects of it.
    beyond : Tensor, shape (3, k)
        Estimate of what the second surface reflects, by path tracing; without bias.
    """

    first: Query
    second: Query
    shown: Tensor
    light: Tensor
    weight: Tensor
    beyond: Tensor


def light_paths(transport: Any, views: ViewPoints, count: int, seed: int) -> LightPaths:
    """Trace `count` paths from cameras, all in one launch.

    Parameters
    ----------
    transport : Transport
        Sampling of light in the scene.
    views : ViewPoints
        Its cameras.
    count : int
        Number of paths.
    seed : int
        Their seed.
    """
    sampler = transport.seeded(seed, count)
    here, passed, gathered, _ = transport.follow(views.ray(sampler), sampler)
    emitted = here.emitter(transport.scene).eval(here) + gathered
    shown = dr.select(transport.is_evaluated(here) & (dr.max(emitted) <= 0), passed, 0)
    there, weight, known, direct, _ = transport.bounce(here, sampler)
    beyond = _reflected(transport, there, sampler, (dr.max(shown) > 0) & (dr.max(weight) > 0))
    arrays = [*transport.field_inputs(here), *transport.field_inputs(there), shown, known + direct, weight, beyond]
    found = tensors(arrays, count)
    return LightPaths(Query(*found[:4]), Query(*found[4:8]), *found[8:])


def _reflected(transport: Any, point: Any, sampler: Any, active: Any) -> Any:
    """Light that points reflect towards the viewer, by path tracing."""
    count = dr.width(active)
    through, total = mi.Color3f(dr.ones(mi.Float, count)), mi.Color3f(dr.zeros(mi.Float, count))

    def going(_sampler: Any, _point: Any, _through: Any, _total: Any, _depth: Any, active: Any) -> Any:
        return active

    def step(sampler: Any, point: Any, through: Any, total: Any, depth: Any, active: Any) -> tuple[Any, ...]:
        there, weight, known, direct, _ = transport.bounce(point, sampler)
        total = total + dr.select(active, through * (known + direct), 0)
        through = dr.select(weight != 0, through * weight, 0)
        depth = depth + 1
        likely = dr.select(depth > _CERTAIN_REFLECTIONS, dr.minimum(dr.max(through), _MOST_LIKELY), 1)
        goes = sampler.next_1d() < likely
        through = dr.select(goes & (likely > 0), through / likely, 0)
        active = active & (dr.max(through) > 0) & (depth < _MOST_REFLECTIONS)
        return sampler, there, through, total, depth, active

    state = (sampler, point, through, total, dr.zeros(mi.UInt32, count), active)
    return dr.while_loop(state, going, step, mode="symbolic")[3]
