"""CNN: train a network to estimate the rotation of a mug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from attrs import frozen

from invopt.rendering.bindings import Binding

from .mug import mug_rotation
from .network.mug_network import ROTATIONS, MugNetwork

__all__ = ["MugCNN"]


@frozen(kw_only=True, eq=False, slots=False)
class MugCNN(MugNetwork):
    """A network that estimates the rotation of a mug from a picture.

    The paper's CNN, with 267,745 weights. The network is trained without labels: its output is rendered and compared
    with the picture. The rotation is in units of 20 degrees, from 7 to 12; the true rotations are uniform there. The
    camera looks at the side of the handle, so that every rotation of this range shows in the picture.

    Parameters
    ----------
    size, n_train, n_held_out, batch_size, spp, reference_spp, data_seed, depth, backend, device
        See `invopt.problems.network.mug_network.MugNetwork`.
    """

    low: ClassVar[tuple[float, ...]] = ROTATIONS[:1]
    high: ClassVar[tuple[float, ...]] = ROTATIONS[1:]

    def bindings(self) -> Sequence[Binding]:
        """Return the rotation."""
        return [mug_rotation()]
