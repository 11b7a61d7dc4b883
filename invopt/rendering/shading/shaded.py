"""Values of a scene that columns shade, at a point, with their derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt.rendering.bindings.binding import Binding, ValueBinding
from invopt.rendering.parameter import Parameter
from invopt.rendering.shading.reasons import why_not_recorded
from invopt.rendering.shading.slopes import slopes_of

__all__ = ["Shaded", "Values"]

# Least value that is rendered where a Jacobian is asked for, as a share of the range or the mean: light that is
# reflected twice by it, which the Jacobian does not carry back, is then a millionth.
_FLOOR = 1e-3


class Values(NamedTuple):
    """Values by Mitsuba's names, in the shapes of the parameters.

    Attributes
    ----------
    own : dict of str to Tensor
        As the point says.
    raised : dict of str to Tensor
        Not below a floor, at which something is still reflected or emitted.
    slopes : dict of str to csr_matrix
        Derivative of each by all n columns, shape (values, n).
    """

    own: dict[str, Tensor]
    raised: dict[str, Tensor]
    slopes: dict[str, csr_matrix]


class Shaded:
    """The bindings of a live scene that shade, as far as pictures can be recorded.

    Parameters
    ----------
    live : LiveScene
        The scene.
    bindings : sequence of (Binding, list of int)
        Bindings that shade, and their columns.
    own : callable
        ``own(binding) -> Parameter``, the parameter as the scene has it.
    """

    def __init__(
        self, live: Any, bindings: Sequence[tuple[Binding, list[int]]], own: Callable[[Binding], Parameter]
    ) -> None:
        self._live, self._own = live, own
        self._bindings = bindings
        self._known: list[tuple[ValueBinding, list[int]]] | None = None
        self._slopes: dict[ValueBinding, dict[str, csr_matrix]] = {}
        self._names: dict[str, str] = {}

    def at(self, x: Tensor) -> Values:
        """Values at `x` of shape (n,)."""
        found = Values({}, {}, {})
        for binding, columns in self._recorded():
            for key, value in binding.all_values(x[columns], partial(self._own, binding)).items():
                name = self._resolved(key)
                parameter = self._live.parameter(name)
                found.own[name] = value.reshape(parameter.value.shape)
                found.raised[name] = found.own[name].clamp(min=_floor_of(parameter, value))
            found.slopes.update(self._slopes_of(binding, columns, x))
        return found

    def _recorded(self) -> list[tuple[ValueBinding, list[int]]]:
        if self._known is None:
            self._known = [
                (binding, columns)
                for binding, columns in self._bindings
                if isinstance(binding, ValueBinding)
                and not why_not_recorded(binding, self._live, partial(self._own, binding))
            ]
        return self._known

    def _slopes_of(self, binding: ValueBinding, columns: list[int], x: Tensor) -> dict[str, csr_matrix]:
        """Derivatives by all columns; those of copies are always the same."""
        if binding in self._slopes:
            return self._slopes[binding]
        size = len(columns)
        place = csr_matrix((np.ones(size), (np.arange(size), columns)), (size, len(x)))
        own = slopes_of(binding, x[columns], partial(self._own, binding))
        found = {self._resolved(key): csr_matrix(slope @ place) for key, slope in own.items()}
        if binding.copies:
            self._slopes[binding] = found
        return found

    def _resolved(self, key: str) -> str:
        if key not in self._names:
            self._names[key] = self._live.resolve(key)
        return self._names[key]


def _floor_of(parameter: Parameter, value: Tensor) -> float:
    """Least value that is rendered where a Jacobian is asked for."""
    size = parameter.high if math.isfinite(parameter.high) else max(float(value.abs().mean()), parameter.size)
    return _FLOOR * (size or 1.0)
