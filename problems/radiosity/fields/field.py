"""Radiance field: a network from position and direction to radiance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import evolve, field, frozen
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from invopt.plugin import boolean, by_name, instance, integer, one_of, shown, with_fields

from .hash_grid import HashGrid
from .query import Query

__all__ = ["PLAIN", "Field", "as_field", "linear_layers", "split", "xavier"]

Shapes = dict[str, tuple[int, ...]]
Lookup = Callable[[Tensor, Tensor], Tensor]
# Inputs beside the encoding: position, direction, normal and albedo, three numbers each.
_PLAIN_INPUTS = 12
# Largest entry of a new hash table (Müller et al. 2022, section 4).
_TABLE_LIMIT = 1e-4
_TABLE = "encoding"
# Factor of a demodulated output: the diffuse reflectance, and what it is where there is none, for what shines without.
_OF_ALBEDO, _WITHOUT_ALBEDO = 0.95, 0.05
# The papers' output and inputs.
PLAIN: dict[str, Any] = {"output": "linear", "reflection": False, "demodulated": False}


def _small_grid() -> HashGrid:
    return HashGrid(levels=10, base=4, growth=1.6, log2_size=15)


def _as_hash_grid(value: Any) -> Any:
    return with_fields(_small_grid(), value) if isinstance(value, Mapping) else value


@frozen(kw_only=True)
class Field:
    """Radiance field: a multi-layer perceptron with a hash encoding of positions.

    Its inputs are position, direction, normal, albedo and the encoding, its output is the *reflected* radiance.
    Emission is known and not part of the field.

    Parameters
    ----------
    width : int, default 64
        Units of a hidden layer.
    depth : int, default 4
        Linear layers, at least 2.
    encoding : HashGrid or mapping of some of its fields, optional
        Encoding of positions; by default 10 levels of at most 2^15 vertices, from 4 on a side, growing by 1.6.
    output : {"exp", "linear"}, default "exp"
        Exponential of the last layer's output, which is positive and reaches very large and very small values equally
        fast; or that output itself, as in the papers.
    reflection : bool, default True
        Whether the mirrored direction is an input too, which it is not in the papers. The radiance of a curved
        glossy surface varies slowly with it [1]_.
    demodulated : bool, default True
        Whether the output is multiplied by 0.95 times the diffuse reflectance plus 0.05, which it is not in the
        papers. The network then learns the light that arrives, and not textures.

    References
    ----------
    .. [1] Verbin, Hedman, Mildenhall, Zickler, Barron, Srinivasan, "Ref-NeRF: Structured View-Dependent Appearance for
       Neural Radiance Fields", CVPR 2022, equation 4.

    Examples
    --------
    >>> Field.paper().width, Field.paper().depth
    (512, 7)
    """

    # Version of the inputs; weights belong to one version. Since 2, the normal is that of the visible side.
    version: ClassVar[int] = 2

    width: int = field(default=64, validator=integer(4))
    depth: int = field(default=4, validator=integer(2))
    encoding: HashGrid = field(
        factory=_small_grid,
        converter=_as_hash_grid,
        validator=instance(HashGrid),
    )
    output: str = field(default="exp", validator=one_of("exp", "linear"))
    reflection: bool = field(default=True, validator=boolean)
    demodulated: bool = field(default=True, validator=boolean)

    @classmethod
    def small(cls) -> Field:
        """Field for a CPU: 4 layers of 64 units, 10 levels of at most 2^15 points."""
        return cls()

    @classmethod
    def tiny(cls) -> Field:
        """Field for tests: 3 layers of 16 units, 4 levels of at most 2^8 points."""
        return cls(width=16, depth=3, encoding=HashGrid(levels=4, base=2, growth=1.6, log2_size=8))

    @classmethod
    def paper(cls) -> Field:
        """The papers' field: 7 layers of 512 units, 14 levels of up to 2^18 points."""
        return cls(width=512, depth=7, encoding=HashGrid(), **PLAIN)

    @property
    def inputs(self) -> int:
        """Number of inputs of the first layer."""
        return _PLAIN_INPUTS + (3 if self.reflection else 0) + self.encoding.width

    @property
    def shapes(self) -> Shapes:
        """Name and shape of each part of the vector, in order.

        The table is first, where memory is aligned.
        """
        units = [self.inputs, *[self.width] * (self.depth - 1), 3]
        return {_TABLE: (self.encoding.size,)} | linear_layers("layer", units)

    def initial(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Random weights, shape (n,): Xavier's uniform, biases 0, table near 0."""
        parts = [rng.uniform(-_TABLE_LIMIT, _TABLE_LIMIT, self.encoding.size)]
        parts += [xavier(rng, shape) for name, shape in self.shapes.items() if name != _TABLE]
        return np.concatenate(parts)

    def features(self, weights: Mapping[str, Tensor], query: Query, lookup: Lookup) -> Tensor:
        """Inputs of the first layer, shape (k, inputs).

        The normal is that of the visible side. Otherwise the two sides of a wall would differ only in the sign of a
        product of inputs, which a network with few layers learns too slowly: light would leak through walls, and be
        reflected again.
        """
        cosine = (query.direction * query.normal).sum(0)
        facing = torch.where(cosine < 0, -query.normal, query.normal)
        parts = [query.position * 2 - 1, query.direction, facing, query.albedo]
        if self.reflection:
            parts.append(2 * cosine * query.normal - query.direction)
        return torch.cat([*parts, lookup(query.position, weights[_TABLE])]).t()

    def __call__(self, weights: Mapping[str, Tensor], query: Query, lookup: Lookup, *, mixed: bool = False) -> Tensor:
        """Reflected radiance.

        Parameters
        ----------
        weights : mapping of str to Tensor
            Parts of the vector, as `split` returns them.
        query : Query
            Inputs at k points.
        lookup : callable
            ``lookup(points, table)``, such as `HashGrid.lookup`.
        mixed : bool
            Compute hidden layers in bfloat16. The first and the last remain in float32, to resolve positions and
            radiances.

        Returns
        -------
        Tensor, shape (k, 3)
        """
        hidden = self.features(weights, query, lookup)
        for i in range(self.depth - 1):
            narrow = mixed and i > 0
            with torch.autocast(hidden.device.type, dtype=torch.bfloat16, enabled=narrow):
                hidden = functional.linear(hidden, weights[f"layer{i}.weight"], weights[f"layer{i}.bias"]).relu_()
        last = self.depth - 1
        found = functional.linear(hidden.float(), weights[f"layer{last}.weight"], weights[f"layer{last}.bias"])
        radiance = found.exp() if self.output == "exp" else found
        if not self.demodulated:
            return radiance
        return radiance * (query.albedo.t().clamp(0, 1) * _OF_ALBEDO + _WITHOUT_ALBEDO)


def linear_layers(name: str, units: list[int]) -> Shapes:
    """Return shapes of weights and biases of layers with these numbers of units."""
    shapes: Shapes = {}
    for i, (before, after) in enumerate(pairwise(units)):
        shapes[f"{name}{i}.weight"] = (after, before)
        shapes[f"{name}{i}.bias"] = (after,)
    return shapes


def xavier(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return Xavier's uniform weights of a matrix, or zeros of a bias; flat."""
    if len(shape) == 1:
        return np.zeros(shape)
    # Glorot and Bengio, AISTATS 2010, equation 16.
    limit = math.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, math.prod(shape))


def split(x: Tensor, shapes: Shapes) -> dict[str, Tensor]:
    """Split a flat vector into parts by name, with one backward operation for all."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), torch.split(x, sizes), strict=True)}


_PRESETS = {"small": Field.small, "paper": Field.paper, "tiny": Field.tiny}


def as_field(value: Any, head: Mapping[str, Any] | None = None) -> Field:
    """Return a field, or make it from its name or a mapping of its fields.

    `head` holds fields of one that is made.
    """
    if isinstance(value, Field):
        return value
    if isinstance(value, Mapping):
        made: Field = with_fields(evolve(Field.small(), **(head or {})), value)
        return made
    if isinstance(value, str):
        return evolve(by_name(_PRESETS, value, "field")(), **(head or {}))
    raise TypeError(f"'field' must be one of {', '.join(_PRESETS)}, a Field or a mapping of its fields: {shown(value)}")
