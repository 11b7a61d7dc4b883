"""Binding of the vertices of a mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.validators import has_masked, plain, require
from invopt.exceptions import SceneError
from invopt.rendering.bindings.binding import Own, ValueBinding
from invopt.rendering.parameter import Kind
from invopt.rendering.reading import keys

__all__ = ["Displacements"]


def _as_key(value: Any) -> Any:
    """Key of the vertices of a mesh, from its name or the key itself."""
    end = f".{keys.VERTEX_POSITIONS}"
    return value if not isinstance(value, str) or not value or value.endswith(end) else f"{value}{end}"


def _as_basis(value: Any) -> NDArray[np.float64]:
    try:
        basis = np.array(plain(value), dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        basis = np.empty(0)
    fits = basis.ndim == 3 and basis.shape[2] == 3 and basis.size > 0 and not has_masked(value)
    rule = "finite numbers of shape (k, vertices, 3): k displacements of all vertices"
    require("basis", bool(fits and np.isfinite(basis).all()), rule, value)
    return basis


@frozen(kw_only=True, eq=False)
class Displacements(ValueBinding):
    """Shape of a mesh: its vertices, displaced by a sum of given displacements.

    Column j is the factor of displacement j; the mesh of the scene has factors 0.

    Parameters
    ----------
    target : str
        Name of the mesh.
    basis : array_like, shape (k, vertices, 3)
        Displacements, in scene units: modes, bumps, or a direction for each handle.

    Notes
    -----
    Vertices that differ in nothing but their normals or texture coordinates must be displaced alike, or the mesh tears.
    Without finite bounds, the default scale is 1.
    """

    target: str = field(kw_only=False, converter=_as_key)
    basis: NDArray[np.float64] = field(converter=_as_basis)

    @property
    def columns_known(self) -> int:
        """One column for each displacement."""
        return len(self.basis)

    def default_bounds(self, own: Own) -> Any:
        """No bounds."""
        return None

    def parts(self, own: Own) -> tuple[str, ...]:
        """Number of each displacement."""
        return tuple(f"[{number}]" for number in range(len(self.basis)))

    def initial(self, own: Own) -> NDArray[np.float64]:
        """No displacement."""
        parameter = own()
        self.require_kind(parameter, Kind.BUFFER)
        count = parameter.value.size // 3
        if self.basis.shape[1] != count:
            raise SceneError(
                f"'basis' of {self.label!r} is of {self.basis.shape[1]} vertices, and the mesh has {count}"
            )
        return np.zeros(len(self.basis))

    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """The displaced vertices."""
        vertices = torch.from_numpy(own().value.ravel())
        return {self.target: vertices + x @ torch.from_numpy(self.basis.reshape(len(self.basis), -1))}
