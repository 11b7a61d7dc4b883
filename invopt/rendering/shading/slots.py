"""Slots: what a parameter shades, and how its texels are looked up."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.exceptions import SceneError
from invopt.rendering.recorded import owned
from invopt.rendering.shading.taps import FILTERS, WRAPS, Taps, environment_taps, surface_taps, uniform_taps
from invopt.rendering.values import renderer

__all__ = ["EnvironmentLookup", "Material", "Slot", "TextureLookup", "UniformLookup", "find_slot"]

# A material, and its side if it has two: 0 in front, 1 behind.
Material = tuple[Any, int | None]
# Lights by class that are proportional to one of their parameters.
_LIGHTS = {
    "AreaLight": "radiance",
    "ConstantBackgroundEmitter": "radiance",
    "PointLight": "intensity",
    "SpotLight": "intensity",
    "DirectionalEmitter": "irradiance",
}
# Look-ups that tell which filter a texture has, their range in units of the picture, and the rounding of its numbers.
_PROBES, _RANGE, _ROUNDING = 256, 3.0, 1e-3


@frozen(eq=False)
class UniformLookup:
    """A colour or a number."""

    def taps(self, where: NDArray[Any], shape: tuple[int, ...]) -> Taps:
        """Look-ups at places of shape (2 or 3, l) in values of this shape."""
        return uniform_taps(where.shape[1])

    def numbers(self, value: NDArray[np.float64]) -> NDArray[np.int64]:
        """Number of each value that is looked up, in the order of the parameter's own."""
        return np.arange(value.size).reshape(1, -1)


@frozen(eq=False)
class TextureLookup:
    """A bitmap texture.

    Parameters
    ----------
    filtering, wrap : str
        See `surface_taps`.
    to_uv : ndarray, shape (3, 3)
        Transform of texture coordinates.
    """

    filtering: str
    wrap: str
    to_uv: NDArray[np.float64]

    def taps(self, where: NDArray[Any], shape: tuple[int, ...]) -> Taps:
        """Look-ups at texture coordinates of shape (2, l)."""
        return surface_taps(where, (shape[0], shape[1]), self.filtering, self.wrap, self.to_uv)

    def numbers(self, value: NDArray[np.float64]) -> NDArray[np.int64]:
        """Number of each texel's values, shape (texels, c)."""
        return np.arange(value.size).reshape(-1, value.shape[2])


@frozen(eq=False)
class EnvironmentLookup:
    """A picture of all directions.

    Parameters
    ----------
    light : mitsuba.Emitter
        The light.
    padding : int
        Columns on either side of its picture that repeat others.
    """

    light: Any
    padding: int

    def taps(self, where: NDArray[Any], shape: tuple[int, ...]) -> Taps:
        """Look-ups in directions of the world, shape (3, l), in a picture with padding."""
        pose = renderer().traverse(self.light)["to_world"]
        turn = np.array(pose.matrix, dtype=np.float64).reshape(4, 4)[:3, :3]
        return environment_taps(np.linalg.solve(turn, where), (shape[0], shape[1] - 2 * self.padding))

    def numbers(self, value: NDArray[np.float64]) -> NDArray[np.int64]:
        """Number of each texel's values, shape (texels, c), repeated ones left out."""
        numbers = np.arange(value.size).reshape(value.shape)
        return numbers[:, self.padding : -self.padding].reshape(-1, value.shape[2])


@frozen(eq=False, kw_only=True)
class Slot:
    """A parameter that pictures are nearly linear in.

    Attributes
    ----------
    key : str
        Mitsuba's name.
    materials : tuple of (mitsuba.BSDF, int or None)
        Materials whose reflection is proportional to it.
    lights : tuple of mitsuba.Emitter
        Lights that are proportional to it.
    lookup : object
        How its values are looked up.
    """

    key: str
    materials: tuple[Material, ...] = ()
    lights: tuple[Any, ...] = ()
    lookup: UniformLookup | TextureLookup | EnvironmentLookup


def find_slot(params: Any, uses: dict[Any, list[tuple[Any, str]]], key: str, padding: int) -> Slot:
    """Return the slot of a parameter.

    Raises
    ------
    SceneError
        If pictures are not proportional to it, or it is of a kind that is not supported.
    """
    node = params.properties[key][2]
    own = key.rpartition(".")[2]
    if node.class_name() == "EnvironmentMapEmitter" and own in ("data", "scale"):
        lookup = EnvironmentLookup(node, padding) if own == "data" else UniformLookup()
        return Slot(key=key, lights=(node,), lookup=lookup)
    if own not in ("value", "data") or not isinstance(node, renderer().Texture):
        raise SceneError(f"{key!r} is no colour, texture or light")
    materials: list[Material] = []
    lights: list[Any] = []
    for user, name in uses[node]:
        if isinstance(user, renderer().Emitter):
            lights.append(_light(user, name, key, own))
        else:
            materials += _materials(user, name, key, uses)
    found = UniformLookup() if own == "value" else _texture(params, node, key)
    return Slot(key=key, materials=tuple(materials), lights=tuple(lights), lookup=found)


def _light(light: Any, name: str, key: str, own: str) -> Any:
    if _LIGHTS.get(light.class_name()) != name:
        raise SceneError(f"{key!r} is the {name} of a {light.class_name()}, which is not recorded")
    if own == "data":
        raise SceneError(f"{key!r} is the texture of a light, which is not recorded")
    return light


def _materials(user: Any, name: str, key: str, uses: dict[Any, list[tuple[Any, str]]]) -> list[Material]:
    """Outermost materials of a diffuse one whose reflectance a texture is."""
    if user.class_name() != "SmoothDiffuse" or name != "reflectance":
        raise SceneError(f"{key!r} is the {name} of a {user.class_name()}: of materials, diffuse ones are recorded")
    found: list[Material] = []
    for around, part in uses[user]:
        if around.class_name() == "TwoSidedBRDF":
            found.append((around, int(part.rpartition("_")[2])))
        elif isinstance(around, renderer().BSDF):
            raise SceneError(f"{key!r} is inside of a {around.class_name()}, which is not recorded")
        elif isinstance(around, renderer().Shape):
            found.append((user, None))
    return list(dict.fromkeys(found))


def _texture(params: Any, texture: Any, key: str) -> TextureLookup:
    """How a bitmap texture is looked up, found by look-ups of random texels."""
    mi = renderer()
    if not texture.class_name().startswith("BitmapTexture"):
        raise SceneError(f"{key!r} is of a {texture.class_name()}, which is not recorded")
    own = mi.traverse(texture)
    kept = type(own["data"])(own["data"])
    shape = tuple(int(size) for size in kept.shape)
    if shape[2] not in (1, 3):
        raise SceneError(f"{key!r} has {shape[2]} numbers per texel, and 1 or 3 are recorded")
    to_uv = np.array(own["to_uv"].matrix, dtype=np.float64)
    rng = np.random.default_rng(0)
    texels = rng.random(shape).astype(np.float32)
    uv = rng.uniform(-_RANGE, _RANGE, (2, _PROBES)).astype(np.float32)
    own["data"] = owned(type(kept)(texels))
    own.update()
    try:
        seen = _looked_up(texture, uv, shape[2])
    finally:
        own["data"] = owned(kept)
        own.update()
    for filtering in FILTERS:
        for wrap in WRAPS:
            found = TextureLookup(filtering, wrap, to_uv)
            expected = found.taps(uv, shape).of(texels.reshape(-1, shape[2]).astype(np.float64))
            # A few look-ups at the edge of a texel may round to its neighbour.
            if float(np.quantile(np.abs(expected - seen).max(1), 0.95)) < _ROUNDING:
                return found
    raise SceneError(f"{key!r} is a texture whose look-up is not recorded")


def _looked_up(texture: Any, uv: NDArray[np.float32], channels: int) -> NDArray[np.float64]:
    import drjit as dr

    mi = renderer()
    si = dr.zeros(mi.SurfaceInteraction3f, uv.shape[1])
    si.uv = mi.Point2f(uv)
    value = texture.eval_1(si) if channels == 1 else texture.eval(si)
    return np.array(value, dtype=np.float64).reshape(channels, -1).T
