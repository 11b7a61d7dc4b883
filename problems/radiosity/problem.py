"""Neural radiosity: a network that satisfies the rendering equation of a scene."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
import torch
from attrs import frozen, validators
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import UnknownNameError, suggest
from invopt.plugin import (
    Capability,
    Problem,
    ResidualLoss,
    Runtime,
    StepDecay,
    digest,
    find,
    instance,
    integer,
    one_at_a_time,
    one_of,
    real,
    shown,
)
from invopt.rendering.backend import Backend, activate
from invopt.rendering.dictionaries import Description, as_description, as_variables, check_variables
from invopt.rendering.loading import Blueprint
from invopt.rendering.runtime import RENDERER
from invopt.rendering.scene_identity import scene_content

from .field import Field, Shapes, as_field
from .guiding import Guide
from .losses import RelativeL2, as_residual_loss
from .objective import DTYPE, RadiosityObjective, device_of
from .scenes import NAMED

__all__ = ["NeuralRadiosity"]

_BACKENDS = tuple(backend.value for backend in Backend)


def _as_scene(value: Any) -> Description | str:
    if isinstance(value, str):
        if value.lower() in NAMED:
            return value.lower()
        if Path(value).suffix.lower() != ".xml":
            raise UnknownNameError(f"unknown scene {shown(value)}; {suggest(value, NAMED)}")
    try:
        return as_description(value)
    except TypeError as error:
        raise TypeError(f"'scene' must be a name ({', '.join(NAMED)}) or else: {error}") from None


@frozen(kw_only=True, eq=False, repr=False)
class NeuralRadiosity(Problem):
    r"""A radiance cache of a scene, learned without pictures of it [1]_ [2]_.

    The field :math:`N_\theta` gives what is reflected; radiance is :math:`L_\theta = E + N_\theta`. Training makes it
    agree with its own one-bounce transport :math:`E + \int L_\theta f \cos` at random points of the surfaces. x is the
    flat vector of weights.

    Parameters
    ----------
    scene : str, Path, dict or callable, default "cornell-box"
        A name ("cornell-box", "gap-room", "glossy-plates", "furnace"), an XML file, Mitsuba's dictionary, or what
        builds one once a backend is active.
    field : {"small", "paper", "tiny"}, Field or mapping of its fields, default "small"
        The network; "small" is for a CPU.
    n_points : int, default 2**14
        Points drawn an iteration, uniform by area over all surfaces that scatter.
    n_directions : int, default 32
        Incident directions at each.
    loss : {"relative-l2", "symmetric-l2", "l2", "rmse", "huber", "mae"} or ResidualLoss, default "relative-l2"
        How the sides are compared; "symmetric-l2" needs two directions at least.
    sides : {"outgoing", "reflected"}, default "outgoing"
        What is compared: all that leaves a point, as in the papers, or what it reflects, without what it emits. Their
        differences are the same; but a relative loss divides a lamp's by all of its light or by what the field is to
        learn there.
    sampling : {"uniform", "bsdf", "nee", "guided"}, default "bsdf"
        Incident directions: uniform; the BSDF's; those and a sampled emitter each, by multiple importance sampling; or
        that with half of the directions from a network which learns where light comes from.
    bounces : int, default 1
        How often the right side traces light on before it asks the field, 1 to 64; 1 is the papers'. Each bounce more
        makes the feedback of the field's own errors weaker, by as much as surfaces absorb, and the right side noisier:
        the n-step returns of reinforcement learning [3]_. The fixed point of the semi-gradient is the same.
    dark_density : float, default 1
        Points per area of the faces of surfaces where no light arrives, such as the outer ones of a room's two-sided
        walls, in (0, 1]: faces that are lit everywhere have 1. 1 is the papers'. What counts is the share of a shape's
        face that sends light, so that the lit part of a mostly dark one has fewer points too: split what runs through
        several rooms.
    guide : Guide, optional
        That network; given with ``sampling="guided"`` only.
    precision : {"float32", "mixed"}, optional
        Of the hidden layers; by default mixed on a GPU.
    encoder : {"drjit", "torch"}, default "drjit"
        What looks up the hash grid; the results are the same up to rounding.
    media : {"refuse", "ignore"}, default "refuse"
        What to do about a scene with participating media: its surfaces alone can be learned.
    variables : mapping, optional
        Values of the ``$variables`` of an XML file.
    backend : {"cuda", "llvm"}, optional
        What to trace with; by default the best usable.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong kind or range; `SceneError`, when opened, for participating media, scenes without
        light or surfaces, and lights that the sampling never finds.

    Notes
    -----
    A checkpoint belongs to the scene, the field, the guide and the loss; how points and directions are drawn, their
    number and the bounces may be others when a run goes on from it, for the weights mean the same.

    Specular surfaces (dielectrics, mirrors) hold nothing of the field: camera rays and incident ones pass through them.
    A specular lobe beside a smooth one, as in plastic, is found by BSDF sampling.

    References
    ----------
    .. [1] Hadadan, Chen, Zwicker, "Neural Radiosity", SIGGRAPH Asia 2021.
    .. [2] Cho, Cho, "Fast and Accurate Neural Rendering Using Semi-Gradients", 2024.
    .. [3] Sutton, Barto, "Reinforcement Learning: An Introduction", 2nd ed., 2018, chapter 7.

    Examples
    --------
    >>> NeuralRadiosity("gap-room", field="tiny").n
    1747
    """

    provides: ClassVar[Capability] = Capability.FUN | Capability.SIDES
    runtime: ClassVar[Runtime] = RENDERER
    default_estimator: ClassVar[str] = "semi-gradient"

    scene: Description | str = attrs.field(default="cornell-box", kw_only=False, converter=_as_scene)
    field: Field = attrs.field(factory=Field.small, converter=as_field)
    n_points: int = attrs.field(default=2**14, validator=integer(2))
    n_directions: int = attrs.field(default=32, validator=integer(1))
    loss: ResidualLoss = attrs.field(factory=RelativeL2, converter=as_residual_loss)
    sides: str = attrs.field(default="outgoing", validator=one_of("outgoing", "reflected"))
    sampling: str = attrs.field(default="bsdf", validator=one_of("uniform", "bsdf", "nee", "guided"))
    bounces: int = attrs.field(default=1, validator=integer(1, 64))
    dark_density: float = attrs.field(default=1.0, validator=real(above=0, maximum=1))
    guide: Guide | None = attrs.field(default=None, validator=validators.optional(instance(Guide)))
    precision: str | None = attrs.field(default=None, validator=validators.optional(one_of("float32", "mixed")))
    encoder: str = attrs.field(default="drjit", validator=one_of("drjit", "torch"))
    media: str = attrs.field(default="refuse", validator=one_of("refuse", "ignore"))
    variables: Mapping[str, str] = attrs.field(factory=dict, converter=as_variables)
    backend: str | None = attrs.field(default=None, validator=validators.optional(one_of(*_BACKENDS)))

    def __attrs_post_init__(self) -> None:
        check_variables(self.variables, self.scene)
        if self.sampling == "guided" and self.guide is None:
            object.__setattr__(self, "guide", Guide())
        if self.sampling != "guided" and self.guide is not None:
            raise ValueError(f"'guide' is for sampling='guided' only, not for {self.sampling!r}")
        if self.loss.crossed and self.n_directions < 2:
            name = type(self.loss).__name__
            raise ValueError(f"'n_directions' must be >= 2 for {name}, which halves them: {self.n_directions}")

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
        """Random weights, always the same."""
        return self._initial(np.random.default_rng(0))

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` random initialisations of shape (k, n)."""
        drawn: NDArray[np.float64] = np.stack([self._initial(rng) for _ in range(k)])
        return drawn

    def _initial(self, rng: np.random.Generator) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.field.initial(rng)
        if self.guide is not None:
            found = np.concatenate([found, self.guide.initial(rng, self.field.inputs)])
        # What the weights are kept in, so that a start comes back as it was.
        return found.astype(np.float32).astype(np.float64)

    @property
    def default_method(self) -> Any:
        """The papers' Adam."""
        return find("optimizers", "adam")(lr=StepDecay(5e-4))

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each weight: its part and its number there."""
        return tuple(f"{name}[{i}]" for name, shape in self.shapes.items() for i in range(math.prod(shape)))

    def parameters(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Parts of x by name, in their shapes."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes.values()])[:-1]
        parts = zip(self.shapes.items(), np.split(x, ends), strict=True)
        return {name: part.reshape(shape) for (name, shape), part in parts}

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """Root mean square of each part."""
        return {name: f"rms {np.sqrt(np.mean(part**2)):.4g}" for name, part in self.parameters(x).items()}

    def as_tensor(self, x: NDArray[np.float64]) -> Tensor:
        """Weights in single precision, on the device of the backend."""
        return torch.tensor(x, dtype=DTYPE, device=device_of(activate(self.backend)))

    @one_at_a_time()
    def open(self) -> RadiosityObjective:
        """Load the scene and check that it can be learned."""
        activate(self.backend)
        return RadiosityObjective(self)

    def blueprint(self) -> Blueprint:
        """How to load the scene."""
        description = NAMED[self.scene] if isinstance(self.scene, str) else self.scene
        return Blueprint(description=description, variables=self.variables)

    def identity_content(self) -> dict[str, Any]:
        """What weights belong to: scene, field, guide, loss; not how points and directions are drawn."""
        activate(self.backend)
        return {
            "scene": scene_content(self.blueprint()),
            "field": [self.field, self.field.version],
            "guide": self.guide,
            "loss": [self.loss, self.sides],
        }

    @property
    def scene_label(self) -> str:
        """Name of the scene and digest of its content, which a saved field and a kept reference belong to."""
        with one_at_a_time():
            activate(self.backend)
            content = scene_content(self.blueprint())
        name = self.scene if isinstance(self.scene, str) else getattr(self.scene, "name", "scene")
        return f"{name}:{digest(content, 'scene')[:16]}"

    def learns(self, step: int) -> bool:
        """Whether the guide is trained at a step."""
        return self.guide is not None and self.guide.learns(step)

    def guides(self, step: int) -> bool:
        """Whether the guide draws directions at a step."""
        return self.guide is not None and self.guide.guides(step)
