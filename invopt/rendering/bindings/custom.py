"""Binding of parameters that a function computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.formatting import shown
from invopt.core.validators import as_vector, boolean, has_masked, require
from invopt.rendering.bindings.binding import Own, ValueBinding
from invopt.rendering.parameter import Parameter

__all__ = ["Custom"]


def _start(value: Any) -> NDArray[np.float64]:
    return as_vector("x0", value)


def _names(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"'columns' must be a list of names: {shown(value)}")
    return tuple(value)


@frozen(kw_only=True, eq=False)
class Custom(ValueBinding):
    """Parameters that a function computes from its columns.

    Parameters
    ----------
    target : str
        Readable name.
    function : callable
        ``function(x) -> {key: value}`` of a float64 tensor of shape (n,). The keys are Mitsuba's names and always the
        same. If the function is written in torch, the renderer's derivative passes through it.
    x0 : array_like, shape (n,)
        Start.
    columns : sequence of str, optional
        Readable names of the columns.
    shades : bool, default False
        Whether pictures are nearly linear in the columns, as in colours and lights that the function mixes; it is then
        written in torch.

    Notes
    -----
    Without finite bounds, the default scale is 1. Lambdas and closures work too; `workers` get a copy of the function.
    """

    function: Callable[[Tensor], Mapping[str, Any]] = field()
    x0: NDArray[np.float64] = field(converter=_start)
    columns: tuple[str, ...] | None = field(default=None, converter=_names)
    shades: bool = field(default=False, validator=boolean)  # type: ignore[misc]

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        require("also", not self.also, "left out: 'function' returns the values of all parameters", self.also)
        if not callable(self.function):
            raise TypeError(f"'function' must be callable as function(x) -> {{key: value}}: {shown(self.function)}")
        low, high = self.limits(self.x0.size, _no_own)
        inside = (low <= self.x0) & (self.x0 <= high)
        require("x0", bool(inside.all()), f"inside 'bounds', {shown(self.bounds)}", self.x0.tolist())
        if self.columns is not None and len(self.columns) != self.x0.size:
            raise ValueError(f"'columns' must be {self.x0.size} names: {shown(self.columns)}")

    @property
    def columns_known(self) -> int:
        """Number of columns of the start."""
        return self.x0.size

    def default_bounds(self, own: Own) -> Any:
        """No bounds: only the function knows what the columns mean."""
        return None

    def parts(self, own: Own) -> tuple[str, ...]:
        """The names given, else numbers."""
        return self.columns or tuple(str(i) for i in range(self.x0.size))

    def claims(self) -> frozenset[str]:
        """The keys that the function returns at its start."""
        found = frozenset(self.values(torch.from_numpy(self.x0), _no_own))
        require(f"function of {self.label}", bool(found), "one that returns at least one value", {})
        return found

    def initial(self, own: Own) -> NDArray[np.float64]:
        """The start `x0`."""
        return self.x0.copy()

    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """Values that the function returns."""
        result = self.function(x)
        if not isinstance(result, Mapping):
            raise TypeError(f"'function' of {self.label!r} must return a mapping of keys to values: {result!r}")
        return {key: self._as_tensor(key, value) for key, value in result.items()}

    def _as_tensor(self, key: object, value: Any) -> Tensor:
        if not isinstance(key, str):
            raise TypeError(f"'function' of {self.label!r} must return a mapping of names to values: name {shown(key)}")
        try:
            if has_masked(value):
                raise ValueError("it has masked elements")
            return torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"'function' of {self.label!r} must return numbers for {shown(key)}: {error}") from None


def _no_own() -> Parameter:
    raise TypeError("a custom binding does not read the scene")
