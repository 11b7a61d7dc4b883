"""Fields of `NeuralRadiosity`, without the objective."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
import torch
from attrs import frozen, validators
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import CheckpointError
from invopt.plugin import (
    BudgetDecay,
    Capability,
    Problem,
    ResidualLoss,
    Runtime,
    StepDecay,
    boolean,
    digest,
    find,
    instance,
    integer,
    one_at_a_time,
    one_of,
    real,
    shown,
)
from invopt.rendering.backend import activate
from invopt.rendering.reading.dictionaries import (
    Description,
    as_variables,
    check_variables,
    plain,
)
from invopt.rendering.reading.loading import Blueprint
from invopt.rendering.reading.scene_identity import scene_content
from invopt.rendering.runtime import RENDERER

from ..scenes.arguments import BACKENDS
from .arguments import as_box, as_scene, as_sensors, description_of
from .device import DTYPE, device_of
from .fields.field import Field, Shapes, as_field
from .fields.saved import SavedField
from .losses import RelativeL2, as_residual_loss
from .presets import PAPER_LR, PRESETS, ROOMS_LR, as_preset, by_preset
from .transport.guiding import Guide

__all__ = ["RadiosityDescription"]


def _as_given(value: Any) -> Any:
    """A field, its name or a mapping, which is made a field once the preset is known."""
    return value


@frozen(kw_only=True, eq=False, repr=False)
class RadiosityDescription(Problem):
    """Fields of `NeuralRadiosity`, which adds `open`.

    They are separate because the objective needs them and `open` needs the objective.
    """

    provides: ClassVar[Capability] = Capability.FUN | Capability.SIDES
    runtime: ClassVar[Runtime] = RENDERER
    default_estimator: ClassVar[str] = "semi-gradient"
    # Twenty seconds of 1024 points and 4 directions on one thread.
    default_maxfev: ClassVar[int] = 1500

    scene: Description | str = attrs.field(default="cornell-box", kw_only=False, converter=as_scene)
    preset: str = attrs.field(default="rooms", converter=as_preset)
    field: Field = attrs.field(default="small", converter=_as_given)  # type: ignore[assignment]
    n_points: int = attrs.field(default=by_preset("n_points"), validator=integer(2))
    n_directions: int = attrs.field(default=by_preset("n_directions"), validator=integer(1))
    loss: ResidualLoss = attrs.field(default=by_preset("loss"), converter=as_residual_loss)
    sides: str = attrs.field(default=by_preset("sides"), validator=one_of("outgoing", "reflected"))
    sampling: str = attrs.field(default=by_preset("sampling"), validator=one_of("uniform", "bsdf", "nee", "guided"))
    points: str = attrs.field(default=by_preset("points"), validator=one_of("views", "area"))
    sensors: tuple[Any, ...] | None = attrs.field(default=None, converter=as_sensors)
    box: tuple[Any, Any] | None = attrs.field(default=None, converter=as_box, repr=False)
    bounces: int = attrs.field(default=1, validator=integer(1, 64))
    dark_density: float = attrs.field(default=1.0, validator=real(above=0, maximum=1))
    guide: Guide | None = attrs.field(default=None, validator=validators.optional(instance(Guide)))
    precision: str | None = attrs.field(default=None, validator=validators.optional(one_of("float32", "mixed")))
    encoder: str = attrs.field(default="drjit", validator=one_of("drjit", "torch"))
    energy_check: bool = attrs.field(default=by_preset("energy_check"), validator=boolean)
    media: str = attrs.field(default="refuse", validator=one_of("refuse", "ignore"))
    variables: Mapping[str, str] = attrs.field(factory=dict, converter=as_variables)
    backend: str | None = attrs.field(default=None, validator=validators.optional(one_of(*BACKENDS)))

    def __attrs_post_init__(self) -> None:
        check_variables(self.variables, self.scene)
        object.__setattr__(self, "field", as_field(self.field, PRESETS[self.preset].head))
        if self.sampling == "guided" and self.guide is None:
            object.__setattr__(self, "guide", Guide())
        if self.sampling != "guided" and self.guide is not None:
            raise ValueError(f"'guide' is for sampling='guided' only, not for {self.sampling!r}")
        if self.points == "area" and self.sensors is not None:
            raise ValueError("'sensors' are for points='views' only, not for 'area'")
        if isinstance(self.loss, RelativeL2) and self.field.output == "exp":
            warnings.warn(
                "loss='relative-l2' with a field of exponentials is known to diverge: its derivative has no bound where"
                " the field is too dark; use loss='tweedie', or output='linear'",
                UserWarning,
                stacklevel=3,
            )
        if self.loss.crossed and self.n_directions < 2:
            name = type(self.loss).__name__
            raise ValueError(
                f"'n_directions' must be >= 2 for {name}, which splits them in halves: {self.n_directions}"
            )

    def __repr__(self) -> str:
        fields = {item.name: getattr(self, item.name) for item in attrs.fields(type(self)) if item.name != "scene"}
        source = repr(str(self.scene)) if isinstance(self.scene, str | Path) else type(self.scene).__name__
        parts = [f"{name}={shown(value)}" for name, value in fields.items() if value is not None]
        return f"NeuralRadiosity({source}, {', '.join(parts)})"

    @property
    def shapes(self) -> Shapes:
        """Name and shape of each part of x, in order."""
        guide = {} if self.guide is None else self.guide.shapes(self.field.inputs)
        return self.field.shapes | guide

    @property
    def n(self) -> int:
        """Number of weights."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def x0(self) -> NDArray[np.float64]:
        """Random weights of a fixed seed."""
        return self._initial(np.random.default_rng(0))

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` random initialisations of shape (k, n)."""
        drawn: NDArray[np.float64] = np.stack([self._initial(rng) for _ in range(k)])
        return drawn

    def started(self, x0: Any) -> tuple[Problem, Any]:
        """Return the problem with the box of a saved field, and its weights.

        `x0` is a `RadianceField`, its file, or an array of weights, which is returned as it is. The scene may be
        another one than the field's.
        """
        saved = SavedField.load(x0) if isinstance(x0, str | Path) else x0
        if not isinstance(saved, SavedField):
            return self, x0
        if saved.field != self.field:
            raise CheckpointError(
                f"'x0' is a field of another network, {saved.field}, and the problem has {self.field}: give the "
                f"problem field=RadianceField.load(...).field"
            )
        start = np.concatenate([saved.weights.cpu().double().numpy(), self.x0[len(saved.weights) :]])
        return attrs.evolve(self, box=(saved.low, saved.extent)), start

    def _initial(self, rng: np.random.Generator) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.field.initial(rng)
        if self.guide is not None:
            found = np.concatenate([found, self.guide.initial(rng, self.field.inputs)])
        # Rounded to the type of the weights, so that a start is evaluated exactly where it is.
        return found.astype(np.float32).astype(np.float64)

    @property
    def default_method(self) -> Any:
        """Adam, with a rate that falls over the budget.

        With ``preset="paper"`` its rate is the papers', divided by 3 every 12,000 steps.
        """
        return find("optimizers", "adam")(lr=StepDecay(PAPER_LR) if self.preset == "paper" else BudgetDecay(ROOMS_LR))

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each weight: that of its part, and its index there."""
        return tuple(f"{name}[{i}]" for name, shape in self.shapes.items() for i in range(math.prod(shape)))

    def parameters(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Return the parts of x by name, each in its shape."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes.values()])[:-1]
        parts = zip(self.shapes.items(), np.split(x, ends), strict=True)
        return {name: part.reshape(shape) for (name, shape), part in parts}

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """Return the root mean square of each part."""
        return {name: f"rms {np.sqrt(np.mean(part**2)):.4g}" for name, part in self.parameters(x).items()}

    def as_tensor(self, x: NDArray[np.float64]) -> Tensor:
        """Return weights in single precision, on the device of the backend."""
        return torch.tensor(x, dtype=DTYPE, device=device_of(activate(self.backend)))

    def blueprint(self) -> Blueprint:
        """Return how to load the scene."""
        return Blueprint(description=description_of(self.scene), variables=self.variables, camera=False)

    def identity_content(self) -> dict[str, Any]:
        """Scene, field with its box, guide and loss, to which weights belong.

        How directions are drawn may differ; points may not, because the box depends on them.
        """
        activate(self.backend)
        return {
            "scene": scene_content(self.blueprint()),
            "field": [self.field, self.field.version],
            "guide": self.guide,
            "loss": [self.loss, self.sides],
            "points": self._box_content(),
        }

    def _box_content(self) -> list[Any]:
        """What the box of positions depends on, beside the scene."""
        if self.box is not None:
            return [part.tolist() for part in self.box]
        if self.points == "area" or self.sensors is None:
            return [self.points]
        # A camera is named by its text, because Mitsuba's transforms have no form in JSON.
        return [self.points, *(repr(plain(sensor)) for sensor in self.sensors)]

    @property
    def scene_label(self) -> str:
        """Name of the scene and digest of its content, for saved fields and references."""
        with one_at_a_time():
            activate(self.backend)
            content = scene_content(self.blueprint())
        name = self.scene if isinstance(self.scene, str) else getattr(self.scene, "name", "scene")
        return f"{name}:{digest(content, 'scene')[:16]}"

    def learns(self, step: int) -> bool:
        """Return whether the guide is trained at a step."""
        return self.guide is not None and self.guide.learns(step)

    def guides(self, step: int) -> bool:
        """Return whether the guide draws directions at a step."""
        return self.guide is not None and self.guide.guides(step)
