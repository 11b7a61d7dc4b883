"""Autodiff: the renderer's own derivative."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen, validators
from torch import Tensor

from invopt.plugin import (
    JAC_COST,
    Adjoint,
    Capability,
    Estimate,
    Estimator,
    Evaluator,
    Order,
    Problem,
    SeedSource,
    integer,
    one_of,
)

__all__ = ["Autodiff"]

# Integrators of Mitsuba that have derivatives, and the choice between them.
INTEGRATORS = ("auto", "prb", "prb_basic", "prbvolpath", "prb_projective", "direct_projective")


@frozen(kw_only=True)
class Autodiff(Estimator):
    """Value and gradient by the renderer's own derivative.

    This is the paper's "Mitsuba" baseline. For scenes whose images depend smoothly on the parameters, such as textures
    and materials.

    One call renders once forwards and once backwards, and counts as 2 evaluations. Image and derivative have
    independent noise, so that the gradient of a squared loss is unbiased if the derivative is complete.

    Parameters
    ----------
    integrator : {"auto", "prb", "prb_basic", "prbvolpath", "prb_projective", "direct_projective"}, default "auto"
        "auto" is the scene's own integrator if it has a derivative, also one of another package, else "prb", or
        "prbvolpath" for volumes. These ignore moving edges and shadows; "prb_projective" samples them and takes several
        times as long. "direct_projective" is the same for scenes of direct light, ``max_depth=2``.
    max_depth : int, optional
        Length of the longest light path that is differentiated; 2 is direct light. Images keep all paths. By default
        that of the scene. If geometry moves, the derivative of longer paths can have such heavy tails that it is
        useless.
    n_samples : int, default 1
        Number of independent estimates to average; from 2 on there is a standard error.

    Notes
    -----
    Guiding of "prb_projective" and "direct_projective" is off, unless the scene's own integrator sets it: it takes
    seconds for each picture.

    Nothing is smoothed. On a plateau the derivative is exactly zero, or that of shading alone: the run then stays or
    drifts, and its message says which. Poses of cameras and positions of point lights have no derivative in Mitsuba:
    that is an error before the first step. The last bits of a derivative vary from run to run, because Dr.Jit's threads
    add in any order.

    References
    ----------
    .. [1] Vicini, Speierer, Jakob, "Path Replay Backpropagation", SIGGRAPH 2021: prb.
    .. [2] Zhang, Roussel, Jakob, "Projective Sampling for Differentiable Rendering of Geometry", SIGGRAPH Asia 2023.

    See Also
    --------
    SharedSamples : needs values only, and handles moving edges.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC
    needs: ClassVar[Capability] = Capability.FUN | Capability.JAC

    integrator: str = field(default="auto", validator=one_of(*INTEGRATORS))
    max_depth: int | None = field(default=None, validator=validators.optional(integer(1)))
    n_samples: int = field(default=1, validator=integer(1, 10**6))

    def init(self, problem: Problem) -> None:
        """There is no state."""
        return

    def cost(self, n: int) -> int:
        """One forward and one backward render for each sample."""
        return JAC_COST * self.n_samples

    def estimate(self, objective: Evaluator, x: Tensor, state: None, rng: np.random.Generator) -> tuple[Estimate, None]:
        """Estimate at `x`."""
        seeds = SeedSource(self.seeds, rng).draw(self.n_samples)
        values, gradients = objective.values_and_jacs(x, seed=seeds, adjoint=Adjoint(self.integrator, self.max_depth))
        k = self.n_samples
        jac = gradients.mean(0)
        zero = bool((gradients == 0).all())
        estimate = Estimate(
            x=x,
            fun=float(values.mean()),
            fun_standard_error=float(values.std()) / k**0.5 if k > 1 else math.inf,
            jac=jac,
            standard_error=gradients.std(0) / k**0.5 if k > 1 else torch.full_like(jac, math.inf),
            nfev=JAC_COST * k,
            blind=zero,
            note=_ZERO if zero else objective.blind_spots,
        )
        return estimate, None


_ZERO = "the renderer's derivative is exactly zero here: no pixel depends smoothly on any parameter"
