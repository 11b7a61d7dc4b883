"""Task: a statement about a scene with its known answer, at three sizes."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from attrs import field, fields, frozen, validators
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt.plugin import FIRST_REFERENCE_SEED, Capability, Problem, Runtime, boolean, integer, require
from invopt.rendering.backend import Backend
from invopt.rendering.runtime import RENDERER

from ..scene import Scene
from ..scenes.objective import SceneObjective

__all__ = ["Task"]


@frozen(kw_only=True, eq=False, slots=False)
class Task(Problem):
    """A rendered task; a subclass gives its `statement` and `starts`.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        Width, height and samples per pixel, of which the class says more.
    width, height : int, optional
        Pixels, instead of those of `size`.
    spp : int, optional
        Samples per pixel, instead of those of `size`.
    reference_spp : int, default 256
        Samples per pixel of the target picture, at least 256.
    reference_seed : int, default 2**31
        Seed of the target picture, in [2**31, 2**32), where no render's seed lies.
    shared_reference : bool, default False
        Render the target with seed 0 and `spp` samples as the paper's code does. With the fixed seed policy its noise
        then cancels exactly at the answer, which no real photograph offers.
    depth : int, default 6
        Longest light path.
    backend : {"cuda", "llvm", "scalar"}, optional
        What to render with; by default the best usable.
    """

    provides: ClassVar[Capability] = Capability.FUN | Capability.RESIDUALS | Capability.JAC | Capability.TARGET
    runtime: ClassVar[Runtime] = RENDERER
    # Width, height, samples per pixel.
    sizes: ClassVar[dict[str, tuple[int, int, int]]]

    size: str = field(default="default")
    width: int | None = field(default=None, validator=validators.optional(integer(8)))
    height: int | None = field(default=None, validator=validators.optional(integer(8)))
    spp: int | None = field(default=None, validator=validators.optional(integer(1)))
    reference_spp: int = field(default=256, validator=integer(256))
    reference_seed: int = field(default=FIRST_REFERENCE_SEED, validator=integer(FIRST_REFERENCE_SEED))
    shared_reference: bool = field(default=False, validator=boolean)
    depth: int = field(default=6, validator=integer(1))
    backend: str | None = field(default=None)

    def __attrs_post_init__(self) -> None:
        require(
            "size", isinstance(self.size, str) and self.size in self.sizes, f"one of {', '.join(self.sizes)}", self.size
        )
        require("reference_seed", self.reference_seed < 2**32, "< 2**32", self.reference_seed)
        names = [backend.value for backend in Backend]
        require(
            "backend",
            self.backend is None or (isinstance(self.backend, str) and self.backend in names),
            f"one of {', '.join(names)}",
            self.backend,
        )

    def __getstate__(self) -> dict[str, Any]:
        # What can be stated again need not travel.
        return {name: value for name, value in self.__dict__.items() if name != "statement"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Inherited, attrs' own would restore the fields of the slotted base class alone.
        self.__dict__.update(state)

    @property
    @abc.abstractmethod
    def statement(self) -> Scene:
        """The task in full: scene, unknowns, start, answer."""

    @property
    def resolution(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        width, height, _ = self.sizes[self.size]
        return self.width or width, self.height or height

    @property
    def samples(self) -> int:
        """Samples per pixel of a render."""
        return self.spp or self.sizes[self.size][2]

    @property
    def x0(self) -> NDArray[np.float64]:
        """Default start."""
        return self.statement.x0

    @property
    def x_opt(self) -> NDArray[np.float64]:
        """The parameters of the target picture."""
        answer = self.statement.x_opt
        assert answer is not None
        return answer

    @property
    def bounds(self) -> Bounds | None:
        """Box that points never leave."""
        return self.statement.bounds

    @property
    def x_scale(self) -> NDArray[np.float64]:
        """Typical size of change in each parameter."""
        return self.statement.x_scale

    @property
    def periods(self) -> NDArray[np.float64]:
        """Period of each parameter."""
        return self.statement.periods

    @property
    def names(self) -> tuple[str, ...]:
        """Readable name of each parameter."""
        return self.statement.names

    @property
    def sigma(self) -> float:
        """Smoothing width to start with."""
        return self.statement.sigma

    @abc.abstractmethod
    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` random starts of shape (k, n)."""

    def parameters(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Values at `x` in scene units, by name."""
        return self.statement.parameters(x)

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """Values by name, in scene units."""
        return self.statement.readable(x)

    def identity_content(self) -> dict[str, Any]:
        """The class, whose code counts where it is a user's own, and all fields but the backend."""
        named = {item.name: getattr(self, item.name) for item in fields(type(self)) if item.name != "backend"}
        return {"problem": [type(self), named]}

    def open(self) -> SceneObjective:
        """Load the scene and render the target picture."""
        return self.statement.open()

    def save(self, result: Any, path: str | Path) -> None:
        """Write the scene as found; see `Scene.save`."""
        self.statement.save(result, path)

    def _state(self, **facts: Any) -> Scene:
        """Statement with the fields that all tasks share."""
        return Scene(
            spp=self.samples,
            reference_spp=self.reference_spp,
            reference_seed=self.reference_seed,
            shared_reference=self.shared_reference,
            backend=self.backend,
            **facts,
        )
