"""Pictures of a live radiance field."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from invopt.plugin import as_integer, as_vector, one_at_a_time, require

from .device import DTYPE
from .energy import PATHS, Energy, energy_of
from .live_field import LiveField
from .pictures.field_pictures import Sensor, View, emitting, of_field, path_traced
from .seeds import seed_of

__all__ = ["PicturedField"]

# Longer side of previews, in pixels: small, because each scene needs a path-traced reference of this size.
_PREVIEW_PIXELS = 128


class PicturedField(LiveField):
    """A `LiveField` that makes pictures of the field and of its scene."""

    @property
    def has_camera(self) -> bool:
        """Whether the scene has a camera."""
        return bool(self.transport.scene.sensors())

    @property
    def preview(self) -> tuple[int, int]:
        """Width and height of previews, which have the first camera's aspect ratio."""
        width, height = self.transport.size(0)
        scale = min(1.0, _PREVIEW_PIXELS / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

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
        """Render the field.

        Parameters
        ----------
        x : array_like, shape (n,)
            Weights.
        sensor : int or dict, default 0
            Number of a camera of the scene, or the description of another one.
        side : {"lhs", "rhs"}, default "lhs"
            The field itself, or its right side, which is light after the problem's `bounces`: slower, more accurate,
            noisier.
        spp : int, default 4
            Rays through each pixel.
        n_directions : int, optional
            Incident directions of each ray for the right side; by default the problem's.
        size : (int, int), optional
            Width and height instead of the camera's.
        seed : int, default 0
            Seed of the rays.

        Returns
        -------
        ndarray of float32, shape (height, width, 3)
            Linear RGB; each pixel is the mean over its square.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind or out of range; `SceneError` if there is no such camera.
        """
        if side not in ("lhs", "rhs"):
            raise ValueError(f"'side' must be 'lhs' or 'rhs': {side!r}")
        directions = self.problem.n_directions if n_directions is None else as_integer("n_directions", n_directions)
        require("n_directions", directions >= 1, ">= 1", n_directions)
        return of_field(
            self, self._weights_at(x), self._view(sensor, size, spp, seed), directions if side == "rhs" else 0
        )

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
        """Render the scene by path tracing, with paths of at most `depth` segments."""
        require("depth", as_integer("depth", depth) >= 1, ">= 1", depth)
        return path_traced(self, self._view(sensor, size, spp, seed), depth)

    @one_at_a_time()
    def energy(self, x: Any, *, paths: int = PATHS, seed: int = 0) -> Energy | None:
        """Measure the energy of the pictures over the truth's, without a reference.

        Parameters
        ----------
        x : array_like, shape (n,)
            Weights.
        paths : int, default 262144
            Paths from the cameras of the points, or of the scene; errors fall as one over their root.
        seed : int, default 0
            Seed of the paths.

        Returns
        -------
        Energy or None
            Without bias, with standard errors; None if the paths find no light.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind or out of range; `SceneError` if the scene has no camera.
        """
        require("paths", as_integer("paths", paths) >= 2, ">= 2", paths)
        require("seed", as_integer("seed", seed) >= 0, ">= 0", seed)
        return energy_of(self, self._weights_at(x), int(paths), seed_of(seed, 2))

    @property
    def can_denoise(self) -> bool:
        """Whether there is a denoiser here: OptiX on a GPU, or else pyoidn."""
        from .pictures.denoising import can_denoise

        return can_denoise(self.backend)

    @one_at_a_time()
    def denoise(self, picture: ArrayLike, sensor: Sensor = 0) -> NDArray[np.float32]:
        """Denoise a picture of the scene, of a side of the field or path-traced.

        By Open Image Denoise on a CPU, by OptiX on a GPU, both with the diffuse reflectances and the normals that the
        camera sees.

        Parameters
        ----------
        picture : array_like, shape (height, width, 3)
            Linear RGB.
        sensor : int or dict, default 0
            The camera that sees it.

        Returns
        -------
        ndarray of float32, shape (height, width, 3)

        Raises
        ------
        InvoptError
            If pyoidn is not installed: ``pip install 'invopt[denoise]'``.
        """
        from .pictures.denoising import denoised

        found = np.ascontiguousarray(picture, dtype=np.float32)
        require("picture", found.ndim == 3 and found.shape[-1] == 3, "of shape (height, width, 3)", found.shape)
        return denoised(found, self.transport, sensor, self.backend)

    @one_at_a_time()
    def emitting_pixels(self, sensor: Sensor = 0, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
        """Find pixels that see an emitter, and their neighbours; (height, width).

        Errors there are those of the emitter's edge. If every pixel sees an emitter, none is marked.
        """
        return emitting(self, self._view(sensor, size, 4, 0))

    def _weights_at(self, x: Any) -> dict[str, torch.Tensor]:
        found = as_vector("x", x, size=self.problem.n)
        return self.weights(torch.as_tensor(found, dtype=DTYPE, device=self.device))

    def _view(self, sensor: Sensor, size: tuple[int, int] | None, spp: int, seed: int) -> View:
        return View.checked(sensor, self.transport.size(sensor) if size is None else size, spp, seed)
