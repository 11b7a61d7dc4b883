"""Losses: the contract, and what each promises."""

import sys

import numpy as np
import pytest
from attrs import frozen

import invopt.testing
from invopt.exceptions import InvoptError
from invopt.rendering import (
    FLIP,
    L1,
    MSE,
    SSIM,
    Cauchy,
    GradientMSE,
    Huber,
    LogMSE,
    Loss,
    MultiScaleMSE,
    RelativeMSE,
    ValueLoss,
)
from invopt.rendering.losses import as_loss
from invopt.rendering.pictures.display import to_display

LOSSES = [
    MSE(),
    RelativeMSE(),
    L1(),
    MultiScaleMSE(levels=2),
    Huber(),
    Huber(delta=0.5),
    Cauchy(),
    Cauchy(scale=2.0),
    LogMSE(),
    GradientMSE(),
    SSIM(),
    FLIP(),
    FLIP(pixels_per_degree=20),
]


@pytest.mark.render
@pytest.mark.parametrize("check", invopt.testing.LOSS_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_contract(check, loss):
    check(loss)


@frozen(kw_only=True)
class Shifted(Loss):
    def residuals(self, image, reference):
        return [image - reference + 0.1]


@frozen(kw_only=True)
class Misshapen(Loss):
    def residuals(self, image, reference):
        return [(image - reference)[1:]]


@frozen(kw_only=True)
class Detached(Loss):
    def residuals(self, image, reference):
        import drjit as dr

        d = image - reference
        return [d if isinstance(d, np.ndarray) else 0.9 * d + 0.1 * dr.detach(d)]


@frozen(kw_only=True)
class Offset(ValueLoss):
    def value(self, image, reference):
        return 1.0 + float(np.abs(image - reference).mean())


@pytest.mark.render
@pytest.mark.parametrize(
    ("number", "loss", "message"),
    [
        (0, Shifted(), "has residuals up to 0.1 where both pictures are equal"),
        (0, Offset(), "is 1 where both pictures are equal"),
        (1, Misshapen(), r"says that its residuals have the shapes \[\(5, 6, 3\)\], and they have \[\(4, 6, 3\)\]"),
        (2, Detached(), "the derivative along a direction is .*, and differences give"),
    ],
)
def test_each_check_sees_its_fault(number, loss, message):
    if invopt.rendering.activate().value == "scalar":
        pytest.skip("the scalar backend has no derivatives")
    with pytest.raises(AssertionError, match=message):
        invopt.testing.LOSS_CHECKS[number](loss)


def test_values():
    image, target = np.array([[[0.5], [3.0]]]), np.array([[[0.4], [1.0]]])
    d = np.array([0.1, 2.0])
    assert Huber(delta=1.0).value(image, target) == pytest.approx(np.mean([0.1**2, 2 * 2.0 - 1]))
    assert Cauchy(scale=0.5).value(image, target) == pytest.approx(np.mean(0.25 * np.log1p((d / 0.5) ** 2)))
    assert LogMSE(epsilon=0.1).value(image, target) == pytest.approx(np.mean(np.log([0.6 / 0.5, 3.1 / 1.1]) ** 2))
    assert GradientMSE().value(image, target) == pytest.approx(1.9**2)
    assert Huber().value(2 - image, 2 - target) == pytest.approx(Huber().value(image, target))


def pictures():
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:24, 0:20] / 20
    image = np.stack([y * x, 0.5 * y, 1.3 * x], axis=2) + 0.02
    return image, np.clip(image * (1 + 0.3 * rng.standard_normal(image.shape)), 0, None)


def test_structural_similarity():
    """Numbers of scikit-image 0.26, `structural_similarity` with the options that the docstring names."""
    image, target = pictures()
    assert SSIM().value(image, target) == pytest.approx(0.6074057078, abs=1e-7)
    assert SSIM().value(image[:, :, :1], target[:, :, :1]) == pytest.approx(0.5298001318, abs=1e-7)
    assert SSIM().value(image[:6, :7], target[:6, :7]) > 0.01
    # Above white nothing is seen.
    assert SSIM().value(image + 2, image + 5) == 0.0
    assert np.isnan(SSIM().value(np.where(image > 1, np.nan, image), target))


def test_flip_is_what_the_package_computes():
    import flip_evaluator

    image, target = pictures()
    shown = [to_display(each).astype(np.float32) for each in (target, image)]
    _, mean, _ = flip_evaluator.evaluate(*shown, "LDR")
    assert FLIP().value(image, target) == pytest.approx(mean, rel=1e-3)
    assert FLIP(pixels_per_degree=10).value(image, target) > FLIP().value(image, target)
    assert FLIP().value(image[:, :, :1], target[:, :, :1]) > 0.01
    assert np.isnan(FLIP().value(np.where(image > 1, np.nan, image), target))


def test_flip_names_the_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    with pytest.raises(InvoptError, match="needs the package 'flip-evaluator': pip install 'invopt.flip.'"):
        FLIP()


@pytest.mark.parametrize("loss", [SSIM(), FLIP()], ids=repr)
def test_losses_of_values_have_no_residuals(loss):
    with pytest.raises(TypeError, match=f"the loss {type(loss).__name__} has no residuals: use a loss that is a mean"):
        loss.residuals(*pictures())


@pytest.mark.parametrize(
    "name", ["mse", "relative-mse", "l1", "huber", "cauchy", "log-mse", "gradient-mse", "ssim", "flip"]
)
def test_names(name):
    assert as_loss(name) in LOSSES


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Huber(delta=0), "'delta' must be > 0: 0"),
        (lambda: Cauchy(scale=-1), "'scale' must be > 0: -1"),
        (lambda: LogMSE(epsilon=0), "'epsilon' must be > 0: 0"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
