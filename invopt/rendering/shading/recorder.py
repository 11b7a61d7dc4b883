"""Recorder: a picture and its sparse Jacobian from the same light paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import SceneError
from invopt.rendering.backend import active
from invopt.rendering.choice import Backend
from invopt.rendering.shading.booking import Booked, Place, book
from invopt.rendering.shading.paths import Lengths, Tracer
from invopt.rendering.shading.slots import Slot, find_slot
from invopt.rendering.shading.uses import uses_of

__all__ = ["MOST_DEPTH", "Recorder"]

# Longest paths that are recorded: memory and time grow with each step.
MOST_DEPTH = 16
# Integrators that are Mitsuba's path integrator, or its derivatives.
_INTEGRATORS = ("PathIntegrator", "PRBIntegrator", "PRBProjectiveIntegrator")


class Recorder:
    """Records pictures of a live scene.

    Parameters
    ----------
    scene : mitsuba.Scene
        The scene.
    params : mitsuba.SceneParameters
        Its parameters.
    """

    def __init__(self, scene: Any, params: Any) -> None:
        self._scene, self._params = scene, params
        self._uses = uses_of(scene)
        self._slots: dict[str, Slot] = {}
        self._tracers: dict[tuple[str, ...], Tracer] = {}

    def check(self, sensors: Sequence[int]) -> None:
        """Refuse pictures that cannot be recorded.

        Raises
        ------
        SceneError
            If the backend, the integrator or the film of a camera is not supported.
        """
        if active() is Backend.SCALAR:
            raise SceneError("the scalar backend does not record what shades: use LLVM or CUDA")
        self._lengths()
        for sensor in sensors:
            film = self._scene.sensors()[sensor].film()
            if type(film.rfilter()).__name__ != "BoxFilter" and film.rfilter().class_name() != "BoxFilter":
                raise SceneError(
                    f"pictures with a {film.rfilter().class_name()} are not recorded: give the film the filter 'box', "
                    f"with which each sample counts in one pixel"
                )
            if film.sample_border():
                raise SceneError("pictures with 'sample_border' are not recorded: leave it out")

    def slot(self, key: str, padding: int = 0) -> Slot:
        """What a parameter shades.

        Raises
        ------
        SceneError
            If it cannot be recorded.
        """
        if key not in self._slots:
            self._slots[key] = find_slot(self._params, self._uses, key, padding)
        return self._slots[key]

    def record(self, values: Mapping[str, NDArray[np.float64]], *, sensor: int, seed: int, spp: int) -> Booked:
        """Render a picture, and book it at parameters.

        Parameters
        ----------
        values : mapping of str to ndarray
            Current values of the parameters, > 0, by Mitsuba's names; their slots are known.
        sensor, seed, spp : int
            Camera, seed and samples per pixel, as of a render.

        Returns
        -------
        Booked
            Picture of shape (pixels, 3), and its Jacobian with respect to the values of all parameters, one after the
            other.
        """
        slots = [self._slots[key] for key in values]
        materials = list(dict.fromkeys(each for slot in slots for each in slot.materials))
        lights = list(dict.fromkeys(each for slot in slots for each in slot.lights))
        places = [
            Place(
                slot,
                value,
                [materials.index(each) for each in slot.materials],
                [lights.index(each) for each in slot.lights],
            )
            for slot, value in zip(slots, values.values(), strict=True)
        ]
        tracer = self._tracers.setdefault(tuple(values), Tracer(self._lengths(), materials, lights))
        return book(tracer(self._scene, sensor=sensor, seed=seed, spp=spp), places, spp)

    def _lengths(self) -> Lengths:
        """Lengths of the integrator's paths."""
        integrator = self._scene.integrator()
        text = str(integrator)
        name = integrator.class_name()
        if name not in _INTEGRATORS:
            raise SceneError(f"pictures of a {name} are not recorded: use the integrator 'path'")
        # The path integrator tells its settings in its text only.
        found = {key: int(value) for key, value in re.findall(r"(max_depth|rr_depth) = (-?\d+)", text)}
        depth = int(getattr(integrator, "max_depth", found.get("max_depth", -1))) % 2**32
        roulette = int(getattr(integrator, "rr_depth", found.get("rr_depth", 5)))
        if not 0 < depth <= MOST_DEPTH:
            raise SceneError(f"paths are recorded up to a length of {MOST_DEPTH}: give the integrator this 'max_depth'")
        if getattr(integrator, "hide_emitters", False):
            raise SceneError("pictures with 'hide_emitters' are not recorded: leave it out")
        return Lengths(depth, roulette)
