"""CNN: learn to see how a mug is turned, from pictures alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from attrs import frozen

from invopt.rendering.bindings import Binding, Rotation

from .network.mug_network import UNIT, MugNetwork

__all__ = ["MugCNN"]


@frozen(kw_only=True, eq=False, slots=False)
class MugCNN(MugNetwork):
    """A network of 267,745 weights that looks at a picture of a mug and says how it is turned.

    It is told nothing but how well its answer, rendered, matches the picture. The answer is in units of 20 degrees, in
    7 to 12; truths are uniform there. The camera looks at the handle's side, so that every rotation of the range shows
    in the picture.

    Parameters
    ----------
    size, n_train, n_held_out, batch_size, spp, reference_spp, data_seed, depth, backend, device
        As of every `MugNetwork`.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025: its CNN.
    """

    low: ClassVar[tuple[float, ...]] = (7.0,)
    high: ClassVar[tuple[float, ...]] = (12.0,)

    def bindings(self) -> Sequence[Binding]:
        """The rotation."""
        return [Rotation("mug", axis=(0, 0, 1), unit=UNIT, center=(0, 0, 0), name="rotation")]
