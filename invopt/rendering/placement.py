"""Positions of objects: the parameter that holds one, its values after a motion."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import SceneError, suggest
from invopt.rendering.reading import keys

__all__ = ["moved", "place_of"]

# Parameters that place an object, in the order in which they are looked for.
_PLACES = (keys.TO_WORLD, keys.VERTEX_POSITIONS, keys.POSITION)


def place_of(object_id: str, known: Collection[str]) -> str:
    """Name of the parameter that places an object: pose, vertices or position.

    Parameters
    ----------
    object_id : str
        Name of the object.
    known : collection of str
        Keys of all parameters of the scene.
    """
    for parameter in _PLACES:
        if keys.of(object_id, parameter) in known:
            return parameter
    if object_id in {key.rpartition(".")[0] for key in known}:
        raise SceneError(f"{object_id!r} has no geometry to move: it is not a shape, a camera or a placed light")
    movable = {owner for owner, _, parameter in (key.rpartition(".") for key in known) if parameter in _PLACES}
    raise SceneError(f"the scene has no object {object_id!r} that can move; {suggest(object_id, movable)}")


def moved(
    object_id: str, place: str, own: Callable[[str], NDArray[np.float64]], motion: Tensor, *, local: bool
) -> dict[str, Tensor]:
    """Values by key that move an object by a 4x4 matrix; differentiable.

    Parameters
    ----------
    object_id : str
        Name of the object.
    place : str
        Parameter that places it.
    own : callable
        Value of a parameter, by its key, as the scene was loaded.
    motion : Tensor, shape (4, 4)
        Motion.
    local : bool
        Whether the motion is in the frame of the object instead of the world.
    """
    key = keys.of(object_id, place)
    original = torch.from_numpy(own(key))
    if place == keys.TO_WORLD:
        return {key: original @ motion if local else motion @ original}
    linear, shift = motion[:3, :3], motion[:3, 3]
    values = {key: (original.view(-1, 3) @ linear.T + shift).reshape(-1)}
    normals = keys.of(object_id, keys.VERTEX_NORMALS)
    if place == keys.VERTEX_POSITIONS and own(normals).size:
        turned = torch.from_numpy(own(normals)).view(-1, 3) @ torch.linalg.inv(linear)
        values[normals] = torch.nn.functional.normalize(turned, dim=1).reshape(-1)
    return values
