"""Objective of neural radiosity: both sides of the rendering equation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import EvaluationError
from invopt.plugin import Objective, Sides, one_at_a_time

from .device import DTYPE
from .energy import energy_entries
from .fields.query import Incident, Query
from .pictured_field import PicturedField
from .pictures.reference import reference
from .run_files import write_run_files
from .seeds import seed_of
from .transport.guiding import Lobes

__all__ = ["RadiosityObjective"]

# Parts of the messages of CUDA and Dr.Jit, and of torch on a CPU, when memory is exhausted.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
# Samples per pixel of the previews of a run: of the field, and of the path-traced reference.
_PREVIEW_SPP, _PREVIEW_REFERENCE_SPP = 16, 256


class RadiosityObjective(PicturedField, Objective):
    """Both sides of the rendering equation in a scene; see `NeuralRadiosity`.

    Parameters
    ----------
    problem : RadiosityDescription
        The scene to load, and the field; a compiled backend must be active.
    """

    chunk_size = 1

    @one_at_a_time()
    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Losses at the rows of `x`, shape (k,), each at the points of its seed."""
        values = []
        for row, s in zip(x, seed, strict=True):
            with torch.no_grad():
                sides = self.sides(row, seed=int(s), step=0, differentiate_right=False)
                values.append(float(sides.loss.reduce(sides.loss.values(sides.left, sides.right.mean(1)))))
        return torch.tensor(values, dtype=torch.float64)

    @one_at_a_time()
    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """Both sides at new random points; see `Objective.sides`."""
        problem = self.problem
        try:
            return self._sides(x, seed, step, differentiate_right)
        except RuntimeError as error:
            # torch has a type of its own for this on a GPU, but Dr.Jit and the CPU have not.
            if not any(word in str(error) for word in _OUT_OF_MEMORY):
                raise
            raise EvaluationError(
                f"out of memory with n_points={problem.n_points}, n_directions={problem.n_directions} and a field of "
                f"width {problem.field.width}: lower n_points first, or use SemiGradient, "
                f"which keeps no graph of the right side ({str(error).splitlines()[0]})"
            ) from None

    def _sides(self, x: Tensor, seed: int, step: int, differentiate_right: bool) -> Sides:
        problem = self.problem
        flat = x.detach().to(self.device, DTYPE).requires_grad_()
        weights = self.weights(flat)
        query, emitted, lobes, incident = self._batch(weights, seed, step)
        with nullcontext() if differentiate_right else torch.no_grad():
            right = self.right(weights, incident, problem.n_points)
        if not bool(right.isfinite().all()) and (named := self.transport.not_finite()):
            raise EvaluationError(f"the light of the scene is not finite: {named}")
        left = self.reflected(weights, query)
        extra = None if lobes is None or not problem.learns(step) else self._guide_loss(lobes, incident, right)
        if problem.sides == "outgoing":
            left, right = left + emitted.t(), right + emitted.t().unsqueeze(1)
        metrics = {"energy": float(right.detach().mean()), "emitting": float((emitted.amax(0) > 0).float().mean())}
        return Sides(weights=flat, left=left, right=right, loss=problem.loss, extra=extra, metrics=metrics)

    def _batch(
        self, weights: Mapping[str, Tensor], seed: int, step: int
    ) -> tuple[Query, Tensor, Lobes | None, Incident]:
        """Return points, their emission, mixtures of the guide, and incident light."""
        problem, transport, seeds = self.problem, self.transport, (seed_of(seed, 0), seed_of(seed, 1))
        if not problem.guides(step) and not problem.learns(step):
            query, emitted, incident = transport.batch(problem.n_points, problem.n_directions, *seeds)
            return query, emitted, None, incident
        point = transport.points(problem.n_points, seeds[0])
        query, emitted, _ = transport.query(point)
        lobes = self._lobes(weights, query, step)
        used = lobes if problem.guides(step) else None
        return query, emitted, lobes, transport.incident(point, problem.n_directions, seeds[1], used)

    def _lobes(self, weights: Mapping[str, Tensor], query: Query, step: int) -> Lobes:
        guide = self.problem.guide
        assert guide is not None
        with nullcontext() if self.problem.learns(step) else torch.no_grad():
            return guide(weights, self.features(weights, query))

    def _guide_loss(self, lobes: Lobes, incident: Incident, right: Tensor) -> Tensor:
        """Return the guide's loss, for the light that no emitter sample brings."""
        guide = self.problem.guide
        assert guide is not None
        n, m, _ = right.shape
        with torch.no_grad():
            indirect = right - incident.direct.t().view(n, m, 3)
            values = indirect.mean(2).clamp(min=0)
        return guide.loss(lobes, incident.direction.t().reshape(n, m, 3), values)

    def measurements(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Energies of the field's pictures over the truth's; see `PicturedField.energy`."""
        if not (self.problem.energy_check and self.has_camera):
            return {}
        return energy_entries(self, x)

    @property
    def reference(self) -> NDArray[np.float32] | None:  # type: ignore[override]
        """Path-traced preview, rendered when first needed and kept on disk.

        None if the scene has no camera.
        """
        if not self.has_camera:
            return None
        return reference(self, spp=_PREVIEW_REFERENCE_SPP, size=self.preview)

    @one_at_a_time()
    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[np.float32] | None:
        """Preview of the field, seen by the first camera; None without a camera."""
        if not self.has_camera:
            return None
        return self.render(x, spp=spp or _PREVIEW_SPP, seed=seed, size=self.preview)

    @one_at_a_time()
    def write(self, x: NDArray[np.float64], out: Path) -> list[Path]:
        """Write a picture of the right side, the errors of both sides, and the field."""
        return write_run_files(self, x, self.image(x), self.reference, out)
