"""Losses of a user's own in scenes."""

import numpy as np
import pytest
import torch
from attrs import frozen

import invopt.testing
from invopt.exceptions import IncompatibleError
from invopt.rendering import Loss, Photograph

from .tiny_scenes import HEIGHT, TINY, WIDTH, scene


@frozen(kw_only=True)
class Spectrum(Loss):
    """Differences of Fourier transforms, which only numpy has."""

    differentiable = False

    def residuals(self, image, reference):
        d = np.fft.fft2(image - reference, axes=(0, 1), norm="ortho")
        return [d.real, d.imag]

    def residual_shapes(self, shape):
        return [shape, shape]


@frozen(kw_only=True)
class Undeclared(Spectrum):
    differentiable = True


@pytest.mark.render
def test_a_loss_in_numpy_works_where_it_can():
    """Residuals, values and a fitted exposure; no derivative, and it is said why."""
    target = Photograph(np.full((HEIGHT, WIDTH, 3), 0.3), exposure="unknown")
    problem = scene(target=target, x_opt=None, parameters=TINY[:2], loss=Spectrum())
    with problem.open() as live:
        x, seed = torch.from_numpy(problem.x0[None]), np.array([3])
        residuals, value = live.residuals(x, seed=seed), live.fun(x, seed=seed)
    # Parseval: both parts together have the mean square of the differences, halved.
    plain = scene(target=target, x_opt=None, parameters=TINY[:2])
    with plain.open() as live:
        known = live.fun(x, seed=seed)
    assert float(value) == pytest.approx(float(known) / 2, rel=1e-4)
    assert float((residuals**2).mean()) == pytest.approx(float(value), rel=1e-4)
    for check in invopt.testing.LOSS_CHECKS:
        check(Spectrum())
    with pytest.raises(IncompatibleError, match="the loss Spectrum has no derivative; use a loss that has, such as"):
        invopt.minimize(problem, "autodiff", "adam")
    if invopt.rendering.activate().value != "scalar":
        with pytest.raises(TypeError, match="Undeclared returns residuals of numpy .* set 'differentiable' to False"):
            invopt.testing.LOSS_CHECKS[2](Undeclared())
