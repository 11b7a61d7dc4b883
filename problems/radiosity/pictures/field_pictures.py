"""Pictures of a field and of its scene, rendered in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from torch import Tensor

from invopt.plugin import as_integer, require

from ..live_field import LiveField
from ..seeds import seed_of
from ..transport.leaving import leaving

__all__ = ["Sensor", "View", "emitting", "of_field", "path_traced"]

# Number of a camera of the scene, or the description of another one.
Sensor = int | Mapping[str, Any]
# Largest number of queries in memory, by kind of device: two layers of 512 units take 1 GiB for 2^18 queries.
_QUERIES_AT_ONCE = {"cuda": 2**21, "cpu": 2**18}


class View(NamedTuple):
    """A camera, width and height in pixels, rays through each pixel, and their seed."""

    sensor: Sensor
    size: tuple[int, int]
    spp: int
    seed: int

    @classmethod
    def checked(cls, sensor: Sensor, size: Any, spp: int, seed: int) -> View:
        """Return a view, or raise if an argument is wrong; the camera is not checked."""
        require("spp", as_integer("spp", spp) >= 1, ">= 1", spp)
        require("seed", as_integer("seed", seed) >= 0, ">= 0", seed)
        try:
            width, height = (as_integer("size", number) for number in size)
        except (TypeError, ValueError):
            raise ValueError(f"'size' must be two integers, width and height: {size!r}") from None
        require("size", width >= 1 and height >= 1, "two integers >= 1, width and height", size)
        return cls(sensor, (width, height), int(spp), int(seed))


def of_field(live: LiveField, weights: Mapping[str, Tensor], view: View, m: int) -> NDArray[np.float32]:
    """Render the left side, or with `m` > 0 incident directions the right side.

    The shape is (height, width, 3).
    """

    def rows(first: int, pixels: int) -> Tensor:
        return _of_field(live, weights, view, m, first, pixels)

    with torch.no_grad():
        return _assemble(live, rows, view, view.spp * max(m, 1))


def _of_field(live: LiveField, weights: Mapping[str, Tensor], view: View, m: int, first: int, pixels: int) -> Tensor:
    """Render `pixels` pixels from number `first`, shape (pixels, 3)."""
    transport, (sensor, size, spp, seed) = live.transport, view
    point, passed, gathered = transport.camera(sensor, first, pixels, spp, seed_of(seed, 0, first), size)
    reflected, lobes = partial(live.reflected, weights), partial(live.final_lobes, weights)
    radiance = leaving(transport, reflected, point, m, seed_of(seed, 1, first), lobes)
    seen: Tensor = (gathered.t() + passed.t() * radiance).view(pixels, spp, 3).mean(1)
    return seen


def path_traced(live: LiveField, view: View, depth: int) -> NDArray[np.float32]:
    """Path-trace a picture, shape (height, width, 3)."""

    def rows(first: int, pixels: int) -> Tensor:
        seed = seed_of(view.seed, first)
        traced: Tensor = live.transport.traced(view.sensor, first, pixels, view.spp, seed, depth, view.size)
        return traced

    return _assemble(live, rows, view, view.spp)


def emitting(live: LiveField, view: View) -> NDArray[np.bool_]:
    """Find pixels that see an emitter, and their neighbours, shape (height, width).

    If every pixel sees an emitter, none is marked.
    """

    def rows(first: int, pixels: int) -> Tensor:
        point, _, gathered = live.transport.camera(view.sensor, first, pixels, view.spp, first, view.size)
        _, emitted, _ = live.transport.query(point)
        brightest: Tensor = (emitted + gathered).amax(0).view(pixels, view.spp).amax(1, keepdim=True)
        return brightest.expand(pixels, 3)

    found = _assemble(live, rows, view, view.spp)[..., 0] > 0
    if found.all():
        return np.zeros_like(found)
    # Neighbours too, because rays can miss an emitter that covers only a corner of a pixel.
    return np.asarray(binary_dilation(found, np.ones((3, 3), dtype=bool)))


def _assemble(live: LiveField, rows: Callable[[int, int], Tensor], view: View, per_pixel: int) -> NDArray[np.float32]:
    width, height = view.size
    step = max(1, _QUERIES_AT_ONCE[live.device.type] // per_pixel)
    parts = [rows(first, min(step, width * height - first)).cpu() for first in range(0, width * height, step)]
    picture: NDArray[np.float32] = torch.cat(parts).view(height, width, 3).numpy()
    return picture
