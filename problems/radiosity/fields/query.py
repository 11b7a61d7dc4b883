"""Inputs of the field, and incident light, as tensors."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["Incident", "Query"]


class Query(NamedTuple):
    """Inputs of the field at k points, each of shape (3, k).

    Attributes
    ----------
    position : Tensor
        Position in the scene's bounding box, scaled to [0, 1]^3.
    direction : Tensor
        Unit vector towards the viewer, in world coordinates.
    normal : Tensor
        Shading normal.
    albedo : Tensor
        Diffuse reflectance.
    """

    position: Tensor
    direction: Tensor
    normal: Tensor
    albedo: Tensor


class Incident(NamedTuple):
    """Incident light at k points from m directions; the direction varies fastest.

    Attributes
    ----------
    query : Query
        The k m points that the light comes from.
    weight : Tensor, shape (3, k m)
        BSDF times cosine over the density of the direction, times the throughput of specular surfaces in between; 0
        where the field is not evaluated.
    known : Tensor, shape (3, k m)
        Light of emitters from that direction, with the same weight.
    direct : Tensor, shape (3, k m)
        Light of an emitter sample.
    direction : Tensor, shape (3, k m)
        Unit vectors towards the origin of the light.
    """

    query: Query
    weight: Tensor
    known: Tensor
    direct: Tensor
    direction: Tensor
