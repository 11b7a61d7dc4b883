"""Power of the tests in `test_unbiased`: each planted error must be rejected."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from attrs import frozen

from invopt.core.estimator import Measurement
from invopt.estimators import SmoothedHVP, fr22, shared_samples, smoothed_gradient, smoothed_hessian
from invopt.estimators.smoothing import kernels, samplers
from invopt.estimators.smoothing import monte_carlo as mc

from .closed_forms import SIGMA
from .test_unbiased import few_samples_procedure, procedure

OFF = 1.02


def scaled_gradient_kernel(patch):
    patch.setattr(kernels, "gradient", lambda t: -OFF * t)


def scaled_hessian_kernel(patch):
    right = kernels.hessian
    patch.setattr(kernels, "hessian", lambda t: OFF * right(t))


def scaled_gradient_weight(patch):
    for module in (smoothed_gradient, fr22):
        patch.setattr(module, "GRADIENT_WEIGHT", OFF * samplers.GRADIENT_WEIGHT)


def scaled_hessian_weight(patch):
    patch.setattr(smoothed_hessian, "HESSIAN_WEIGHT", OFF * samplers.HESSIAN_WEIGHT)


def scaled_off_diagonal(patch):
    # Off the diagonal the weight is its square.
    patch.setattr(smoothed_hessian, "GRADIENT_WEIGHT", math.sqrt(OFF) * samplers.GRADIENT_WEIGHT)


def scaled_shared_product(patch):
    right = shared_samples._product

    def product(*args):
        measured = right(*args)
        return Measurement(OFF * measured.value, measured.standard_error)

    patch.setattr(shared_samples, "_product", product)


def hessian_without_identity(patch):
    patch.setattr(kernels, "hessian", lambda t: t.unsqueeze(2) * t.unsqueeze(1))


def wrong_sign(patch):
    patch.setattr(kernels, "gradient", lambda t: t)


def rayleigh_too_wide(patch):
    right = samplers.signed_rayleigh
    for module in (samplers, fr22):
        patch.setattr(module, "signed_rayleigh", lambda rng, size: OFF * right(rng, size))


def gaussian_for_rayleigh(patch):
    # Right in scale (E t^2 = 2), wrong in shape.
    for module in (samplers, fr22):
        patch.setattr(module, "signed_rayleigh", lambda rng, size: math.sqrt(2) * rng.standard_normal(size))


def lobes_unequal(patch):
    right = samplers.two_lobed

    def wrong(rng, size):
        draws = right(rng, size)
        inner = np.abs(draws) < 1
        # 2 % of the mass moves from inside to outside.
        moved = inner & (rng.random(draws.shape) < 0.04)
        return np.where(moved, np.sign(draws) * (2 - np.abs(draws)), draws)

    patch.setattr(samplers, "two_lobed", wrong)


def weighted_as_gaussian(patch):
    gaussian = samplers.GaussianProposal.density
    for proposal in (samplers.AggregateGradientProposal, samplers.AggregateHessianProposal, samplers.SharedProposal):
        patch.setattr(proposal, "density", gaussian)


def mixture_of_the_triangle(patch):
    """Average over i <= j, as if each off-diagonal element were drawn once, not twice."""

    def density(self, t):
        n = t.shape[1]
        size, squares = t.abs(), t.square()
        diagonal = (squares - 1).abs().sum(1) / samplers.HESSIAN_WEIGHT
        off = 0.5 * (size.sum(1).square() - squares.sum(1)) / samplers.GRADIENT_WEIGHT**2
        return (diagonal + off) / (n * (n + 1) / 2)

    patch.setattr(samplers.AggregateHessianProposal, "density", density)


def mixture_of_shared_samples(patch):
    patch.setattr(
        samplers.SharedProposal,
        "density",
        lambda self, t: 0.45 + t.abs().mean(1) * (0.55 / samplers.GRADIENT_WEIGHT),
    )


def cube_of_another_size(patch):
    # One per cent in each dimension.
    density = samplers.UniformProposal.density
    patch.setattr(samplers.UniformProposal, "density", lambda self, t: density(self, t) * 0.98 ** t.shape[1])


def half_lost(patch):
    right = mc.evaluate

    def evaluate(*args, **kwargs):
        parts = right(*args, **kwargs)
        return parts._replace(odd=2 * parts.odd, even=2 * parts.even)

    for module in (fr22, smoothed_gradient, smoothed_hessian, shared_samples):
        patch.setattr(module, "evaluate", evaluate)


def other_side(patch):
    """Evaluate at x + tau instead of x - tau."""
    right = mc.evaluate

    def evaluate(objective, x, tau, seed, *, antithetic):
        return right(objective, x, -tau, seed, antithetic=antithetic)

    for module in (fr22, smoothed_gradient, smoothed_hessian, shared_samples):
        patch.setattr(module, "evaluate", evaluate)


def sigma_lost(patch):
    for module in (fr22, smoothed_gradient, smoothed_hessian, shared_samples):
        right = module.mean
        patch.setattr(
            module, "mean", lambda c, right=right: right(c * (SIGMA if c.ndim == 2 else SIGMA**2 if c.ndim == 3 else 1))
        )


def narrower_perturbations(patch):
    right = mc.evaluate

    def evaluate(objective, x, tau, seed, *, antithetic):
        return right(objective, x, tau / OFF, seed, antithetic=antithetic)

    for module in (fr22, smoothed_gradient, smoothed_hessian, shared_samples):
        patch.setattr(module, "evaluate", evaluate)


@frozen(kw_only=True)
class ForgetsTwo(SmoothedHVP):
    """Divides the difference by epsilon instead of twice epsilon."""

    def _product(self, *args):
        right = super()._product(*args)
        return Measurement(2 * right.value, 2 * right.standard_error)


@frozen(kw_only=True)
class ForgetsLength(SmoothedHVP):
    """Product with the direction instead of the vector."""

    def _product(self, objective, x, sigma, p, rng, seeds):
        return super()._product(objective, x, sigma, p / torch.linalg.vector_norm(p), rng, seeds)


# What is planted, where it is looked for, and which quantities must be rejected.
PLANTED = [
    (scaled_gradient_kernel, "gradient-aggregate", "quadratic", 1, {"jac"}),
    (scaled_gradient_kernel, "gradient-aggregate", "quadratic", 2, {"jac"}),
    (scaled_gradient_kernel, "gradient-uniform", "quadratic", 1, {"jac"}),
    (scaled_gradient_kernel, "shared", "quadratic", 1, {"jac"}),
    (scaled_gradient_kernel, "shared-gaussian", "quadratic", 1, {"jac"}),
    (scaled_gradient_kernel, "hvp-aggregate", "quadratic", 1, {"jac", "hessp"}),
    (scaled_gradient_weight, "gradient-optimal", "quadratic", 1, {"jac"}),
    (scaled_gradient_weight, "gradient-optimal", "quadratic", 2, {"jac"}),
    (scaled_gradient_weight, "fr22", "quadratic", 2, {"jac"}),
    (scaled_gradient_weight, "hvp-optimal", "quadratic", 1, {"jac", "hessp"}),
    (scaled_hessian_kernel, "hessian-aggregate", "quadratic", 1, {"hess", "hessp"}),
    (scaled_hessian_kernel, "shared", "quadratic", 1, {"hess"}),
    (scaled_shared_product, "shared", "quadratic", 1, {"hessp"}),
    (scaled_shared_product, "shared-gaussian", "quadratic", 1, {"hessp"}),
    (scaled_hessian_weight, "hessian-optimal", "quadratic", 1, {"hess", "hessp"}),
    (scaled_off_diagonal, "hessian-optimal", "quadratic", 2, {"hess"}),
    (hessian_without_identity, "hessian-aggregate", "waves", 5, {"hess"}),
    (hessian_without_identity, "hessian-uniform", "waves", 5, {"hess"}),
    (wrong_sign, "gradient-uniform", "waves", 5, {"jac"}),
    (wrong_sign, "shared", "waves", 5, {"jac"}),
    (wrong_sign, "gradient-aggregate", "step", 5, {"jac"}),
    (rayleigh_too_wide, "gradient-optimal", "quadratic", 1, {"jac"}),
    (rayleigh_too_wide, "fr22", "quadratic", 2, {"jac"}),
    (rayleigh_too_wide, "gradient-aggregate", "quadratic", 1, {"jac"}),
    (rayleigh_too_wide, "shared", "quadratic", 1, {"jac"}),
    (gaussian_for_rayleigh, "gradient-optimal", "waves", 2, {"jac"}),
    (gaussian_for_rayleigh, "gradient-aggregate", "waves", 2, {"jac"}),
    (lobes_unequal, "hessian-optimal", "quadratic", 1, {"hess"}),
    (lobes_unequal, "hessian-aggregate", "quadratic", 1, {"hess"}),
    (weighted_as_gaussian, "gradient-aggregate", "waves", 5, {"jac"}),
    (weighted_as_gaussian, "gradient-aggregate", "step", 2, {"jac"}),
    (weighted_as_gaussian, "hessian-aggregate", "waves", 2, {"hess"}),
    (weighted_as_gaussian, "hvp-aggregate", "waves", 2, {"jac", "hessp"}),
    (weighted_as_gaussian, "shared", "waves", 2, {"fun", "jac", "hess", "hessp"}),
    (mixture_of_the_triangle, "hessian-aggregate", "quadratic", 2, {"hess"}),
    (mixture_of_the_triangle, "hessian-aggregate", "waves", 2, {"hess"}),
    (mixture_of_shared_samples, "shared", "quadratic", 1, {"jac", "hess"}),
    (mixture_of_shared_samples, "shared", "quadratic", 2, {"fun", "jac"}),
    (cube_of_another_size, "gradient-uniform", "quadratic", 1, {"jac"}),
    (cube_of_another_size, "gradient-uniform", "quadratic", 2, {"jac"}),
    (half_lost, "fr22", "waves", 5, {"jac"}),
    (half_lost, "gradient-optimal", "step", 5, {"jac"}),
    (half_lost, "gradient-uniform", "waves", 5, {"jac"}),
    (half_lost, "hessian-optimal", "waves", 5, {"hess"}),
    (half_lost, "hvp-uniform", "waves", 5, {"jac"}),
    (half_lost, "shared", "waves", 5, {"fun", "jac", "hess"}),
    (other_side, "fr22", "step", 1, {"jac"}),
    (other_side, "gradient-optimal", "step", 5, {"jac"}),
    (other_side, "hvp-aggregate", "waves", 5, {"jac", "hessp"}),
    (sigma_lost, "fr22", "waves", 5, {"jac"}),
    (sigma_lost, "gradient-optimal", "step", 5, {"jac"}),
    (sigma_lost, "gradient-aggregate", "waves", 2, {"jac"}),
    (sigma_lost, "shared", "waves", 1, {"jac", "hess"}),
    (narrower_perturbations, "gradient-optimal", "quadratic", 1, {"jac"}),
    (narrower_perturbations, "gradient-uniform", "quadratic", 1, {"jac"}),
    (narrower_perturbations, "hessian-optimal", "quadratic", 1, {"jac", "hess"}),
    (narrower_perturbations, "shared", "quadratic", 1, {"jac", "hess"}),
]


@pytest.mark.parametrize(
    ("plant", "key", "name", "n", "quantities"),
    [pytest.param(*case, id=f"{case[0].__name__}-{case[1]}-{case[2]}-{case[3]}") for case in PLANTED],
)
def test_planted_error_is_rejected(plant, key, name, n, quantities, monkeypatch):
    plant(monkeypatch)
    assert procedure(key, name, n, True).keys() >= quantities


@pytest.mark.parametrize(("wrong", "name"), [(ForgetsTwo, "quadratic"), (ForgetsTwo, "step"), (ForgetsLength, "waves")])
@pytest.mark.parametrize("proposal", ["optimal", "aggregate"])
def test_lost_factor_of_a_product_is_rejected(wrong, name, proposal):
    faulty = wrong(sigma=SIGMA, proposal=proposal)
    assert procedure(f"hvp-{proposal}", name, 2, True, faulty).keys() == {"hessp"}


def test_lost_correction_of_the_baseline_is_rejected(monkeypatch):
    right = kernels.hessian
    # Subtracting the mean of all three samples instead of the other two shrinks the Hessian by 2/3.
    monkeypatch.setattr(kernels, "hessian", lambda t: 2 / 3 * right(t))
    assert "hess" in few_samples_procedure("shared", 2, True)


def test_difference_quotient_is_told_from_the_hessian_itself():
    # Its truncation error at a step of 2 sigma: the closed form is that of the quotient, not of the limit.
    assert "hessp" in procedure(
        "hvp-aggregate", "waves", 2, True, SmoothedHVP(sigma=SIGMA, proposal="aggregate", rel_step=2.0)
    )
