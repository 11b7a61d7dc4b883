"""Book what paths contribute at the parameters that they depend on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from invopt.rendering.shading.paths import Vertex
from invopt.rendering.shading.slots import Slot

__all__ = ["Booked", "Place", "book"]

Array = NDArray[np.float64]

_CHANNELS = 3


class Booked(NamedTuple):
    """A picture, shape (pixels, 3), and its Jacobian, shape (3 pixels, values)."""

    image: Array
    jacobian: csr_matrix


class Place(NamedTuple):
    """A slot among those that are booked.

    Attributes
    ----------
    slot : Slot
        What it shades.
    value : ndarray
        Its values, in the shape of the parameter, > 0.
    materials, lights : list of int
        Numbers of its materials and lights in the vertices of paths.
    """

    slot: Slot
    value: Array
    materials: list[int]
    lights: list[int]


class _Entries(NamedTuple):
    """Rows, columns and values of a sparse matrix."""

    rows: list[NDArray[np.int64]]
    columns: list[NDArray[np.int64]]
    values: list[Array]


def book(vertices: Sequence[Vertex], places: Sequence[Place], spp: int) -> Booked:
    r"""Return a picture and its Jacobian with respect to the values of all places.

    A path of weight L that was reflected at a surface of albedo :math:`\rho = \sum_i w_i t_i`, a mean of texels t,
    contributes :math:`w_i L / \rho` to the derivative with respect to texel i, and so does one from a light. Paths and
    their random numbers are held fixed.

    Parameters
    ----------
    vertices : sequence of Vertex
        Paths, by depth; the `spp` paths of a pixel are next to each other.
    places : sequence of Place
        Parameters.
    spp : int
        Samples per pixel.
    """
    paths = vertices[0].hit.shape[1]
    later = np.zeros((_CHANNELS, paths))
    entries, starts = _Entries([], [], []), np.cumsum([0, *(place.value.size for place in places)]).tolist()
    for vertex in reversed(vertices):
        through = vertex.joined + later
        for place, start in zip(places, starts, strict=False):
            parts = (
                (vertex.hit_light, place.lights, vertex.hit_direction, vertex.hit),
                (vertex.joined_light, place.lights, vertex.joined_direction, vertex.joined),
                (vertex.material, place.materials, vertex.uv, through),
            )
            for number, wanted, where, light in parts:
                lanes = np.flatnonzero(np.isin(number, wanted) & light.any(0)) if wanted else np.empty(0, np.int64)
                if lanes.size:
                    _add(entries, place, start, lanes // spp, where[:, lanes], light[:, lanes] / spp)
        later = through + vertex.hit
    image = later.reshape(_CHANNELS, -1, spp).mean(2).T
    shape = (_CHANNELS * paths // spp, starts[-1])
    if not entries.rows:
        return Booked(image, csr_matrix(shape))
    at = np.concatenate(entries.rows), np.concatenate(entries.columns)
    return Booked(image, coo_matrix((np.concatenate(entries.values), at), shape).tocsr())


def _add(
    entries: _Entries, place: Place, start: int, pixels: NDArray[np.int64], where: NDArray[np.float32], light: Array
) -> None:
    """Book the light of some paths, shape (3, l), at the texels that they looked up."""
    numbers = place.slot.lookup.numbers(place.value)
    taps = place.slot.lookup.taps(where, place.value.shape)
    slopes = light / taps.of(place.value.ravel()[numbers]).T
    for channel in range(_CHANNELS):
        own = numbers[:, channel % numbers.shape[1]]
        entries.rows.append(np.tile(_CHANNELS * pixels + channel, len(taps.places)))
        entries.columns.append((start + own[taps.places]).ravel())
        entries.values.append((slopes[channel] * taps.weights).ravel())
