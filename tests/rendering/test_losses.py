"""Losses: the contract, and what each promises."""

import numpy as np
import pytest
from attrs import frozen

import invopt.testing
from invopt.rendering import L1, MSE, Cauchy, GradientMSE, Huber, LogMSE, Loss, MultiScaleMSE, RelativeMSE
from invopt.rendering.losses import as_loss

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


@pytest.mark.render
@pytest.mark.parametrize(
    ("number", "loss", "message"),
    [
        (0, Shifted(), "has residuals up to 0.1 where both pictures are equal"),
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


@pytest.mark.parametrize("name", ["mse", "relative-mse", "l1", "huber", "cauchy", "log-mse", "gradient-mse"])
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
