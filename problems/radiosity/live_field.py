"""A loaded scene with a radiance field in it."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import BackendError
from invopt.plugin import one_at_a_time
from invopt.rendering.backend import Backend, active
from invopt.rendering.reading import loading

from .device import device_of
from .fields.field import split
from .fields.query import Incident, Query
from .radiosity_description import RadiosityDescription
from .transport.guiding import Lobes
from .transport.leaving import right_side

__all__ = ["LiveField"]


class LiveField:
    """A loaded scene, and the field at any weights.

    Parameters
    ----------
    problem : RadiosityDescription
        The scene to load, and the field; a compiled backend must be active.
    """

    @one_at_a_time()
    def __init__(self, problem: RadiosityDescription) -> None:
        backend = active()
        if backend is None or backend is Backend.SCALAR:
            raise BackendError(
                "neural radiosity needs a compiled backend, 'cuda' or 'llvm', and this machine renders with 'scalar'; "
                "run: invopt doctor"
            )
        if problem.precision == "mixed" and backend is not Backend.CUDA:
            raise BackendError("precision='mixed' needs the backend 'cuda': leave it out, or use 'float32'")
        # Imported here because the module's types are those of the active variant of Mitsuba.
        from .pictures.integrator import register
        from .transport.transport import Transport

        register()
        self.problem = problem
        self.backend = backend
        self.device = device_of(backend)
        self._mixed = backend is Backend.CUDA and problem.precision != "float32"
        scene, _ = loading.load(problem.blueprint())
        self._transport: Any = Transport(
            scene,
            problem.sampling,
            problem.media,
            problem.bounces,
            problem.dark_density,
            (problem.sensors or ()) if problem.points == "views" else None,
            problem.box,
        )
        grid = problem.field.encoding
        self._lookup = grid.lookup if problem.encoder == "torch" else grid.lookup_drjit

    @property
    def transport(self) -> Any:
        """Sampling of light in the scene."""
        if self._transport is None:
            raise ValueError("the scene is closed")
        return self._transport

    def weights(self, x: Tensor) -> dict[str, Tensor]:
        """Split a flat vector into its parts, by name."""
        return split(x, self.problem.shapes)

    @one_at_a_time()
    def reflected(self, weights: Mapping[str, Tensor], query: Query) -> Tensor:
        """Reflected radiance as the field has it, shape (k, 3)."""
        return self.problem.field(weights, query, self._lookup, mixed=self._mixed)

    @one_at_a_time()
    def right(self, weights: Mapping[str, Tensor], incident: Incident, count: int) -> Tensor:
        """Reflected radiance of points by each direction, shape (count, m, 3)."""
        return right_side(partial(self.reflected, weights), incident, count)

    @one_at_a_time()
    def fingerprint(self, low: NDArray[np.float64], extent: NDArray[np.float64]) -> NDArray[np.float32]:
        """What rays in a box of the scene meet, by which a saved field knows its scene."""
        from .transport.fingerprint import fingerprint

        return fingerprint(self.transport.scene, low, extent)

    def features(self, weights: Mapping[str, Tensor], query: Query) -> Tensor:
        """Inputs of the network, shape (k, inputs), without a derivative."""
        with torch.no_grad():
            return self.problem.field.features(weights, query, self._lookup)

    def final_lobes(self, weights: Mapping[str, Tensor], query: Query) -> Lobes | None:
        """Mixtures of the trained guide; None if there is no guide."""
        guide = self.problem.guide
        if guide is None:
            return None
        with torch.no_grad():
            return guide(weights, self.features(weights, query))

    @one_at_a_time()
    def close(self) -> None:
        """Release the scene, which would slow down others."""
        self._transport = None
        gc.collect()
