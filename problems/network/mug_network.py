"""Base of the two networks that look at mugs: architecture, pictures, sizes."""

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

from ..mug import Mug
from ..scene import Scene
from .flat_network import FlatNetwork
from .greybox_problem import GreyBoxProblem
from .items import Items
from .picture_cache import cached_pictures

__all__ = ["UNIT", "MugNetwork", "PictureNetwork"]

UNIT = 20.0  # degrees
# The handle then points at the camera in the middle of the range, 190 degrees, and is in sight all over it.
_AZIMUTH = -190.0


class PictureNetwork(nn.Module):
    """The paper's network: three convolutions of 16 channels, each with ReLU and max-pooling, then 1024-256-n.

    Parameters
    ----------
    pools : (int, int, int)
        Factors of the poolings; a picture is 8 times their product wide and high.
    low, high : sequence of float
        Ranges of the n outputs, which a sigmoid keeps inside.

    Notes
    -----
    Takes linear pictures of shape (b, height, width, 3). At 256 x 256 pixels and with pools of 2, 4, 4 it is the
    paper's; for smaller pictures the pools are smaller, and the number of weights stays.
    """

    def __init__(self, pools: tuple[int, int, int], low: Sequence[float], high: Sequence[float]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, pool in zip((3, 16, 16), pools, strict=True):
            layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(pool)]
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, len(low)), nn.Sigmoid())
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32))
        self.register_buffer("span", torch.tensor(high, dtype=torch.float32) - torch.tensor(low, dtype=torch.float32))

    def forward(self, pictures: Tensor) -> Tensor:
        """Outputs of shape (b, n)."""
        found: Tensor = self.low + self.span * self.head(self.features(pictures.movedim(-1, 1)))
        return found


@frozen(kw_only=True, eq=False, slots=False)
class MugNetwork(GreyBoxProblem):
    """A network trained through the renderer; a subclass says which parameters of the mug it finds.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        64x64 pixels at 4 samples, 32x32 at 4, or 256x256 at 32 as in the paper.
    n_train : int, default 256
        Pictures it is trained on.
    n_held_out : int, default 64
        Pictures its error is measured on.
    batch_size : int, default 16
        Pictures an estimate takes.
    spp : int, optional
        Samples per pixel, instead of those of `size`.
    reference_spp : int, default 256
        Samples per pixel of the pictures it is shown.
    data_seed : int, default 0
        Seed of the truths and of the pictures' noise.
    depth : int, default 6
        Longest light path.
    backend : {"cuda", "llvm", "scalar"}, optional
        What to render with; by default the best usable.
    device : str, default "cpu"
        Where the network computes, such as "cuda".

    Notes
    -----
    The pictures are rendered once and kept on disk, in the folder that ``INVOPT_CACHE_DIR`` names or the user's cache.
    """

    # Width and height, samples per pixel, pools.
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
        # Checks the rest of what the scene is made of.
        _ = self.inner

    @abc.abstractmethod
    def bindings(self) -> Sequence[Binding]:
        """What the outputs set."""

    @cached_property
    def inner(self) -> Problem:
        """One mug, to be matched with one picture."""
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
            reference_spp=1,
            # Thirty degrees: from far off a narrower kernel sees handles that nowhere overlap, and no slope.
            sigma=1.5,
            backend=self.backend,
        )

    @cached_property
    def network(self) -> FlatNetwork:
        """The paper's network, with weights that do not depend on torch's own generators."""
        model = PictureNetwork(self.sizes[self.size][2], self.low, self.high).to(self.device)
        return FlatNetwork(FlatNetwork(model).with_weights(FlatNetwork(model).redrawn(np.random.default_rng(0))))

    @property
    def n_items(self) -> int:
        """Pictures there are to train on."""
        return self.n_train

    @property
    def minibatch(self) -> int:
        """Pictures an estimate takes."""
        return min(self.batch_size, self.n_train)

    @property
    def training(self) -> Items:
        """Pictures to train on."""
        return self._items(slice(0, self.n_train))

    @property
    def held_out(self) -> Items:
        """Pictures to measure the error on."""
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
        """Mean squared error on the held-out pictures, in units of each output's range."""
        errors = self.errors(x)
        assert errors is not None
        return float(np.mean((errors / (np.array(self.high) - np.array(self.low))) ** 2))

    def typical_errors(self, x: NDArray[np.float64]) -> dict[str, float]:
        """Median absolute error of each output on the held-out pictures: degrees, scene units, linear colour."""
        errors = self.errors(x)
        assert errors is not None
        units = np.where(np.isfinite(self.inner.periods), UNIT, 1.0)
        median = np.median(np.abs(errors) * units, axis=0)
        return dict(zip(self.inner.names, median.tolist(), strict=True))

    def _items(self, part: slice) -> Items:
        pictures = self._pictures[part]
        return Items(inputs=torch.from_numpy(pictures), targets=pictures, truth=self._truth[part])

    @cached_property
    def _truth(self) -> NDArray[np.float64]:
        rng = np.random.default_rng(self.data_seed)
        return rng.uniform(self.low, self.high, (self.n_train + self.n_held_out, len(self.low)))

    @cached_property
    def _pictures(self) -> NDArray[np.float32]:
        return cached_pictures(self._key(), self._render)

    def identity_content(self) -> dict[str, Any]:
        """What all networks have, and what the pictures depend on."""
        return {**super().identity_content(), "data": [*self._shown(), self.n_train, self.minibatch]}

    def _shown(self) -> list[Any]:
        """What the pictures depend on."""
        inner = self.inner
        assert isinstance(inner, Scene)
        assert callable(inner.scene)
        return [inner.scene(), self.bindings(), self.reference_spp, self._truth]

    def _key(self) -> str:
        return f"mug-{digest([*self._shown(), renderer().__version__], 'the pictures')[:24]}"

    def _render(self) -> NDArray[np.float32]:
        with self.inner.open() as objective:
            camera: Any = objective
            return np.stack(
                [
                    camera.image(x, seed=FIRST_REFERENCE_SEED + number, spp=self.reference_spp)
                    for number, x in enumerate(self._truth)
                ]
            )
