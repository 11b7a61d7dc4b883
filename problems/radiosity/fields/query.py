"""Inputs of the field, and light that arrives, as tensors."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["Incident", "Query"]


class Query(NamedTuple):
    """Inputs of the field at k points, each of shape (3, k).

    Attributes
    ----------
    position : Tensor
        Position in the bounding box of the scene, scaled to [0, 1]^3.
    direction : Tensor
        Unit vector of the world towards which the light goes.
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
    """Light arriving at k points from m directions each, direction fastest.

    Attributes
    ----------
    query : Query
        The k m points that the light comes from.
    weight : Tensor, shape (3, k m)
        BSDF times cosine over the density of the direction, times the transmission of specular surfaces in between;
        zero where the field is not used.
    known : Tensor, shape (3, k m)
        Light of emitters in that direction, with the same weight.
    direct : Tensor, shape (3, k m)
        Light of an emitter that was sampled separately.
    direction : Tensor, shape (3, k m)
        Unit vectors towards the points that the light comes from.
    """

    query: Query
    weight: Tensor
    known: Tensor
    direct: Tensor
    direction: Tensor
