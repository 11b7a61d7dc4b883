"""Mixtures of von Mises-Fisher lobes in Dr.Jit. Import with a backend active."""

from __future__ import annotations

from typing import Any

import drjit
import mitsuba
from torch import Tensor

from .guiding import Lobes

__all__ = ["Mixture"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba


class Mixture:
    """Mixture of von Mises-Fisher lobes at each interaction, in Dr.Jit."""

    def __init__(self, lobes: Lobes, index: Any) -> None:
        # Share, concentration and mean direction of each lobe.
        columns = [_gathered(lobes.shares, index), _gathered(lobes.concentrations, index)]
        means = [_gathered(lobes.means[:, :, axis], index) for axis in range(3)]
        self._lobes = [
            (share, kappa, mi.Vector3f(x, y, z)) for share, kappa, x, y, z in zip(*columns, *means, strict=True)
        ]

    def sample(self, choice: Any, drawn: Any) -> Any:
        """Draw a direction: `choice` selects the lobe, `drawn` the direction in it."""
        below = dr.zeros(mi.Float, dr.width(choice))
        kappa, mean = self._lobes[-1][1], self._lobes[-1][2]
        chosen = dr.full(mi.Bool, False, dr.width(choice))
        for share, other, direction in self._lobes:
            below = below + share
            here = ~chosen & (choice < below)
            kappa, mean = dr.select(here, other, kappa), dr.select(here, direction, mean)
            chosen = chosen | here
        cosine = 1 + dr.log(drawn.x + (1 - drawn.x) * dr.exp(-2 * kappa)) / kappa
        sine = dr.safe_sqrt(1 - cosine * cosine)
        sin_phi, cos_phi = dr.sincos(dr.two_pi * drawn.y)
        return mi.Frame3f(mean).to_world(mi.Vector3f(sine * cos_phi, sine * sin_phi, cosine))

    def density(self, direction: Any) -> Any:
        """Density of a direction per solid angle."""
        total = dr.zeros(mi.Float, 1)
        for share, kappa, mean in self._lobes:
            total += (
                share * kappa / (dr.two_pi * (1 - dr.exp(-2 * kappa))) * dr.exp(kappa * (dr.dot(direction, mean) - 1))
            )
        return total


def _gathered(columns: Tensor, index: Any) -> list[Any]:
    """Return these rows of a tensor's columns as arrays of Dr.Jit."""
    return [dr.gather(mi.Float, mi.Float(column.contiguous()) + 0, index) for column in columns.unbind(1)]
