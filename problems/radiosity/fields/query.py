"""Query: where the field is asked, as tensors."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["Incident", "Query"]


class Query(NamedTuple):
    """What the network is told of k points, each of shape (3, k).

    Attributes
    ----------
    position : Tensor
        In the scene's bounding box, scaled to [0, 1]^3.
    direction : Tensor
        Towards where the light goes, a unit vector of the world.
    normal : Tensor
        Of shading.
    albedo : Tensor
        Diffuse reflectance.
    """

    position: Tensor
    direction: Tensor
    normal: Tensor
    albedo: Tensor


class Incident(NamedTuple):
    """Light arriving at k points from m directions each, direction fastest.

    Attributes
    ----------
    query : Query
        The k m points where it comes from.
    weight : Tensor, shape (3, k m)
        BSDF times cosine over the density of the direction, times what specular surfaces in between let through; zero
        where the field is not asked.
    known : Tensor, shape (3, k m)
        What emitters send from that direction, weighted likewise.
    direct : Tensor, shape (3, k m)
        What an emitter sends that was sampled on its own.
    direction : Tensor, shape (3, k m)
        Unit vectors towards where the light comes from.
    """

    query: Query
    weight: Tensor
    known: Tensor
    direct: Tensor
    direction: Tensor
