"""Protocol of an open scene, for pictures, references and records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .fields.query import Incident, Query
from .transport.guiding import Lobes

__all__ = ["OpenScene"]


class OpenScene(Protocol):
    """A loaded scene with a field in it."""

    problem: Any
    device: torch.device

    @property
    def transport(self) -> Any:
        """Sampling of light in the scene."""

    def weights(self, x: Tensor) -> dict[str, Tensor]:
        """Parts of a flat vector by name."""

    def reflected(self, weights: Mapping[str, Tensor], query: Query) -> Tensor:
        """Reflected radiance by the field, shape (k, 3)."""

    def right(self, weights: Mapping[str, Tensor], incident: Incident, count: int) -> Tensor:
        """Reflected light at `count` points by each direction, shape (count, m, 3)."""

    def final_lobes(self, weights: Mapping[str, Tensor], query: Query) -> Lobes | None:
        """Mixtures of the trained guide; None without a guide."""

    @property
    def preview(self) -> tuple[int, int]:
        """Width and height of small pictures, in proportion to the first camera's."""

    @property
    def reference(self) -> NDArray[np.float32]:
        """Path-traced preview."""

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[np.float32]:
        """Small picture of the left side by the first camera."""

    @property
    def render(self) -> Any:
        """Make a picture of the field, as `RadiosityObjective.render` does."""

    @property
    def trace(self) -> Any:
        """Trace a picture of the scene, as `RadiosityObjective.trace` does."""

    @property
    def emitting_pixels(self) -> Any:
        """Find pixels with an emitter, as `RadiosityObjective.emitting_pixels` does."""
