"""Trained fields that Mitsuba draws in their scene."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.plugin import as_integer

from ..fields.saved import SavedField

__all__ = ["RadianceField"]


@frozen(kw_only=True, eq=False)
class RadianceField(SavedField):
    """A trained radiance field.

    Parameters
    ----------
    field : Field
        The network.
    weights : Tensor, shape (n,)
        Weights of the network.
    low, extent : ndarray, shape (3,)
        Lowest corner and size of the box of all positions.
    scene : str, default ""
        Name of the scene and digest of its content.
    fingerprint : ndarray, shape (520, 7), optional
        What rays meet in the scene, by which the field refuses another one.

    Examples
    --------
    Save the answer of a run, and use it elsewhere::

        RadianceField.of(live, res.x).save("room.safetensors")
        RadianceField.load("room.safetensors").radiance(p, w, n, albedo)

    Render it as any Mitsuba integrator, or start another training there::

        RadianceField.load("room.safetensors").render(scene)
        invopt.minimize(problem, x0="room.safetensors")
    """

    def render(
        self,
        scene: Any,
        sensor: Any = 0,
        *,
        side: str = "lhs",
        spp: int = 4,
        n_directions: int = 4,
        seed: int = 0,
        **options: Any,
    ) -> NDArray[np.float32]:
        """Render the field in its scene, through Mitsuba's integrator "radiance_field".

        Parameters
        ----------
        scene : mitsuba.Scene, str, Path, dict or callable
            The scene: loaded, or as for `NeuralRadiosity`.
        sensor : int, dict or mitsuba.Sensor, default 0
            Number of a camera of the scene, or another one; with its film, filter and size.
        side : {"lhs", "rhs"}, default "lhs"
            The field itself, or its right side.
        spp : int, default 4
            Rays through each pixel.
        n_directions : int, default 4
            Incident directions of each ray for the right side.
        seed : int, default 0
            Seed of the rays.
        **options
            Further properties of the integrator: ``media="ignore"``, ``sampling``, ``bounces``.

        Returns
        -------
        ndarray of float32, shape (height, width, channels)

        Raises
        ------
        CheckpointError
            If the field is of another scene; `BackendError` if this machine renders with "scalar" only.
        """
        # Imported here because files need no renderer.
        from .rendered import rendered

        properties = {"side": side, "n_directions": n_directions} | options
        return rendered(self, scene, sensor, as_integer("spp", spp), as_integer("seed", seed), properties)
