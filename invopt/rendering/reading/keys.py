"""Mitsuba's names of scene parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from invopt.core.formatting import shown
from invopt.exceptions import SceneError, suggest

__all__ = [
    "BSDF",
    "POSITION",
    "REFLECTANCE",
    "TO_WORLD",
    "VERTEX_NORMALS",
    "VERTEX_POSITIONS",
    "X_FOV",
    "group_of",
    "member_of",
    "of",
    "resolve",
]

# Parameters of a mesh.
VERTEX_POSITIONS = "vertex_positions"
VERTEX_NORMALS = "vertex_normals"
# Pose of an instance, an analytic shape, a camera or a light; and of a point light.
TO_WORLD = "to_world"
POSITION = "position"
# Horizontal field of view of a camera.
X_FOV = "x_fov"
# Material of a shape, and colour of a diffuse one.
BSDF = "bsdf"
REFLECTANCE = "reflectance.value"

# Parts that users may leave out: the sides of a two-sided material, and the number or pixels of a texture.
_OPTIONAL = re.compile(r"\.(brdf_\d+|value|data)(?=\.|$)")


def of(object_id: str, parameter: str) -> str:
    """Key of a parameter of an object."""
    return f"{object_id}.{parameter}"


def group_of(object_id: str) -> str:
    """Identifier of the shape group that holds a shape with an instance."""
    return f"{object_id}__group"


def member_of(object_id: str) -> str:
    """Identifier of a shape inside its group."""
    return f"{object_id}__shape"


def resolve(key: str, known: Iterable[str], shared: Mapping[str, str] | None = None) -> str:
    """Return Mitsuba's name for `key`, which may leave out obvious parts.

    An unknown key is an error with suggestions.

    Parameters
    ----------
    key : str
        Name that the user gives.
    known : iterable of str
        Mitsuba's names.
    shared : mapping of str to str, optional
        Names of objects that others refer to, by the key of the reference: "paint" by "box.bsdf".
    """
    known = list(known)
    if key in known:
        return key
    meant = {_short(key)} | {f"{name}{_short(key)[len(at) :]}" for at, name in (shared or {}).items() if _in(key, at)}
    found = [name for name in known if _short(name) in meant]
    if len(found) == 1:
        return found[0]
    if found:
        raise SceneError(f"the key {shown(key)} is ambiguous: use one of {', '.join(map(repr, found))}")
    raise SceneError(f"the scene has no parameter {shown(key)}; {suggest(key, {_short(name) for name in known})}")


def _in(key: str, place: str) -> bool:
    return _short(key).startswith(f"{place}.")


def _short(key: str) -> str:
    # The user's name of a shape that was put into a group.
    key = re.sub(r"^(.+)__group\.\1__shape\.", r"\1.", key)
    return _OPTIONAL.sub("", key)


def is_brightness(name: str) -> bool:
    """Whether a parameter makes a light bright.

    The maps of environments have none of these names.
    """
    return re.search(r"\.(radiance|intensity|irradiance)(\.value|\.data)?$", name) is not None


def is_shading(name: str) -> bool:
    """Whether a parameter is the brightness of a light or of a diffuse material."""
    return is_brightness(name) or re.search(r"\.(reflectance(\.value)?|scale)$", name) is not None
