"""Network for the light that is reflected at a point in a direction.

Its weights are one flat vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from invopt.plugin import boolean, by_name, instance, integer, one_of, shown, with_fields

from .hash_grid import HashGrid
from .query import Query

__all__ = ["Field", "as_field", "linear_layers", "split", "xavier"]

Shapes = dict[str, tuple[int, ...]]
Lookup = Callable[[Tensor, Tensor], Tensor]
# Position, direction, normal and albedo: three numbers each.
_PLAIN_INPUTS = 12
# Largest absolute value of the table at the start (Müller et al. 2022, section 3).
_TABLE_RANGE = 1e-4
_TABLE = "encoding"


def _small_grid() -> HashGrid:
    return HashGrid(levels=10, base=4, growth=1.6, log2_size=15)


def _as_hash_grid(value: Any) -> Any:
    return with_fields(_small_grid(), value) if isinstance(value, Mapping) else value


@frozen(kw_only=True)
class Field:
    """Radiance field: a multi-layer perceptron with a hash encoding of positions.

    Its inputs are the encoding, position, direction, normal and albedo.

    It gives the *reflected* radiance. Emitted radiance is known, and added outside.

    Parameters
    ----------
    width : int, default 64
        Units of a hidden layer.
    depth : int, default 4
        Linear layers, at least 2.
    encoding : HashGrid or mapping of some of its fields, optional
        Encoding of positions; by default 10 levels of up to 2^15 points, from 4 vertices a side, growing by 1.6.
    output : {"linear", "exp"}, default "linear"
        Result of the last layer, as in the papers, or its exponential, which is never negative and reaches large and
        small values equally fast: for scenes whose parts differ much in brightness.
    reflection : bool, default False
        Whether the mirrored direction is an input too, which it is not in the papers. The light of a glossy surface
        varies slowly with it, even if the surface is curved [1]_.

    References
    ----------
    .. [1] Verbin, Hedman, Mildenhall, Zickler, Barron, Srinivasan, "Ref-NeRF: Structured View-Dependent Appearance for
       Neural Radiance Fields", CVPR 2022, equation 4.

    Examples
    --------
    >>> Field.paper().width, Field.paper().depth
    (512, 7)
    """

    # Version of the inputs, which weights depend on. 2: the normal is that of the seen side.
    version: ClassVar[int] = 2

    width: int = field(default=64, validator=integer(4))
    depth: int = field(default=4, validator=integer(2))
    encoding: HashGrid = field(
        factory=_small_grid,
        converter=_as_hash_grid,
        validator=instance(HashGrid),
    )
    output: str = field(default="linear", validator=one_of("linear", "exp"))
    reflection: bool = field(default=False, validator=boolean)

    @classmethod
    def small(cls) -> Field:
        """Field for a CPU: 4 layers of 64 units, 10 levels of up to 2^15 points."""
        return cls()

    @classmethod
    def tiny(cls) -> Field:
        """Field for tests: 3 layers of 16 units, 4 levels of up to 2^8 points."""
        return cls(width=16, depth=3, encoding=HashGrid(levels=4, base=2, growth=1.6, log2_size=8))

    @classmethod
    def paper(cls) -> Field:
        """The semi-gradient paper's field: 7 layers of 512, 14 levels of up to 2^18."""
        return cls(width=512, depth=7, encoding=HashGrid())

    @property
    def inputs(self) -> int:
        """Number of inputs of the first layer."""
        return _PLAIN_INPUTS + (3 if self.reflection else 0) + self.encoding.width

    @property
    def shapes(self) -> Shapes:
        """Name and shape of each part of the vector, in order.

        The table comes first, where memory is aligned.
        """
        widths = [self.inputs, *[self.width] * (self.depth - 1), 3]
        return {_TABLE: (self.encoding.size,)} | linear_layers("layer", widths)

    def initial(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Weights of shape (n,): layers by Xavier, biases 0, a table within 1e-4 of 0."""
        parts = [rng.uniform(-_TABLE_RANGE, _TABLE_RANGE, self.encoding.size)]
        parts += [xavier(rng, shape) for name, shape in self.shapes.items() if name != _TABLE]
        return np.concatenate(parts)

    def features(self, weights: Mapping[str, Tensor], query: Query, lookup: Lookup) -> Tensor:
        """Inputs of the first layer, shape (k, inputs), with the normal of the seen side.

        Otherwise the two sides of a wall would differ in the sign of a product only, which few layers learn slowly:
        light would leak through the wall.
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
            Parts of the vector, from `split`.
        query : Query
            The k points.
        lookup : callable
            ``lookup(points, table)``: `HashGrid.lookup`, or Dr.Jit's.
        mixed : bool
            Run the hidden layers in bfloat16. The first and the last, which resolve positions and radiances, stay in
            float32.

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
        return found.exp() if self.output == "exp" else found


def linear_layers(name: str, widths: list[int]) -> Shapes:
    """Shapes of the weights and biases of linear layers of these sizes."""
    shapes: Shapes = {}
    for i, (before, after) in enumerate(pairwise(widths)):
        shapes[f"{name}{i}.weight"] = (after, before)
        shapes[f"{name}{i}.bias"] = (after,)
    return shapes


def xavier(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Uniform weights of a matrix by Xavier Glorot's rule, zeros of a bias; flat."""
    if len(shape) == 1:
        return np.zeros(shape)
    # Glorot and Bengio, AISTATS 2010, equation 16.
    limit = math.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, math.prod(shape))


def split(x: Tensor, shapes: Shapes) -> dict[str, Tensor]:
    """Parts of a flat vector by name, with one backward operation for all of them."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), torch.split(x, sizes), strict=True)}


_PRESETS = {"small": Field.small, "paper": Field.paper, "tiny": Field.tiny}


def as_field(value: Any) -> Field:
    """Return the field that `value` is, names, or maps the fields of."""
    if isinstance(value, Field):
        return value
    if isinstance(value, Mapping):
        made: Field = with_fields(Field.small(), value)
        return made
    if isinstance(value, str):
        return by_name(_PRESETS, value, "field")()
    raise TypeError(f"'field' must be one of {', '.join(_PRESETS)}, a Field or a mapping of its fields: {shown(value)}")
