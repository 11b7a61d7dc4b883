"""A Mitsuba scene with declared unknowns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from attrs import evolve, field, fields, frozen, validators
from numpy.typing import NDArray

from invopt.plugin import (
    FIRST_REFERENCE_SEED,
    Capability,
    Objective,
    Runtime,
    as_vector,
    boolean,
    check_start,
    integer,
    one_at_a_time,
    one_of,
    real,
    require,
)
from invopt.rendering.backend import Backend, activate, foresee
from invopt.rendering.bindings import Binding, Motion
from invopt.rendering.bindings.layout import Layout
from invopt.rendering.bound import BoundScene
from invopt.rendering.losses import MSE, Loss, as_loss
from invopt.rendering.parameter import Parameter
from invopt.rendering.reading.dictionaries import Description, as_description, as_variables, check_variables
from invopt.rendering.reading.loading import Blueprint
from invopt.rendering.reading.saving import save_bound
from invopt.rendering.reading.scene_identity import scene_content
from invopt.rendering.reading.textures import TEXTURE_SUFFIXES, write_texture
from invopt.rendering.runtime import RENDERER
from invopt.rendering.views import View

from .scenes.answers import Answers
from .scenes.arguments import BACKENDS, as_bindings, as_sensors, as_targets, as_variants
from .scenes.checks import (
    check_losses,
    check_priors,
    content_of,
    fits_exposure,
    provided,
    sensors_of,
    why_not,
)
from .scenes.objective import SceneObjective
from .scenes.scene_values import refused_bindings, scene_values

__all__ = ["Scene"]


@frozen(kw_only=True, eq=False, repr=False)
class Scene(Answers):
    """Unknown parameters of a Mitsuba scene, from one or several pictures of it.

    Parameters
    ----------
    scene : str, Path, dict or callable
        An XML file; a dictionary for Mitsuba, in which 4x4 arrays may replace transforms, arrays bitmaps, and a `Mesh`
        a file name; or a function that returns such a dictionary, called with an active backend.
    parameters : sequence of Binding
        The unknowns, in the order of the columns of x.
    target : str, Path, array_like, Photograph or a list of them, optional
        Picture for each camera. A `Photograph` may be larger than the film, saturated, masked, of unknown exposure.
        Else an opaque picture of the film's size: a file (EXR, HDR, PFM: linear; PNG, JPEG, BMP, TGA: decoded from
        sRGB) or a linear array of shape (height, width, 3), or (height, width) if the camera's film has the
        pixel_format "luminance". By default the target is rendered at `x_opt`.
    x0, x_opt : mapping or array_like of shape (n,), optional
        Start, and the answer if it is known. A mapping has values in scene units by name; a value left out is that of
        the scene. By default `x0` is the scene as it is, which must be inside the bounds.
    loss : str, Loss or callable, default "mse"
        Loss of a linear picture and its target: "mse", "relative-mse", "l1", "huber", "cauchy", "log-mse",
        "gradient-mse" or "multi-scale-mse"; with values only, "ssim" and "flip"; a callable is ``loss(image, target) ->
        float``.
    sensors : sequence of int or str, optional
        Numbers or names of the cameras; by default the first ones, one for each target.
    variants : sequence of mappings, optional
        State of the scene in each picture: values of parameters that differ, such as
        ``[{"lamp.emitter.radiance": 0}, {}]`` for a lamp that is off in the first picture. Without `sensors`, all
        pictures are of the first camera.
    spp : int, default 16
        Samples per pixel.
    reference_spp : int, default 512
        The same of a rendered target.
    reference_seed : int, default 2**31
        Its seed, in [2**31, 2**32): no other render uses these seeds.
    shared_reference : bool, default False
        Render the target with seed 0 and `spp` samples instead, as the paper's code does. The noise of the target and
        of a render are then equal at the answer, which no photograph offers.
    noise_std : float, optional
        Standard deviation of one residual at the truth, the root of what the loss is there, > 0: noise of the target,
        and what no parameter explains. Priors of the bindings need it, and error bars are then by it.
    sigma : float, default 1
        Initial sigma of smoothing, in units of the parameters' scales.
    variables : mapping, optional
        Values of the ``$variables`` of an XML file, such as ``{"resx": 128}``.
    backend : {"cuda", "llvm", "scalar"}, optional
        Mitsuba's backend; by default the fastest that works on this machine.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range. `SceneError` if the scene, a target or a binding does not
        fit; `open` raises some of these.

    Warns
    -----
    UserWarning
        If pixels of a picture of integers are saturated, which biases the answer; and if the photographs do not tell
        lights and exposure apart.

    Notes
    -----
    If a start, bounds or a size are those of the scene, it is loaded once more before a run. If the film renders
    luminance, a target of three channels is converted with the weights of Rec. 709. A target of one channel for a
    camera that renders colour is an error; a `Photograph` of one channel is compared in luminance.
    """

    runtime: ClassVar[Runtime] = RENDERER

    scene: Description = field(kw_only=False, converter=as_description)
    _parameters: tuple[Binding, ...] = field(converter=as_bindings)
    target: tuple[Any, ...] | None = field(default=None, converter=as_targets)
    _x0: Any = field(default=None)
    _x_opt: Any = field(default=None)
    loss: Loss = field(factory=MSE, converter=as_loss)
    sensors: tuple[int | str, ...] = field(default=(), converter=as_sensors)
    variants: tuple[Mapping[str, Any], ...] = field(default=(), converter=as_variants)
    spp: int = field(default=16, validator=integer(1))
    reference_spp: int = field(default=512, validator=integer(1))
    reference_seed: int = field(default=FIRST_REFERENCE_SEED, validator=integer(FIRST_REFERENCE_SEED))
    shared_reference: bool = field(default=False, validator=boolean)
    noise_std: float | None = field(default=None, validator=validators.optional(real(above=0)))
    _sigma: float = field(default=1.0, validator=real(above=0))
    variables: Mapping[str, str] = field(factory=dict, converter=as_variables)
    backend: str | None = field(default=None, validator=validators.optional(one_of(*BACKENDS)))
    # Parameters as the scene has them, once it was loaded; kept when the problem is pickled.
    _read: dict[str, Parameter] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        require("reference_seed", self.reference_seed < 2**32, "< 2**32", self.reference_seed)
        check_variables(self.variables, self.scene)
        if self.target is None and self._x_opt is None:
            raise ValueError("give 'target', a picture, or 'x_opt', the point at which the target is rendered")
        object.__setattr__(self, "sensors", sensors_of(self.target, self.sensors, self.variants))
        check_losses(self.target or (), self.loss)
        check_priors(self._parameters, self.loss, self.noise_std)

    def __repr__(self) -> str:
        named = [item for item in fields(Scene) if item.init and item.name not in ("scene", "target", "_parameters")]
        given = [(item.alias, getattr(self, item.name)) for item in named]
        shown = ", ".join(f"{name}={value!r}" for name, value in given if value is not None)
        source = str(self.scene) if isinstance(self.scene, Path) else type(self.scene).__name__
        return f"Scene({source!r}, parameters={list(self._parameters)!r}, {shown})"

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """Values, and what the loss and the number of cameras add."""
        shading = any(binding.shades for binding in self._parameters) and foresee(self.backend) is not Backend.SCALAR
        return provided(self.loss, len(self.sensors), self.target or (), shading=shading)

    def why_not(self, missing: Capability) -> str:
        """Why the loss does not provide something."""
        return why_not(missing, self.loss, self.target or ())

    @property
    def fits_exposure(self) -> bool:
        """Whether something of a photograph's exposure is solved in every evaluation."""
        return fits_exposure(self.target or ())

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The unknowns, in the order of their columns."""
        return self._parameters

    @cached_property
    def refused(self) -> dict[str, str]:
        """Why the Jacobian lacks a binding that shades, by label; loads the scene."""
        return refused_bindings(self.blueprint(), self._parameters, self.views, self.backend, self._own)

    @property
    def layout(self) -> Layout:
        """The columns of x that belong to each parameter."""
        return Layout(self._parameters, self._own)

    @property
    def start(self) -> NDArray[np.float64]:
        """The given start, or the scene as it is, inside the bounds or not."""
        return self.layout.point({} if self._x0 is None else self._x0, "x0")

    @property
    def x0(self) -> NDArray[np.float64]:
        """The given start, or the scene as it is."""
        start = self.start
        return check_start(start, self.outer_bounds, start.size)

    @property
    def x_opt(self) -> NDArray[np.float64] | None:
        """The answer, if it is known."""
        if self._x_opt is None:
            return None
        answer = self.layout.point(self._x_opt, "x_opt")
        return check_start(answer, self.outer_bounds, answer.size, "x_opt")

    @property
    def sigma(self) -> float:
        """Initial sigma of smoothing, in units of `x_scale`."""
        return self._sigma

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        return self.spp

    @one_at_a_time()
    def open(self) -> Objective:
        """Load the scene and read or render the target."""
        activate(self.backend)
        return self.with_prior(SceneObjective(self))

    @one_at_a_time()
    def save(self, result: Any, path: str | Path) -> None:
        """Write the scene found as an XML file, its meshes and textures beside it.

        The file is loaded again, and its parameters are compared with those found.

        Parameters
        ----------
        result : OptimizeResult or array_like of shape (n,)
            The answer.
        path : str or Path
            File to write.

        Raises
        ------
        SceneError
            If a parameter cannot be written, or the file differs from the scene found; the file is then kept.
        """
        x = as_vector("x", getattr(result, "x", result), size=self.n)
        activate(self.backend)
        # Shapes at their own places, as the file has them.
        blueprint = evolve(self.blueprint(), moving=())
        save_bound(BoundScene(blueprint, self._parameters, self.views, self.loss), blueprint, x, Path(path))

    @one_at_a_time()
    def save_textures(self, result: Any, folder: str | Path, *, suffix: str = ".exr") -> list[Path]:
        """Write each texture found as a picture; returns the paths.

        Parameters
        ----------
        result : OptimizeResult or array_like of shape (n,)
            The answer.
        folder : str or Path
            Where to write; made if necessary.
        suffix : {".exr", ".png"}, default ".exr"
            EXR has the numbers; PNG has 8 bits, encoded in sRGB.
        """
        require("suffix", suffix in TEXTURE_SUFFIXES, f"one of {', '.join(TEXTURE_SUFFIXES)}", suffix)
        activate(self.backend)
        textures = self.layout.textures(as_vector("x", getattr(result, "x", result), size=self.n))
        require("parameters", bool(textures), "such that one of them is Texels", list(self._parameters))
        return [write_texture(texels, label, Path(folder), suffix) for label, texels in textures.items()]

    def identity_content(self) -> dict[str, Any]:
        """The scene with the contents of its files, the targets, the fields."""
        activate(self.backend)
        named = {item.name: getattr(self, item.name) for item in fields(type(self)) if item.init}
        for name in ("scene", "target", "_x0", "backend"):
            del named[name]
        targets = [content_of(item) for item in self.target or ()]
        return {"problem": [type(self), named], "scene": scene_content(self.blueprint()), "target": targets}

    def blueprint(self) -> Blueprint:
        """Return how to load the scene."""
        moving = tuple({binding.target for binding in self._parameters if isinstance(binding, Motion)})
        return Blueprint(description=self.scene, variables=self.variables, moving=moving)

    def bound(self) -> BoundScene:
        """Load the scene with its bindings; a backend must be active."""
        return BoundScene(self.blueprint(), self._parameters, self.views, self.loss)

    @property
    def views(self) -> tuple[View, ...]:
        """Camera and state of the scene of each picture."""
        return View.of(self.sensors, self.variants)

    def _own(self, binding: Binding) -> Parameter:
        """Return a parameter as the scene has it; the scene is loaded once for all."""
        if binding.target not in self._read:
            self._read.update(scene_values(self.blueprint(), self._parameters, self.views, self.backend))
        return self._read[binding.target]
