"""CNN5: learn to see rotation, position and colour of a mug, from pictures alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from attrs import frozen

from invopt.rendering.bindings import Binding, Color, Rotation, Translation

from .network.mug_network import UNIT, MugNetwork

__all__ = ["MugCNN5"]

# Displacement sideways, in scene units, and colour of the glaze, linear RGB: what shows at any rotation.
# Scales of a quarter to a third of the ranges: a step of one kernel's width then gets about as far in all outputs.
_REACH, _SHIFT_SCALE = 0.25, 0.12
_DARK, _BRIGHT, _COLOUR_SCALE = 0.05, 0.8, 0.24


@frozen(kw_only=True, eq=False, slots=False)
class MugCNN5(MugNetwork):
    """`MugCNN` with five outputs and 268,773 weights: rotation, position and colour of the mug.

    The rotation as of `MugCNN`, its range 7 to 12 units of 20 degrees; the position along the picture's horizontal,
    within 0.25 scene units; red, green and blue of the glaze, 0.05 to 0.8. Truths are uniform in these ranges.

    Parameters
    ----------
    size, n_train, n_held_out, batch_size, spp, reference_spp, data_seed, depth, backend, device
        As of every `MugNetwork`.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025: its CNN5.
    """

    low: ClassVar[tuple[float, ...]] = (7.0, -_REACH, _DARK, _DARK, _DARK)
    high: ClassVar[tuple[float, ...]] = (12.0, _REACH, _BRIGHT, _BRIGHT, _BRIGHT)

    def bindings(self) -> Sequence[Binding]:
        """Rotation, position, colour."""
        return [
            Rotation("mug", axis=(0, 0, 1), unit=UNIT, center=(0, 0, 0), name="rotation"),
            Translation("mug", axes="y", scale=_SHIFT_SCALE, name="position"),
            Color("mug.bsdf.diffuse_reflectance", scale=_COLOUR_SCALE, bounds=(0.0, 1.0), name="colour"),
        ]
