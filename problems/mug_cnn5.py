"""CNN5: train a network to estimate rotation, position and colour of a mug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from attrs import frozen

from invopt.rendering.bindings import Binding, Color, Translation

from .mug import mug_rotation
from .network.mug_network import ROTATIONS, MugNetwork

__all__ = ["MugCNN5"]

# Largest sideways translation in scene units and range of the glaze's linear RGB; both show at every rotation.
# The scales are a quarter to a third of the ranges, so that one sigma is about the same share of every range.
_SIDEWAYS, _SIDEWAYS_SCALE = 0.25, 0.12
_DARK, _BRIGHT, _COLOUR_SCALE = 0.05, 0.8, 0.24


@frozen(kw_only=True, eq=False, slots=False)
class MugCNN5(MugNetwork):
    """A network that estimates rotation, position and colour of a mug.

    The paper's CNN5: `MugCNN` with five outputs and 268,773 weights. The outputs are the rotation, from 7 to 12 units
    of 20 degrees; the position along the picture's horizontal, within 0.25 scene units; red, green and blue of the
    glaze, from 0.05 to 0.8. True values are uniform in these ranges.

    Parameters
    ----------
    size, n_train, n_held_out, batch_size, spp, reference_spp, data_seed, depth, backend, device
        See `invopt.problems.network.mug_network.MugNetwork`.
    """

    low: ClassVar[tuple[float, ...]] = (ROTATIONS[0], -_SIDEWAYS, _DARK, _DARK, _DARK)
    high: ClassVar[tuple[float, ...]] = (ROTATIONS[1], _SIDEWAYS, _BRIGHT, _BRIGHT, _BRIGHT)

    def bindings(self) -> Sequence[Binding]:
        """Return rotation, position and colour."""
        return [
            mug_rotation(),
            Translation("mug", axes="y", scale=_SIDEWAYS_SCALE, name="position"),
            Color("mug.bsdf.diffuse_reflectance", scale=_COLOUR_SCALE, bounds=(0.0, 1.0), name="colour"),
        ]
