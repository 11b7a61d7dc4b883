"""Fields whose transport is known."""

import math

import numpy as np
from attrs import frozen

from invopt.problems.radiosity import Field
from invopt.problems.radiosity.fields.field import Shapes


@frozen(kw_only=True)
class ConstantField(Field):
    """The same grey everywhere, given by one weight."""

    value: float = 0.0
    output: str = "linear"

    @property
    def shapes(self) -> Shapes:
        return {"value": (1,)}

    @property
    def inputs(self):
        return 6

    def features(self, weights, query, lookup):
        import torch

        return torch.cat([query.position, query.normal]).t()

    def initial(self, rng):
        return np.array([self.value])

    def __call__(self, weights, query, lookup, *, mixed=False):
        return weights["value"].expand(query.position.shape[1], 3)


class WavyField(ConstantField):
    """Positive, varying with position, direction and normal, to detect wrong densities."""

    def __call__(self, weights, query, lookup, *, mixed=False):
        import torch

        x, w, n = query.position, query.direction, query.normal
        waves = torch.stack([torch.sin(5 * x[i] + 2 * w[i]) * torch.cos(4 * x[1] - n[2 - i]) for i in range(3)], dim=1)
        return 1 + 0.8 * waves + 0 * weights["value"]


def pointwise(sides, estimator):
    """Derivative of each point's loss with respect to the only weight, shape (k,), by differentiating twice."""
    import torch

    losses = estimator.losses(sides)
    counted = torch.ones_like(losses, requires_grad=True)
    (total,) = torch.autograd.grad((counted * losses).sum(), sides.weights, create_graph=True)
    (each,) = torch.autograd.grad(total[0], counted, retain_graph=True)
    return each.double().numpy()


def gradients(rho, m, emission, c):
    """Closed forms of the expected derivatives inside the furnace: full, semi, true."""
    true = 2 * (1 - rho) * (c - rho * (emission + c))
    return true + 2 * rho**2 * (emission + c) / (3 * m), 2 * (c - rho * (emission + c)), true


def full_fixed_point(rho, m, emission):
    """Reflected radiance at which the full gradient vanishes."""
    a, v = 1 - rho, rho**2 / (3 * m)
    return emission * (a * rho - v) / (a * a + v)


def truth(rho, emission):
    """Reflected radiance in the furnace."""
    return emission * rho / (1 - rho)


assert math.isclose(1 + full_fixed_point(0.8, 2, 1.0), 1.364, abs_tol=1e-3)
