"""The live side of neural radiosity: a loaded scene, the field in it, both sides of the rendering equation."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import BackendError, EvaluationError
from invopt.plugin import Objective, Sides, as_integer, as_vector, one_at_a_time, require
from invopt.rendering.backend import Backend, active
from invopt.rendering.reading import loading

from .device import DTYPE, device_of
from .fields.field import split
from .fields.query import Incident, Query
from .pictures.field_pictures import Sensor, View, emitting, of_field, path_traced
from .radiosity_description import RadiosityDescription
from .seeds import seed_of
from .transport.guiding import Lobes

__all__ = ["RadiosityObjective"]

# What errors say where memory is full: CUDA and Dr.Jit; torch on the CPU.
_FULL = ("out of memory", "can't allocate memory")
# Longer side of small pictures, in pixels.
_PREVIEW = 128


class RadiosityObjective(Objective):
    """Sides of the rendering equation in a loaded scene, and pictures of it; see `NeuralRadiosity`.

    Parameters
    ----------
    problem : RadiosityDescription
        What to load; a compiled backend must be active.
    """

    chunk_size = 1

    @one_at_a_time()
    def __init__(self, problem: RadiosityDescription) -> None:
        backend = active()
        if backend is None or backend is Backend.SCALAR:
            raise BackendError(
                "neural radiosity needs a compiled backend, 'cuda' or 'llvm', and this machine renders with 'scalar'; "
                "run: invopt doctor"
            )
        if problem.precision == "mixed" and backend is not Backend.CUDA:
            raise BackendError("precision='mixed' needs the backend 'cuda': leave it out, or take 'float32'")
        # Only now may modules be imported that hold Mitsuba's types.
        from .transport.transport import Transport

        self.problem = problem
        self._backend = backend
        self.device = device_of(backend)
        self._mixed = backend is Backend.CUDA and problem.precision != "float32"
        scene, _ = loading.load(problem.blueprint())
        self._transport: Any = Transport(scene, problem.sampling, problem.media, problem.bounces, problem.dark_density)
        grid = problem.field.encoding
        self._lookup = grid.lookup if problem.encoder == "torch" else grid.lookup_drjit

    @property
    def transport(self) -> Any:
        """Sampling of light in the scene."""
        if self._transport is None:
            raise ValueError("the scene is closed")
        return self._transport

    @one_at_a_time()
    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Losses at the rows of `x`, shape (k,): those of the points that a seed draws."""
        values = []
        for row, s in zip(x, seed, strict=True):
            with torch.no_grad():
                sides = self.sides(row, seed=int(s), step=0, differentiate_right=False)
                values.append(float(sides.loss.reduce(sides.loss.values(sides.left, sides.right.mean(1)))))
        return torch.tensor(values, dtype=torch.float64)

    @one_at_a_time()
    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """Both sides at freshly drawn points; see `Objective.sides`."""
        problem = self.problem
        try:
            return self._sides(x, seed, step, differentiate_right)
        except RuntimeError as error:
            # torch's own kind on a GPU, Dr.Jit's and the CPU's are plain ones.
            if not any(word in str(error) for word in _FULL):
                raise
            raise EvaluationError(
                f"out of memory with n_points={problem.n_points}, n_directions={problem.n_directions} and a field of "
                f"width {problem.field.width}: lower n_points first; or use SemiGradient, "
                f"which keeps no graph of the right side ({str(error).splitlines()[0]})"
            ) from None

    def _sides(self, x: Tensor, seed: int, step: int, differentiate_right: bool) -> Sides:
        problem = self.problem
        flat = x.detach().to(self.device, DTYPE).requires_grad_()
        weights = self.weights(flat)
        query, emitted, lobes, incident = self._batch(weights, seed, step)
        with nullcontext() if differentiate_right else torch.no_grad():
            right = self.right(weights, incident, problem.n_points)
        left = self.reflected(weights, query)
        extra = None if lobes is None or not problem.learns(step) else self._guide_loss(lobes, incident, right)
        if problem.sides == "outgoing":
            left, right = left + emitted.t(), right + emitted.t().unsqueeze(1)
        facts = {"energy": float(right.detach().mean()), "emitting": float((emitted.amax(0) > 0).float().mean())}
        return Sides(weights=flat, left=left, right=right, loss=problem.loss, extra=extra, facts=facts)

    def _batch(
        self, weights: Mapping[str, Tensor], seed: int, step: int
    ) -> tuple[Query, Tensor, Lobes | None, Incident]:
        """Points, what they emit, the guide's mixtures there if it learns or guides, and the light that arrives."""
        problem, transport, seeds = self.problem, self.transport, (seed_of(seed, 0), seed_of(seed, 1))
        if not problem.guides(step) and not problem.learns(step):
            query, emitted, incident = transport.batch(problem.n_points, problem.n_directions, *seeds)
            return query, emitted, None, incident
        point = transport.points(problem.n_points, seeds[0])
        query, emitted, _ = transport.query(point)
        lobes = self._lobes(weights, query, step)
        used = lobes if problem.guides(step) else None
        return query, emitted, lobes, transport.incident(point, problem.n_directions, seeds[1], used)

    def weights(self, x: Tensor) -> dict[str, Tensor]:
        """Parts of a flat vector by name."""
        return split(x, self.problem.shapes)

    @one_at_a_time()
    def reflected(self, weights: Mapping[str, Tensor], query: Query) -> Tensor:
        """The field's answer, shape (k, 3)."""
        return self.problem.field(weights, query, self._lookup, mixed=self._mixed)

    @one_at_a_time()
    def right(self, weights: Mapping[str, Tensor], incident: Incident, count: int) -> Tensor:
        """Estimates by each direction of what `count` points reflect, shape (count, m, 3)."""
        terms = incident.weight.t() * self.reflected(weights, incident.query) + (incident.known + incident.direct).t()
        return terms.view(count, -1, 3)

    # Guiding.

    def _lobes(self, weights: Mapping[str, Tensor], query: Query, step: int) -> Lobes:
        guide = self.problem.guide
        assert guide is not None
        with torch.no_grad():
            features = self.problem.field.features(weights, query, self._lookup)
        with nullcontext() if self.problem.learns(step) else torch.no_grad():
            return guide(weights, features)

    def final_lobes(self, weights: Mapping[str, Tensor], query: Query) -> Lobes | None:
        """The trained guide's mixtures; None without one."""
        guide = self.problem.guide
        if guide is None:
            return None
        with torch.no_grad():
            return guide(weights, self.problem.field.features(weights, query, self._lookup))

    def _guide_loss(self, lobes: Lobes, incident: Incident, right: Tensor) -> Tensor:
        """Cross entropy to what arrives indirectly and by chance; emitters sampled on their own need no guide."""
        guide = self.problem.guide
        assert guide is not None
        n, m, _ = right.shape
        with torch.no_grad():
            seen = right - incident.direct.t().view(n, m, 3)
            values = seen.mean(2).clamp(min=0)
        return guide.loss(lobes, incident.direction.t().reshape(n, m, 3), values)

    # Pictures.

    @property
    def preview(self) -> tuple[int, int]:
        """Width and height of small pictures of the first camera's shape."""
        width, height = self.transport.size(0)
        scale = min(1.0, _PREVIEW / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    @property
    def reference(self) -> NDArray[np.float32]:  # type: ignore[override]
        """Path-traced preview, made when first asked for and kept on disk."""
        from .pictures.reference import reference

        return reference(self, spp=256, size=self.preview)

    @one_at_a_time()
    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[np.float32]:
        """Left side as the first camera sees it, small."""
        return self.render(x, spp=spp or 16, seed=seed, size=self.preview)

    @one_at_a_time()
    def write(self, x: NDArray[np.float64], out: Path) -> list[Path]:
        """Write the right side, the errors of both, and the field itself."""
        from .run_files import write_run_files

        return write_run_files(self, x, out)

    @one_at_a_time()
    def render(
        self,
        x: Any,
        sensor: Sensor = 0,
        *,
        side: str = "lhs",
        spp: int = 4,
        n_directions: int | None = None,
        size: tuple[int, int] | None = None,
        seed: int = 0,
    ) -> NDArray[np.float32]:
        """Picture of the field.

        Parameters
        ----------
        x : array_like, shape (n,)
            Weights.
        sensor : int or dict, default 0
            Which camera of the scene, or the description of another one.
        side : {"lhs", "rhs"}, default "lhs"
            The field, or what comes of it after the problem's `bounces`: slower, closer to the truth, with noise.
        spp : int, default 4
            Rays through a pixel.
        n_directions : int, optional
            Incident directions of each, for the right side; by default the problem's.
        size : (int, int), optional
            Width and height, instead of the camera's.
        seed : int, default 0
            Seed of the rays.

        Returns
        -------
        ndarray of float32, shape (height, width, 3)
            Linear RGB, each pixel the mean over its square.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind or out of range; `SceneError` if there is no such camera.
        """
        if side not in ("lhs", "rhs"):
            raise ValueError(f"'side' must be 'lhs' or 'rhs': {side!r}")
        directions = self.problem.n_directions if n_directions is None else as_integer("n_directions", n_directions)
        require("n_directions", directions >= 1, ">= 1", n_directions)
        found = as_vector("x", x, size=self.problem.n)
        weights = self.weights(torch.as_tensor(found, dtype=DTYPE, device=self.device))
        return of_field(self, weights, self._view(sensor, size, spp, seed), directions if side == "rhs" else 0)

    @one_at_a_time()
    def trace(
        self,
        sensor: Sensor = 0,
        *,
        spp: int,
        seed: int,
        depth: int = 64,
        size: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Path-traced picture through the same pixels, of paths up to `depth` long."""
        require("depth", as_integer("depth", depth) >= 1, ">= 1", depth)
        return path_traced(self, self._view(sensor, size, spp, seed), depth)

    @one_at_a_time()
    def denoise(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """A noisy picture through OptiX's denoiser; on a GPU only."""
        if self._backend is not Backend.CUDA:
            raise BackendError("the OptiX denoiser needs the backend 'cuda'")
        from .pictures.denoising import denoised

        return denoised(picture)

    @one_at_a_time()
    def emitting_pixels(self, sensor: Sensor = 0, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
        """Pixels in which, or next to which, an emitter is seen, shape (height, width): errors there are of its edge.

        None of them where an emitter is seen in all.
        """
        return emitting(self, self._view(sensor, size, 4, 0))

    def _view(self, sensor: Sensor, size: tuple[int, int] | None, spp: int, seed: int) -> View:
        return View.checked(sensor, self.transport.size(sensor) if size is None else size, spp, seed)

    @one_at_a_time()
    def close(self) -> None:
        """Drop the scene, so that it slows no other."""
        self._transport = None
        gc.collect()
