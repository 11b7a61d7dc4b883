"""The live side of a scene: pictures, losses, derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt._problem import ADJOINT, Adjoint, Objective
from invopt.rendering.targets import check_target, read_target

if TYPE_CHECKING:
    from .scene import Scene

__all__ = ["SceneObjective"]


class SceneObjective(Objective):
    """The live scene; see `Scene`.

    Parameters
    ----------
    problem : Scene
        What to load; a backend must be active.
    """

    chunk_size = 1

    def __init__(self, problem: Scene) -> None:
        self._samples = problem.spp
        self._scene = problem.bound()
        try:
            self._targets = self._find_targets(problem)
            self._scene.set_targets(self._targets)
        except BaseException:
            self.close()
            raise
        self.reference: NDArray[np.float32] = _side_by_side(self._targets)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Losses, shape (k,)."""
        values = []
        for row, s in zip(x, seed, strict=True):
            placed = self._apply(row)
            values.append(self._scene.live.loss(seed=int(s), spp=spp or self._samples) if placed else float("nan"))
        return torch.tensor(values, dtype=torch.float64)

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Weighted differences to the target, shape (k, m)."""
        rows: list[Tensor | None] = []
        for row, s in zip(x, seed, strict=True):
            placed = self._apply(row)
            found = self._scene.live.residuals(seed=int(s), spp=spp or self._samples) if placed else None
            rows.append(None if found is None else torch.from_numpy(found))
        width = next((row.numel() for row in rows if row is not None), self.reference.size)
        nothing = torch.full((width,), torch.nan, dtype=torch.float64)
        return torch.stack([nothing if row is None else row for row in rows])

    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Loss and the renderer's derivative of shape (n,) at `x` of shape (n,)."""
        if not bool(torch.isfinite(x).all()):
            return float("nan"), torch.full_like(x, torch.nan)
        return self._scene.derivative(x, seed=seed, spp=spp or self._samples, adjoint=adjoint)

    def jac(self, x: Tensor, *, seed: int) -> Tensor:
        """The renderer's derivative, shape (n,)."""
        return self.value_and_jac(x, seed=seed)[1]

    def set_target(self, target: NDArray[Any]) -> None:
        """Compare with another picture of shape (height, width, 3), linear, from now on; one camera only."""
        ((width, height),) = self._scene.live.sizes()
        picture = np.ascontiguousarray(target, dtype=np.float32)
        check_target(picture, width, height)
        self._targets = [picture]
        self._scene.set_targets(self._targets)
        self.reference = picture

    @property
    def blind_spots(self) -> str:
        """What the renderer's derivative leaves out; empty if nothing is known of."""
        return self._scene.blind_spots

    def image(self, x: Any, *, seed: int = 0, spp: int | None = None) -> NDArray[np.float32]:
        """Linear RGB picture at `x` of shape (n,), of the shape of `reference`; several cameras side by side."""
        point = torch.as_tensor(x, dtype=torch.float64).reshape(-1)
        if not self._apply(point):
            raise ValueError(f"'x' must be finite: {x!r}")
        return _side_by_side(self._scene.live.images(seed=seed, spp=spp or self._samples))

    def close(self) -> None:
        """Drop the scene."""
        self._scene.close()

    def _apply(self, x: Tensor) -> bool:
        """Bring the scene to `x`; False if that is no point, for such a matrix would hang the ray tracer."""
        if not bool(torch.isfinite(x).all()):
            return False
        self._scene.apply(x)
        return True

    def _find_targets(self, problem: Scene) -> list[NDArray[np.float32]]:
        if problem.target is not None:
            targets = [read_target(target) for target in problem.target]
            for target, (width, height) in zip(targets, self._scene.live.sizes(), strict=True):
                check_target(target, width, height)
            return targets
        self._scene.apply(torch.from_numpy(problem.x_opt))
        shared = problem.shared_reference
        return self._scene.live.images(
            seed=0 if shared else problem.reference_seed, spp=problem.spp if shared else problem.reference_spp
        )


def _side_by_side(pictures: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """One picture of several, black below those that are lower."""
    if len(pictures) == 1:
        return pictures[0]
    height = max(picture.shape[0] for picture in pictures)
    padded = [np.pad(picture, ((0, height - picture.shape[0]), (0, 0), (0, 0))) for picture in pictures]
    return np.concatenate(padded, axis=1)
