"""Objective of a scene: losses, residuals, derivatives and pictures."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt.exceptions import SceneError
from invopt.plugin import ADJOINT, Adjoint, Objective, Shading, one_at_a_time
from invopt.rendering.bound import BoundScene
from invopt.rendering.photographs.target import Target
from invopt.rendering.pictures.targets import as_picture, matched

from .developed import Developed
from .film_targets import as_target_of, side_by_side
from .identifiability import warn_of_lights
from .target_noise import noise_of_photographs

__all__ = ["SceneDescription", "SceneObjective"]

# Largest number of samples of a picture: Dr.Jit numbers them with 32 bits.
_MOST_SAMPLES = 2**32 - 1
# Samples per pixel of the renders that tell whether lights and exposure can both be found: their noise is the same in
# all of them, so that one is enough.
_LIGHT_SPP = 1


class SceneDescription(Protocol):
    """The part of `Scene` that its objective needs."""

    @property
    def noise_std(self) -> float | None:
        """Standard deviation of one residual at the truth."""

    @property
    def spp(self) -> int:
        """Samples per pixel of an evaluation."""

    @property
    def target(self) -> Any:
        """Target pictures; None if they are rendered at `x_opt`."""

    @property
    def x0(self) -> NDArray[np.float64]:
        """The start."""

    @property
    def x_scale(self) -> NDArray[np.float64]:
        """Scales of the columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""

    @property
    def x_opt(self) -> NDArray[np.float64] | None:
        """The answer, if it is known."""

    @property
    def shared_reference(self) -> bool:
        """Whether the target is rendered with seed 0 and `spp` samples."""

    @property
    def reference_seed(self) -> int:
        """Seed of the target."""

    @property
    def reference_spp(self) -> int:
        """Samples per pixel of the target."""

    def bound(self) -> BoundScene:
        """Load the scene with its parameters bound to the columns of x."""


class SceneObjective(Objective):
    """A loaded scene that is compared with its targets; see `Scene`.

    Parameters
    ----------
    problem : SceneDescription
        The scene to load; a backend must be active.
    """

    chunk_size = 1

    @one_at_a_time()
    def __init__(self, problem: SceneDescription) -> None:
        self._samples = problem.spp
        self._scene = problem.bound()
        try:
            self._check_samples(problem)
            self._targets = self._find_targets(problem)
            self._scene.set_targets(self._targets)
            if any(target.exposure.is_fitted for target in self._targets):
                warn_of_lights(self._scene, problem.x0, problem.x_scale, problem.names, spp=_LIGHT_SPP)
            self.target_noise = noise_of_photographs(self._scene, problem.x0, spp=problem.spp)
        except BaseException:
            self.close()
            raise
        self.reference: NDArray[np.float32] = self._reference()
        self.image_shapes = self._scene.comparisons.shapes
        self.noise_std = problem.noise_std
        self.n_residuals = self._scene.comparisons.count
        if problem.target is None:
            self.target_noise = 1.0 if problem.shared_reference else problem.spp / problem.reference_spp

    @one_at_a_time()
    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Losses, shape (k,)."""
        values = []
        for row, s in zip(x, seed, strict=True):
            placed = self._scene.apply(row)
            values.append(self._scene.live.loss(seed=int(s), spp=spp or self._samples) if placed else float("nan"))
        return torch.tensor(values, dtype=torch.float64)

    @one_at_a_time()
    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Weighted differences from the target, shape (k, m)."""
        rows: list[Tensor | None] = []
        for row, s in zip(x, seed, strict=True):
            placed = self._scene.apply(row)
            found = self._scene.live.residuals(seed=int(s), spp=spp or self._samples) if placed else None
            rows.append(None if found is None else torch.from_numpy(found))
        count = next((row.numel() for row in rows if row is not None), self.reference.size)
        missing = torch.full((count,), torch.nan, dtype=torch.float64)
        return torch.stack([missing if row is None else row for row in rows])

    @one_at_a_time()
    def shading(self, x: Tensor, *, seed: int, spp: int | None = None) -> Shading:
        """Residuals at `x` of shape (n,) and their Jacobian, from the same paths."""
        found = self._scene.shading(x, seed=seed, spp=spp or self._samples)
        if found is None:
            missing = np.full(self._scene.comparisons.size, np.nan)
            return Shading(missing, csr_matrix((missing.size, x.numel())))
        return found

    @one_at_a_time()
    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Loss at `x` of shape (n,), and the renderer's derivative of shape (n,)."""
        if not bool(torch.isfinite(x).all()):
            return float("nan"), torch.full_like(x, torch.nan)
        return self._scene.derivative(x, seed=seed, spp=spp or self._samples, adjoint=adjoint)

    def jac(self, x: Tensor, *, seed: int) -> Tensor:
        """The renderer's derivative, shape (n,)."""
        return self.value_and_jac(x, seed=seed)[1]

    @one_at_a_time()
    def set_target(self, target: NDArray[Any]) -> None:
        """Replace the target with another linear picture; for one camera only."""
        (size,), (channels,) = self._scene.live.sizes(), self._scene.live.channels()
        self._targets = [Target(picture=matched(as_picture(target), size, channels))]
        self._scene.set_targets(self._targets)
        self.reference, self.target_noise = self._reference(), 0.0

    @property
    def blind_spots(self) -> str:
        """What the renderer's derivative is known to leave out; empty if nothing."""
        return self._scene.blind_spots

    @one_at_a_time()
    def image(self, x: Any, *, seed: int = 0, spp: int | None = None) -> NDArray[np.float32]:
        """Linear picture at `x` of shape (n,), exposed as its photograph.

        Several are side by side.
        """
        point = torch.as_tensor(x, dtype=torch.float64).reshape(-1)
        if not self._scene.apply(point):
            raise ValueError(f"'x' and the parameters that it sets must be finite: {x!r}")
        images = self._scene.live.images(seed=seed, spp=spp or self._samples)
        return side_by_side([one.exposed(image) for one, image in zip(self._scene.comparisons, images, strict=True)])

    @one_at_a_time()
    def developed(self, x: Any, *, renders: int = 1, spp: int | None = None) -> list[Developed]:
        """Average renders of each view at `x`, and compare them with its target."""
        point = torch.as_tensor(x, dtype=torch.float64).reshape(-1)
        if not self._scene.apply(point):
            raise ValueError(f"'x' and the parameters that it sets must be finite: {x!r}")
        # Several renders, for one of as many samples may not fit into memory.
        each = [self._scene.live.images(seed=seed, spp=spp or self._samples) for seed in range(renders)]
        images = [np.asarray(sum(pictures), dtype=np.float64) / renders for pictures in zip(*each, strict=True)]
        return [Developed.of(one, image) for one, image in zip(self._scene.comparisons, images, strict=True)]

    def _reference(self) -> NDArray[np.float32]:
        return side_by_side([target.picture for target in self._targets])

    @one_at_a_time()
    def close(self) -> None:
        """Release the scene."""
        self._scene.close()

    def _check_samples(self, problem: SceneDescription) -> None:
        rendered = problem.spp if problem.target is not None else max(problem.spp, problem.reference_spp)
        for width, height in self._scene.live.sizes():
            if width * height * rendered > _MOST_SAMPLES:
                raise SceneError(
                    f"a picture of {width} x {height} pixels cannot have {rendered} samples in each: at most "
                    f"{_MOST_SAMPLES // (width * height)}; lower 'spp' or 'reference_spp'"
                )

    def _find_targets(self, problem: SceneDescription) -> list[Target]:
        if problem.target is not None:
            films = zip(self._scene.live.films(), self._scene.live.sizes(), self._scene.live.channels(), strict=True)
            return [as_target_of(target, *film) for target, film in zip(problem.target, films, strict=True)]
        answer = problem.x_opt
        assert answer is not None
        if not self._scene.apply(torch.from_numpy(answer)):
            raise SceneError(f"'x_opt' sets a parameter that is not finite: {answer.tolist()}")
        shared = problem.shared_reference
        pictures = self._scene.live.images(
            seed=0 if shared else problem.reference_seed, spp=problem.spp if shared else problem.reference_spp
        )
        return [Target(picture=picture) for picture in pictures]
