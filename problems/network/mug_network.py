"""Base class of MugCNN and MugCNN5: the paper's network and its pictures."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import field, frozen, validators
from numpy.typing import NDArray
from torch import Tensor, nn

from invopt.plugin import FIRST_REFERENCE_SEED, Problem, digest, instance, integer, require
from invopt.rendering.bindings import Binding
from invopt.rendering.values import renderer

from ..mug import MUG_UNIT, Mug
from ..scene import Scene
from ..scenes.picture_cache import cached_pictures
from .dataset import Dataset
from .flat_network import FlatNetwork
from .greybox_problem import GreyBoxProblem

__all__ = ["ROTATIONS", "MugNetwork", "PictureNetwork"]

# Range of the rotation in units of `MUG_UNIT` (the authors' setting).
ROTATIONS = (7.0, 12.0)
# In the middle of this range, 190 degrees, the handle points at the camera; it is visible over the whole range.
_AZIMUTH = -190.0
# Channels of a convolution, inputs and outputs of the first linear layer (paper, supplement E).
_CHANNELS, _FLAT, _HIDDEN = 16, 1024, 256


class PictureNetwork(nn.Module):
    """The paper's network for pictures (supplement E).

    Three convolutions with 16 channels, each followed by ReLU and max-pooling, then linear layers of 1024, 256 and n
    units, and a sigmoid that keeps the n outputs in their ranges.

    Parameters
    ----------
    pools : (int, int, int)
        Factors of the max-poolings; a picture has 8 times their product pixels on a side.
    low, high : sequence of float
        Ranges of the n outputs.

    Notes
    -----
    Inputs are linear pictures of shape (b, height, width, 3). With 256 x 256 pixels and pools of 2, 4, 4 it is the
    paper's network. For smaller pictures the pools are smaller and the number of weights is the same.
    """

    def __init__(self, pools: tuple[int, int, int], low: Sequence[float], high: Sequence[float]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, pool in zip((3, _CHANNELS, _CHANNELS), pools, strict=True):
            layers += [nn.Conv2d(channels, _CHANNELS, 3, padding=1), nn.ReLU(), nn.MaxPool2d(pool)]
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(nn.Linear(_FLAT, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, len(low)), nn.Sigmoid())
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32))
        self.register_buffer("span", torch.tensor(high, dtype=torch.float32) - torch.tensor(low, dtype=torch.float32))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return outputs of shape (b, n)."""
        found: Tensor = self.low + self.span * self.head(self.features(pictures.movedim(-1, 1)))
        return found


@frozen(kw_only=True, eq=False, slots=False)
class MugNetwork(GreyBoxProblem):
    """Base class: a network trained through the renderer.

    A subclass defines which parameters of the mug it estimates.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        64x64 pixels at 4 samples, 32x32 at 4, or 256x256 at 32 as in the paper.
    n_train : int, default 256
        Training pictures.
    n_held_out : int, default 64
        Pictures on which errors are measured.
    batch_size : int, default 16
        Pictures of one estimate.
    spp : int, optional
        Samples per pixel instead of those of `size`.
    reference_spp : int, default 256
        Samples per pixel of the pictures.
    data_seed : int, default 0
        Seed of the true parameters of the pictures.
    depth : int, default 6
        Maximum length of light paths.
    backend : {"cuda", "llvm", "scalar"}, optional
        Mitsuba's backend; by default the fastest that works on this machine.
    device : str, default "cpu"
        Torch's device for the network, such as "cuda".

    Notes
    -----
    The pictures are rendered once and kept on disk, in the folder that the environment variable ``INVOPT_CACHE_DIR``
    names, or in the user's cache.
    """

    # Pixels on a side, samples per pixel, pools; "paper" is the authors' setting.
    sizes: ClassVar[dict[str, tuple[int, int, tuple[int, int, int]]]] = {
        "tiny": (32, 4, (1, 2, 2)),
        "default": (64, 4, (2, 2, 2)),
        "paper": (256, 32, (2, 4, 4)),
    }
    default_maxfev: ClassVar[int] = 20_000
    low: ClassVar[tuple[float, ...]]
    high: ClassVar[tuple[float, ...]]

    size: str = field(default="default")
    n_train: int = field(default=256, validator=integer(1))
    n_held_out: int = field(default=64, validator=integer(1))
    batch_size: int = field(default=16, validator=integer(1))
    spp: int | None = field(default=None, validator=validators.optional(integer(1)))
    reference_spp: int = field(default=256, validator=integer(1))
    data_seed: int = field(default=0, validator=integer(0))
    depth: int = field(default=6, validator=integer(1))
    backend: str | None = field(default=None)
    device: str = field(default="cpu", validator=instance(str))

    def __attrs_post_init__(self) -> None:
        require(
            "size", isinstance(self.size, str) and self.size in self.sizes, f"one of {', '.join(self.sizes)}", self.size
        )
        # Making the scene checks the other fields.
        _ = self.inner

    @abc.abstractmethod
    def bindings(self) -> Sequence[Binding]:
        """Return the bindings of the outputs to the scene."""

    @cached_property
    def inner(self) -> Problem:
        """The scene with one mug."""
        width, spp, _ = self.sizes[self.size]
        mug = Mug(
            width=width,
            height=width,
            azimuth=_AZIMUTH,
            spp=self.spp or spp,
            depth=self.depth,
            reference_spp=256,
            backend=self.backend,
        )
        middle = (np.array(self.low) + np.array(self.high)) / 2
        return Scene(
            scene=mug.description,
            parameters=self.bindings(),
            x0=middle,
            x_opt=middle,
            spp=mug.samples,
            # Each picture replaces this target.
            reference_spp=1,
            # 30 degrees: with a smaller sigma no sample of a distant start overlaps the handle: a plateau.
            sigma=1.5,
            backend=self.backend,
        )

    @cached_property
    def network(self) -> FlatNetwork:
        """The paper's network; its weights do not depend on torch's global generators."""
        model = PictureNetwork(self.sizes[self.size][2], self.low, self.high).to(self.device)
        return FlatNetwork(FlatNetwork(model).with_weights(FlatNetwork(model).redrawn(np.random.default_rng(0))))

    @property
    def n_items(self) -> int:
        """Number of training pictures."""
        return self.n_train

    @property
    def minibatch(self) -> int:
        """Pictures of one estimate."""
        return min(self.batch_size, self.n_train)

    @property
    def training(self) -> Dataset:
        """Training pictures."""
        return self._items(slice(0, self.n_train))

    @property
    def held_out(self) -> Dataset:
        """Pictures on which errors are measured."""
        return self._items(slice(self.n_train, None))

    def prepare(self) -> None:
        """Render all pictures, unless they are on disk."""
        _ = self._pictures

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """Median absolute error of each output on the held-out pictures, with its unit."""
        names, angles = self.inner.names, np.isfinite(self.inner.periods)
        units = {name: " degrees" if angle else "" for name, angle in zip(names, angles, strict=True)}
        return {f"error of {name}": f"{value:.3g}{units[name]}" for name, value in self.typical_errors(x).items()}

    def parameter_error(self, x: NDArray[np.float64]) -> float:
        """Mean squared error on the held-out pictures, relative to each output's range."""
        errors = self.errors(x)
        assert errors is not None
        return float(np.mean((errors / (np.array(self.high) - np.array(self.low))) ** 2))

    def typical_errors(self, x: NDArray[np.float64]) -> dict[str, float]:
        """Median absolute error of each output on the held-out pictures.

        Rotations are in degrees, positions in scene units, colours are linear.
        """
        errors = self.errors(x)
        assert errors is not None
        units = np.where(np.isfinite(self.inner.periods), MUG_UNIT, 1.0)
        median = np.median(np.abs(errors) * units, axis=0)
        return dict(zip(self.inner.names, median.tolist(), strict=True))

    def _items(self, part: slice) -> Dataset:
        pictures = self._pictures[part]
        return Dataset(inputs=torch.from_numpy(pictures), targets=pictures, truth=self._truth[part])

    @cached_property
    def _truth(self) -> NDArray[np.float64]:
        rng = np.random.default_rng(self.data_seed)
        return rng.uniform(self.low, self.high, (self.n_train + self.n_held_out, len(self.low)))

    @cached_property
    def _pictures(self) -> NDArray[np.float32]:
        return cached_pictures(self._key(), self._render)

    def identity_content(self) -> dict[str, Any]:
        """The network, and all that the pictures depend on."""
        return {**super().identity_content(), "data": [*self._picture_content(), self.n_train, self.minibatch]}

    def _picture_content(self) -> list[Any]:
        """All that the pictures depend on."""
        inner = self.inner
        assert isinstance(inner, Scene)
        assert callable(inner.scene)
        return [inner.scene(), self.bindings(), self.reference_spp, self._truth]

    def _key(self) -> str:
        return f"mug-{digest([*self._picture_content(), renderer().__version__], 'the pictures')[:24]}"

    def _render(self) -> NDArray[np.float32]:
        with self.inner.open() as objective:
            camera: Any = objective
            return np.stack(
                [
                    camera.image(x, seed=FIRST_REFERENCE_SEED + number, spp=self.reference_spp)
                    for number, x in enumerate(self._truth)
                ]
            )
