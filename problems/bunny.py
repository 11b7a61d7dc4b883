"""BUNNY: place and turn of the Stanford bunny."""

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

_START, _SPREAD = np.array([0.25, -0.25, 0.25]), 0.05
_UNIT = 100.0  # degrees
_UP = (0, 1, 0)


@frozen(kw_only=True, eq=False, slots=False)
class Bunny(Task):
    """Place on the ground and turn of the Stanford bunny, from one picture.

    Three unknowns: x and z in scene units (the bunny is one unit high), and the turn about the vertical in units of 100
    degrees. From the default start the pictures overlap: there is no plateau, and the renderer's own derivative leads
    home too, that of direct light: ``Autodiff(max_depth=2)``. That of longer paths is lost in its noise.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        64x64 pixels at 8 samples, 32x32 at 8, or 64x64 at 32 as in the paper.
    full : bool, default False
        The scan with 69,451 faces instead of the one with 948.
    width, height, spp, reference_spp, reference_seed, shared_reference, depth, backend
        As of every rendered task, see `invopt.problems.tasks.task.Task`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or range.

    Notes
    -----
    The mesh is from the Stanford 3D Scanning Repository, for research use. It is looked for in the folder that the
    environment variable INVOPT_DATA_DIR names, then fetched with pooch, where that is installed. Without either a
    procedural rabbit takes its place, and a warning says so: results then are not comparable with the paper's.
    """

    sizes: ClassVar[dict[str, tuple[int, int, int]]] = {
        "tiny": (32, 32, 8),
        "default": (64, 64, 8),
        "paper": (64, 64, 32),
    }

    full: bool = field(default=False, validator=boolean)

    @cached_property
    def statement(self) -> Scene:
        """Displacement and turn; the paper's start and answer."""
        return self._state(
            scene=self._description,
            parameters=[
                Translation("bunny", axes="xz", scale=1.0, bounds=(-0.6, 0.6), name="place"),
                # A turn moves the outline less than a displacement by as many units does.
                Rotation("bunny", axis=_UP, unit=_UNIT, center=(0, 0, 0), scale=2.0, name="turn"),
            ],
            x0=_START,
            x_opt=np.zeros(3),
            # Wider than the paper's 0.06: with few samples that width is lost in the noise before the turn is found.
            sigma=0.1,
        )

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, 3), up to 0.05 from the default one in each parameter."""
        return _START + rng.uniform(-_SPREAD, _SPREAD, (k, 3))

    def _description(self) -> dict[str, Any]:
        """Scene: the bunny on a pale floor, a large light overhead, a soft surround."""
        width, height = self.resolution
        # Two-sided, for the scan has holes.
        fur = {"type": "twosided", "bsdf": diffuse(0.75, 0.35, 0.2)}
        lying = look_at([0, 0, 0], [0, 1, 0], [0, 0, 1]) @ scale(20)
        light = area_light(origin=[1.4, 3.2, 1.6], target=[0, 0.4, 0], half_width=0.9, radiance=6.0, up=(0, 0, -1))
        return {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": self.depth},
            "sensor": camera(origin=[0, 1.5, 3.2], target=[0, 0.4, 0], fov=36, width=width, height=height, up=_UP),
            # Rays that bounce find an even surround; sampling it too would only take samples from the light.
            "surround": {"type": "constant", "radiance": rgb(0.4, 0.4, 0.42), "sampling_weight": 0.05},
            "light": light,
            "floor": {"type": "rectangle", "to_world": lying, "bsdf": diffuse(0.45, 0.42, 0.38)},
            "bunny": data.bunny(full=self.full) | {"bsdf": fur},
        }
