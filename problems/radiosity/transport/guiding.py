"""Neural path guiding: a network for the directions of incident light."""

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

# Numbers of a lobe: mean direction (3), concentration, share.
_PER_LOBE = 5
# Range of concentrations. The largest is of a lobe 0.01 wide in radians (1 / sqrt(1e4)), where 1 - cosine is 5e-5 and
# float32 still has three digits of it; the smallest is nearly uniform, and keeps its logarithm finite.
_LEAST_CONCENTRATION, _MOST_CONCENTRATION = 1e-2, 1e4
# Added to a sum of light, so that a point without light divides by no 0.
_LEAST_LIGHT = 1e-8


class Lobes(NamedTuple):
    """Mixtures of von Mises-Fisher densities at n points.

    Shares and concentrations of shape (n, k), means (n, k, 3).
    """

    shares: Tensor
    concentrations: Tensor
    means: Tensor

    def log_density(self, directions: Tensor) -> Tensor:
        """Logarithm of the density per solid angle, shape (n, m).

        `directions` have shape (n, m, 3).
        """
        cosine = torch.einsum("nmc,nkc->nmk", directions, self.means)
        kappa = self.concentrations.unsqueeze(1)
        log_norm = kappa.log() - math.log(2 * math.pi) - torch.log1p(-torch.exp(-2 * kappa))
        return torch.logsumexp(self.shares.log().unsqueeze(1) + log_norm + kappa * (cosine - 1), dim=2)


@frozen(kw_only=True)
class Guide:
    """Network from the inputs of the field to von Mises-Fisher lobes [1]_.

    The lobes are of directions in the world.

    Parameters
    ----------
    width : int, default 64
        Units of a hidden layer; 256 in the paper.
    depth : int, default 4
        Linear layers, at least 2.
    lobes : int, default 8
        Lobes of the mixture.
    first : int, default 1000
        Step from which the guide learns.
    last : int, default 5000
        Step up to which it learns. It is used from the middle between both on.

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
        """Name and shape of each part of its vector of weights."""
        return linear_layers("guide", [inputs, *[self.width] * (self.depth - 1), self.lobes * _PER_LOBE])

    def initial(self, rng: np.random.Generator, inputs: int) -> NDArray[np.float64]:
        """Initial weights, shape (n,)."""
        return np.concatenate([xavier(rng, shape) for shape in self.shapes(inputs).values()])

    def learns(self, step: int) -> bool:
        """Whether the guide is trained at a step."""
        return self.first <= step < self.last

    def guides(self, step: int) -> bool:
        """Whether directions are drawn from it at a step."""
        return step >= (self.first + self.last) // 2

    def __call__(self, weights: Mapping[str, Tensor], features: Tensor) -> Lobes:
        """Mixtures at the points whose inputs are `features`, shape (n, inputs)."""
        hidden = features
        for i in range(self.depth - 1):
            hidden = functional.linear(hidden, weights[f"guide{i}.weight"], weights[f"guide{i}.bias"]).relu()
        last = self.depth - 1
        found = functional.linear(hidden, weights[f"guide{last}.weight"], weights[f"guide{last}.bias"])
        found = found.view(-1, self.lobes, _PER_LOBE)
        # Fixed offsets spread the lobes over the sphere. Otherwise all would start, and learn, alike.
        means = functional.normalize(found[..., :3] + self._spread(found), dim=2)
        concentrations = (functional.softplus(found[..., 3] + 1) + _LEAST_CONCENTRATION).clamp(max=_MOST_CONCENTRATION)
        return Lobes(found[..., 4].softmax(1), concentrations, means)

    def loss(self, lobes: Lobes, directions: Tensor, values: Tensor) -> Tensor:
        """Cross entropy of the mixtures to the incident light, up to its norm.

        Parameters
        ----------
        lobes : Lobes
            Mixtures at n points.
        directions : Tensor, shape (n, m, 3)
            Directions drawn.
        values : Tensor, shape (n, m)
            Light from each direction over its density, >= 0.
        """
        share = values / (values.sum(1, keepdim=True) + _LEAST_LIGHT)
        return -(share * lobes.log_density(directions)).sum(1).mean()

    def _spread(self, like: Tensor) -> Tensor:
        """Directions evenly over the sphere, shape (lobes, 3)."""
        number = torch.arange(self.lobes, device=like.device, dtype=like.dtype) + 0.5
        z = 1 - 2 * number / self.lobes
        # A spiral that turns by the golden ratio.
        angle = math.pi * (1 + 5**0.5) * number
        radius = torch.sqrt(1 - z * z)
        return torch.stack([radius * angle.cos(), radius * angle.sin(), z], dim=1)
