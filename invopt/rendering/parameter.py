"""Parameters of a scene: value, kind and range."""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.rendering.values import from_mitsuba, renderer

__all__ = ["Kind", "Parameter", "describe", "owner_of"]

# Numbers of materials without an upper bound of 1: indices of refraction and roughness.
_UNBOUNDED = ("eta", "k", "alpha", "alpha_u", "alpha_v")


class Kind(enum.Enum):
    """Kind of a value; the text stands in messages."""

    NUMBER = "a number"
    COLOR = "a colour"
    TEXELS = "a bitmap texture"
    GRID = "a volume grid"
    POINT = "a point or a vector"
    POSE = "a transform"
    BUFFER = "a buffer of numbers"
    DISCRETE = "a flag, an integer or a text"


@frozen(eq=False)
class Parameter:
    """A parameter of a scene.

    Attributes
    ----------
    value : ndarray of float64
        As `from_mitsuba` returns it.
    kind : Kind
        Kind of the value.
    low, high : float
        Closed range of each number. It follows from the object: emitted light has no upper bound, a reflectance is in
        [0, 1].
    padding : int
        Columns on either side of a picture that repeat those of the other side; 0 unless it surrounds the scene.
    """

    value: NDArray[np.float64]
    kind: Kind = Kind.NUMBER
    low: float = -math.inf
    high: float = math.inf
    padding: int = 0

    @property
    def size(self) -> float:
        """Mean of the absolute values of its numbers."""
        return float(np.abs(self.value).mean()) if self.value.size else 0.0


def describe(params: Any, key: str) -> Parameter:
    """Describe the parameter of this key among those that Mitsuba traverses."""
    value = params[key]
    kind = _kind_of(value)
    if kind is Kind.DISCRETE:
        return Parameter(np.zeros(0), kind)
    return Parameter(from_mitsuba(value), kind, *_range_of(params, key), padding=_padding_of(params, key))


def _kind_of(value: Any) -> Kind:
    name = type(value).__name__.removeprefix("Scalar")
    if isinstance(value, str | bool | int) or "UInt" in name or name.endswith(("u", "i", "Bool", "Int")):
        return Kind.DISCRETE
    if hasattr(value, "inverse_transpose") or name.startswith("Matrix"):
        return Kind.POSE
    if name.startswith("Tensor"):
        return {3: Kind.TEXELS, 4: Kind.GRID}.get(len(value.shape), Kind.BUFFER)
    if name.startswith(("Point", "Vector", "Normal")):
        return Kind.POINT
    if name.startswith(("Color", "Spectrum")):
        return Kind.COLOR
    return Kind.NUMBER if isinstance(value, float) or len(value) == 1 else Kind.BUFFER


def _range_of(params: Any, key: str) -> tuple[float, float]:
    """Closed range of a parameter, by the kind of its emitter, medium or material."""
    mi = renderer()

    owner, slot = owner_of(params, key)
    name = key.rpartition(".")[2]
    # Angles, weights and the like, which are neither radiances nor reflectances, have no known range.
    amount = name in ("value", "data") or name.endswith("scale")
    if not amount or owner is None or owner.class_name() == "BumpMap":
        return -math.inf, math.inf
    share = slot not in _UNBOUNDED if isinstance(owner, mi.BSDF) else slot == "albedo"
    return 0.0, 1.0 if share and not name.endswith("scale") else math.inf


def _padding_of(params: Any, key: str) -> int:
    """Repeated columns on either side: Mitsuba's environment maps have one each."""
    owner, slot = owner_of(params, key)
    return int(owner is not None and owner.class_name() == "EnvironmentMapEmitter" and slot == "data")


def owner_of(params: Any, key: str) -> tuple[Any, str]:
    """The nearest emitter, medium or material around a parameter.

    With it comes the name of its part that holds the parameter.
    """
    mi = renderer()

    node, parts = params.properties[key][2], key.split(".")
    while node is not None and not isinstance(node, mi.Emitter | mi.Medium | mi.BSDF):
        node = params.hierarchy.get(node, (None,))[0]
        parts = parts[:-1] or [""]
    return node, parts[-1]
