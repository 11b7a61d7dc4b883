"""Base class of the rendered tasks, which have a known answer and three sizes."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from attrs import field, fields, frozen, validators
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt.plugin import FIRST_REFERENCE_SEED, Capability, Grid, Objective, Problem, Runtime, boolean, integer, require
from invopt.rendering.runtime import RENDERER

from ..scene import Scene
from ..scenes.arguments import BACKENDS

__all__ = ["Task"]


@frozen(kw_only=True, eq=False, slots=False)
class Task(Problem):
    """Base class of the rendered tasks.

    A task is a `Scene` with a known answer. A subclass defines it in `statement`, and its random `starts`.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        Width, height and samples per pixel; see each task.
    width, height : int, optional
        Pixels of the picture instead of those of `size`, at least 8.
    spp : int, optional
        Samples per pixel instead of those of `size`.
    reference_spp : int, default 256
        Samples per pixel of the target picture, at least 256.
    reference_seed : int, default 2**31
        Seed of the target picture, in [2**31, 2**32): no other render uses these seeds.
    shared_reference : bool, default False
        Render the target with seed 0 and `spp` samples, as the paper's code does. With the fixed seed policy the noise
        of the target and of a render are then equal at the answer, which no photograph offers.
    depth : int, default 6
        Maximum length of light paths; the default is the paper's.
    backend : {"cuda", "llvm", "scalar"}, optional
        Mitsuba's backend; by default the fastest that works on this machine.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.
    """

    provides: ClassVar[Capability] = Capability.FUN | Capability.RESIDUALS | Capability.JAC | Capability.TARGET
    runtime: ClassVar[Runtime] = RENDERER
    # Width, height, samples per pixel; "paper" is the size of the paper's MUG and SHADOW.
    sizes: ClassVar[dict[str, tuple[int, int, int]]] = {
        "tiny": (32, 32, 4),
        "default": (64, 64, 4),
        "paper": (256, 192, 32),
    }

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
        require(
            "backend",
            self.backend is None or (isinstance(self.backend, str) and self.backend in BACKENDS),
            f"one of {', '.join(BACKENDS)}",
            self.backend,
        )

    def __getstate__(self) -> dict[str, Any]:
        # The statement is made again where it is needed.
        return {name: value for name, value in self.__dict__.items() if name != "statement"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The method that attrs generated for the slotted base class restores that class's fields only.
        self.__dict__.update(state)

    @property
    @abc.abstractmethod
    def statement(self) -> Scene:
        """The task as a `Scene`: unknowns, start, answer."""

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
        """Bounds of the parameters."""
        return self.statement.bounds

    @property
    def x_scale(self) -> NDArray[np.float64]:
        """Typical change of each parameter."""
        return self.statement.x_scale

    @property
    def periods(self) -> NDArray[np.float64]:
        """Period of each parameter."""
        return self.statement.periods

    @property
    def grids(self) -> tuple[Grid, ...]:
        """Texels of each texture."""
        return self.statement.grids

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each parameter."""
        return self.statement.names

    @property
    def sigma(self) -> float:
        """Initial sigma of smoothing, in units of `x_scale`."""
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

    def spread(self, x: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard errors of the columns, in scene units."""
        return self.statement.spread(x, errors)

    def parameter_errors(self, result: Any) -> dict[str, Any]:
        """Standard errors of `parameters`, in scene units."""
        return self.statement.parameter_errors(result)

    def identity_content(self) -> dict[str, Any]:
        """The class, with its code if it is a user's, and all fields except the backend."""
        named = {item.name: getattr(self, item.name) for item in fields(type(self)) if item.name != "backend"}
        return {"problem": [type(self), named]}

    def open(self) -> Objective:
        """Load the scene and render the target picture."""
        return self.statement.open()

    def save(self, result: Any, path: str | Path) -> None:
        """Write the scene with the parameters found; see `Scene.save`."""
        self.statement.save(result, path)

    def _scene(self, **own: Any) -> Scene:
        """Scene of a task from the task's own fields and those that all tasks share."""
        return Scene(
            spp=self.samples,
            reference_spp=self.reference_spp,
            reference_seed=self.reference_seed,
            shared_reference=self.shared_reference,
            backend=self.backend,
            **own,
        )
