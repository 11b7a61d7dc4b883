"""Neural path guiding: a network that predicts where light comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from invopt.plugin import integer, require

from ..fields.field import Shapes, linear_layers, xavier

__all__ = ["Guide", "Lobes"]

# Outputs per lobe: a mean direction (3), a concentration, a share.
_OUTPUTS_PER_LOBE = 5
# Limits of concentrations: above 0, by which densities are divided, and the narrowest lobe that float32 resolves.
_SMALLEST_CONCENTRATION, _LARGEST_CONCENTRATION = 1e-2, 1e4
# Keeps the shares of directions finite where no light arrives.
_SMALLEST_LIGHT = 1e-8
# Angle between successive points of a Fibonacci lattice on the sphere, in units of pi.
_GOLDEN_ANGLE = 1 + 5**0.5


class Lobes(NamedTuple):
    """Mixtures of k von Mises-Fisher densities at n points.

    Shares and concentrations have shape (n, k), mean directions (n, k, 3).
    """

    shares: Tensor
    concentrations: Tensor
    means: Tensor

    def log_density(self, directions: Tensor) -> Tensor:
        """Logarithm of the density per solid angle, shape (n, m).

        The directions have shape (n, m, 3).
        """
        cosine = torch.einsum("nmc,nkc->nmk", directions, self.means)
        kappa = self.concentrations.unsqueeze(1)
        log_norm = kappa.log() - math.log(2 * math.pi) - torch.log1p(-torch.exp(-2 * kappa))
        return torch.logsumexp(self.shares.log().unsqueeze(1) + log_norm + kappa * (cosine - 1), dim=2)


@frozen(kw_only=True)
class Guide:
    """Network that predicts a mixture of von Mises-Fisher lobes over directions [1]_.

    Its inputs are those of the field, its directions those of the world.

    Parameters
    ----------
    width : int, default 64
        Units of a hidden layer; 256 in the paper.
    depth : int, default 4
        Linear layers, at least 2; 4 in the paper.
    lobes : int, default 8
        Lobes of the mixture.
    first : int, default 1000
        First step at which it is trained; the defaults of this and `last` are those of the semi-gradient paper.
    last : int, default 5000
        Step before which its training ends. It draws directions from the middle between `first` and `last`.

    References
    ----------
    .. [1] Dong, Wang, et al., "Neural Parametric Mixtures for Path Guiding", SIGGRAPH 2023.
    """

    width: int = field(default=64, validator=integer(4))
    depth: int = field(default=4, validator=integer(2))
    lobes: int = field(default=8, validator=integer(1, 32))
    first: int = field(default=1000, validator=integer(0))
    last: int = field(default=5000, validator=integer(1))

    def __attrs_post_init__(self) -> None:
        require("last", self.last > self.first, f"> 'first' = {self.first}", self.last)

    def shapes(self, inputs: int) -> Shapes:
        """Name and shape of each part of the guide's weights."""
        return linear_layers("guide", [inputs, *[self.width] * (self.depth - 1), self.lobes * _OUTPUTS_PER_LOBE])

    def initial(self, rng: np.random.Generator, inputs: int) -> NDArray[np.float64]:
        """Random initial weights, shape (n,)."""
        return np.concatenate([xavier(rng, shape) for shape in self.shapes(inputs).values()])

    def learns(self, step: int) -> bool:
        """Return whether the guide is trained at a step."""
        return self.first <= step < self.last

    def guides(self, step: int) -> bool:
        """Return whether directions are drawn from the guide at a step."""
        return step >= (self.first + self.last) // 2

    def __call__(self, weights: Mapping[str, Tensor], features: Tensor) -> Lobes:
        """Return mixtures at points with these inputs of the field, shape (n, inputs)."""
        hidden = features
        for i in range(self.depth - 1):
            hidden = functional.linear(hidden, weights[f"guide{i}.weight"], weights[f"guide{i}.bias"]).relu()
        last = self.depth - 1
        found = functional.linear(hidden, weights[f"guide{last}.weight"], weights[f"guide{last}.bias"])
        found = found.view(-1, self.lobes, _OUTPUTS_PER_LOBE)
        # Fixed offsets spread the lobes over the sphere; otherwise all would start and stay equal.
        means = functional.normalize(found[..., :3] + self._spread(found), dim=2)
        concentrations = (functional.softplus(found[..., 3] + 1) + _SMALLEST_CONCENTRATION).clamp(
            max=_LARGEST_CONCENTRATION
        )
        return Lobes(found[..., 4].softmax(1), concentrations, means)

    def loss(self, lobes: Lobes, directions: Tensor, values: Tensor) -> Tensor:
        """Return the cross entropy of the mixtures with the normalised incident light.

        Parameters
        ----------
        lobes : Lobes
            Mixtures at n points.
        directions : Tensor, shape (n, m, 3)
            Directions that were drawn.
        values : Tensor, shape (n, m)
            Light from these directions over the density of the direction, >= 0.
        """
        share = values / (values.sum(1, keepdim=True) + _SMALLEST_LIGHT)
        return -(share * lobes.log_density(directions)).sum(1).mean()

    def _spread(self, like: Tensor) -> Tensor:
        """Return directions on a Fibonacci lattice on the sphere, shape (lobes, 3)."""
        number = torch.arange(self.lobes, device=like.device, dtype=like.dtype) + 0.5
        z = 1 - 2 * number / self.lobes
        angle = math.pi * _GOLDEN_ANGLE * number
        radius = torch.sqrt(1 - z * z)
        return torch.stack([radius * angle.cos(), radius * angle.sin(), z], dim=1)
