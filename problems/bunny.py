"""BUNNY: find position and rotation of the Stanford bunny."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.plugin import boolean
from invopt.rendering import data
from invopt.rendering.bindings import Rotation, Translation
from invopt.rendering.descriptions import area_light, camera, diffuse, look_at, rgb, scale

from .scene import Scene
from .tasks.task import Task

__all__ = ["Bunny"]

# Default start, and degrees of one unit of rotation (the authors' settings).
_BUNNY_START, _BUNNY_UNIT = np.array([0.25, -0.25, 0.25]), 100.0
# Largest distance of a random start from the default one, in each parameter.
_BUNNY_SPREAD = 0.05
_UP = (0, 1, 0)


@frozen(kw_only=True, eq=False, slots=False)
class Bunny(Task):
    """Position on the ground and rotation of the Stanford bunny, from one picture.

    The paper's BUNNY. The unknowns are x and z in scene units (the bunny is one unit high) and the rotation about the
    vertical axis in units of 100 degrees. At the default start the bunny overlaps that of the target, so that there is
    no plateau: descent with the renderer's own derivative converges too, if it is that of direct light,
    ``Autodiff(max_depth=2)``. The derivative of longer paths is too noisy.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        64x64 pixels at 8 samples, 32x32 at 8, or 64x64 at 32 as in the paper.
    full : bool, default False
        Use the scan with 69,451 faces instead of that with 948.
    width, height, spp, reference_spp, reference_seed, shared_reference, depth, backend
        See `invopt.problems.tasks.task.Task`.

    Notes
    -----
    The mesh is from the Stanford 3D Scanning Repository, for research use. It is read from the folder that the
    environment variable INVOPT_DATA_DIR names; otherwise it is downloaded if pooch is installed. Without either, a
    procedural rabbit replaces it with a warning, and results cannot be compared with the paper's.
    """

    sizes: ClassVar[dict[str, tuple[int, int, int]]] = {
        "tiny": (32, 32, 8),
        "default": (64, 64, 8),
        "paper": (64, 64, 32),
    }

    full: bool = field(default=False, validator=boolean)

    @cached_property
    def statement(self) -> Scene:
        """The task as a `Scene`, with the authors' start and answer."""
        return self._scene(
            scene=self._description,
            parameters=[
                Translation("bunny", axes="xz", scale=1.0, bounds=(-0.6, 0.6), name="place"),
                # A unit of rotation moves the outline less than a unit of translation.
                Rotation("bunny", axis=_UP, unit=_BUNNY_UNIT, center=(0, 0, 0), scale=2.0, name="turn"),
            ],
            x0=_BUNNY_START,
            x_opt=np.zeros(3),
            # The authors' sigma is at most 0.06, at which the noise of 8 samples hides the effect of the rotation.
            sigma=0.1,
        )

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, 3) within 0.05 of the default one in each parameter."""
        return _BUNNY_START + rng.uniform(-_BUNNY_SPREAD, _BUNNY_SPREAD, (k, 3))

    def _description(self) -> dict[str, Any]:
        """The bunny on a pale floor with a large light above and a surround."""
        width, height = self.resolution
        # Two-sided because the scan has holes.
        fur = {"type": "twosided", "bsdf": diffuse(0.75, 0.35, 0.2)}
        lying = look_at([0, 0, 0], [0, 1, 0], [0, 0, 1]) @ scale(20)
        light = area_light(origin=[1.4, 3.2, 1.6], target=[0, 0.4, 0], half_width=0.9, radiance=6.0, up=(0, 0, -1))
        return {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": self.depth},
            "sensor": camera(origin=[0, 1.5, 3.2], target=[0, 0.4, 0], fov=36, width=width, height=height, up=_UP),
            # Most scattered rays meet the surround, so that its emitter samples would be wasted.
            "surround": {"type": "constant", "radiance": rgb(0.4, 0.4, 0.42), "sampling_weight": 0.05},
            "light": light,
            "floor": {"type": "rectangle", "to_world": lying, "bsdf": diffuse(0.45, 0.42, 0.38)},
            "bunny": data.bunny(full=self.full) | {"bsdf": fur},
        }
