"""Photographs: what is compared, and what is refused."""

import numpy as np
import pytest

from invopt.rendering import (
    L1,
    MSE,
    Cauchy,
    GradientMSE,
    Huber,
    LogMSE,
    MultiScaleMSE,
    Photograph,
    RelativeMSE,
)
from invopt.rendering.photographs.averaging import Averaging
from invopt.rendering.photographs.comparison import Comparison
from invopt.rendering.photographs.development import develop
from invopt.testing.losses import comparison_differentiates

from .photographs import FINE, LIGHT, RNG, compared, encoded, film

# What is compared


@pytest.mark.parametrize("bits", [8, 16])
def test_integers_are_decoded_from_srgb_and_averaged_as_light(bits):
    checks = LIGHT * np.where(np.indices((12, 16)).sum(0)[:, :, None] % 2, 1.0, 0.2)
    fine = np.kron(checks, np.ones((4, 4, 1)))
    target = develop(Photograph(encoded(fine, bits)), film())
    np.testing.assert_allclose(target.picture, checks, atol=2.0 ** (1 - bits))
    assert target.scales is None
    halves = develop(Photograph(encoded(fine, bits)), film(6, 8))
    np.testing.assert_allclose(halves.picture, checks.reshape(6, 2, 8, 2, 3).mean((1, 3)), atol=2.0 ** (1 - bits))


def test_a_film_of_other_size_is_averaged_by_area():
    picture = develop(Photograph(LIGHT), film(9, 12)).picture
    assert picture.mean() == pytest.approx(LIGHT.mean(), rel=1e-5)
    # The first pixel covers one and a third pixels each way.
    weights = np.outer([1, 1 / 3], [1, 1 / 3]) / (4 / 3) ** 2
    np.testing.assert_allclose(picture[0, 0], np.einsum("yx,yxc->c", weights, LIGHT[:2, :2]), rtol=1e-5)


def test_the_films_filter_averages_a_fine_photograph():
    point = np.zeros((132, 176, 1), np.float32)
    point[71, 93] = 100.0
    picture = develop(Photograph(point), film(channels=1, kernel=wide, radius=2.0)).picture[:, :, 0]
    shares = np.exp(-2 * np.arange(-1, 2) ** 2.0)
    found = picture[5:8, 8] / picture[6, 8]
    np.testing.assert_allclose(found, shares, rtol=1e-4)


def test_saturated_pixels_and_their_neighbours_are_left_out():
    fine = FINE.copy()
    fine[20:22, 30:32] = 5.0
    left = ~compared(develop(Photograph(encoded(fine)), film()))
    # Rows 19 to 22 and columns 29 to 32 of the photograph.
    assert np.argwhere(left).tolist() == [[4, 7], [4, 8], [5, 7], [5, 8]]
    assert compared(develop(Photograph(encoded(fine), saturation=None), film())).all()
    assert compared(develop(Photograph(fine), film())).all()
    assert (~compared(develop(Photograph(fine, saturation=2.0), film()))).sum() == 4


def test_masks_weights_and_alpha():
    mask = np.ones(FINE.shape[:2], bool)
    mask[:, :9] = False
    assert compared(develop(Photograph(FINE, mask=mask), film())).sum(1).tolist() == [13] * 12
    weights = np.where(mask, 1.0, 0.25)
    target = develop(Photograph(FINE, mask=weights), film())
    np.testing.assert_allclose(target.scales[0, :4, 0], [0.5, 0.5, np.sqrt(0.25 / 4 + 0.75), 1.0])
    alpha = np.dstack([FINE, mask.astype(np.float32)])
    assert compared(develop(Photograph(alpha), film())).sum() == 12 * 13
    assert compared(develop(Photograph(alpha, alpha="ignore"), film())).all()
    hidden = np.ma.masked_array(FINE, np.repeat(~mask[:, :, None], 3, axis=2))
    for alpha in ("mask", "ignore"):
        assert compared(develop(Photograph(hidden, alpha=alpha), film())).sum() == 12 * 13
    fill = develop(Photograph(np.where(mask[:, :, None], FINE, np.nan), mask=mask, alpha="ignore"), film())
    assert np.isfinite(fill.picture).all()


def test_crop_and_shape():
    target = develop(Photograph(FINE, crop=(8, 4, 32, 24)), film(6, 8))
    np.testing.assert_allclose(target.picture, LIGHT[1:7, 2:10], rtol=1e-5)
    assert develop(Photograph(FINE, resize="stretch"), film(12, 8)).picture.shape == (12, 8, 3)


def test_luminance():
    weights = [0.212671, 0.715160, 0.072169]
    grey = develop(Photograph(FINE), film(channels=1))
    np.testing.assert_allclose(grey.picture[:, :, 0], LIGHT @ weights, rtol=1e-5)
    target = develop(Photograph(FINE @ weights), film())
    residuals = Comparison(MSE(), target, on_device=False).residuals(LIGHT)
    assert residuals.size == 12 * 16
    assert np.abs(residuals).max() < 1e-6


def test_noise_weighs():
    bright = np.full((12, 16, 3), 0.09, np.float32)
    bright[0] = 0.89
    target = develop(Photograph(bright, noise=(0.1, 1.0)), film())
    np.testing.assert_allclose(target.scales[:2, 0, 0], [np.sqrt(0.1 / 0.9), 1.0], rtol=1e-5)
    deviations = np.full((12, 16), 0.5)
    deviations[1] = 1.0
    np.testing.assert_allclose(develop(Photograph(bright, noise=deviations), film()).scales[:2, 0, 0], [1.0, 0.5])


@pytest.mark.parametrize(("height", "width"), [(12, 16), (9, 12), (48, 64)])
def test_the_noise_of_an_average_is_smaller(height, width):
    """Measured on 400 noisy photographs: their mean variance is known to 400 pixels x 400, 1 % at 6 deviations."""
    rng, noise = np.random.default_rng(4), (0.02, 0.01)
    target = develop(Photograph(FINE, noise=noise), film(height, width, kernel=wide, radius=1.0))
    deviations = np.sqrt(noise[0] ** 2 + noise[1] * FINE.mean(axis=2, keepdims=True))
    average = Averaging(FINE.shape[:2], (height, width), wide, 1.0)
    found = [average(deviations * rng.standard_normal((*FINE.shape[:2], 1))) for _ in range(400)]
    assert target.variance.mean() == pytest.approx(np.var(found, axis=0).mean(), rel=0.05)
    # The average over an area; a wider filter overlaps.
    if (height, width) == (48, 64):
        np.testing.assert_allclose(target.variance, deviations**2, rtol=1e-5)
    assert develop(Photograph(FINE), film()).variance is None
    assert develop(Photograph(FINE, noise=noise, response="unknown"), film()).variance is None


def wide(distance):
    return np.exp(-2 * distance**2)


# Exposure, white balance, response


@pytest.mark.parametrize("loss", [MSE(), Huber()], ids=repr)
@pytest.mark.parametrize(
    ("facts", "factors"),
    [
        ({"exposure": "unknown"}, (0.7, 0.7, 0.7)),
        ({"white_balance": "unknown"}, (0.8, 1.0, 1.3)),
        ({"exposure": "unknown", "white_balance": "unknown"}, (0.8, 0.6, 0.5)),
        ({"exposure": "unknown", "white_balance": (0.5, 1.0, 2.0)}, (0.4, 0.8, 1.6)),
        ({"exposure": 0.5}, (0.5, 0.5, 0.5)),
    ],
    ids=str,
)
def test_factors_are_found_beside_saturation(facts, factors, loss):
    light = np.where(RNG.random(LIGHT.shape) < 0.01, 3.0, LIGHT) * 0.9
    target = develop(Photograph(np.clip(light * factors, 0, 1.3).astype("f4"), saturation=1.299, **facts), film())
    comparison = Comparison(loss, target, on_device=False)
    assert comparison.value(light) < 1e-10
    if "unknown" in facts.values():
        fitted = comparison.fitted(light)
        np.testing.assert_allclose(fitted.coefficients, factors, rtol=1e-4)
        assert (
            len(fitted.values)
            == len(target.exposure.names)
            == sum(v == "unknown" for v in facts.values()) + (facts.get("white_balance") == "unknown")
        )


def test_the_standard_error_of_an_exposure_covers():
    """The mean of the squared ratios of 200 errors to their bars is that of chi-squared / 200: 1 +- .1."""
    rng, ratios = np.random.default_rng(1), []
    for _ in range(200):
        noisy = (0.7 * LIGHT + 0.05 * rng.standard_normal(LIGHT.shape)).astype("f4")
        fitted = Comparison(MSE(), develop(Photograph(noisy, exposure="unknown"), film()), on_device=False).fitted(
            LIGHT
        )
        ratios.append((fitted.values[0] - 0.7) / fitted.standard_error[0])
    # False-alarm rate 1e-6: five standard deviations.
    assert abs(np.mean(np.square(ratios)) - 1) < 0.5


def filmic(light):
    x = np.maximum(light - 0.004, 0)
    return x * (6.2 * x + 0.5) / (x * (6.2 * x + 1.7) + 0.06)


@pytest.mark.parametrize(
    "response",
    [2.2, filmic, np.stack([np.linspace(0, 4, 400), filmic(np.linspace(0, 4, 400))], 1), "linear"],
    ids=["gamma", "function", "table", "linear"],
)
def test_known_responses_are_inverted(response):
    curve = {"gamma": lambda v: v ** (1 / 2.2), "linear": lambda v: v}.get(
        "linear" if isinstance(response, str) else "gamma" if isinstance(response, float) else "", filmic
    )
    target = develop(Photograph(curve(LIGHT.astype(float)), response=response), film())
    np.testing.assert_allclose(target.picture, LIGHT, rtol=0.01)


@pytest.mark.parametrize("curve", [filmic, lambda v: 0.3 * v**0.45], ids=["filmic", "gamma"])
@pytest.mark.parametrize("balance", [None, "unknown"])
def test_an_unknown_response_is_fitted(curve, balance):
    numbers = curve(LIGHT.astype(float) * ((1.0, 1.0, 1.0) if balance is None else (0.5, 1.0, 1.5)))
    target = develop(Photograph(numbers, response="unknown", white_balance=balance), film())
    comparison = Comparison(MSE(), target, on_device=False)
    right = comparison.value(LIGHT)
    moved = comparison.value(np.roll(LIGHT, 1, axis=1))
    assert right < 1e-4
    assert moved > 100 * right


DEVELOPED = {
    "saturation": Photograph(LIGHT, saturation=0.895),
    "exposure": Photograph(LIGHT * 0.7, exposure="unknown", saturation=0.626),
    "white balance": Photograph(LIGHT * (0.7, 1, 1.2), exposure="unknown", white_balance="unknown"),
    "response": Photograph(filmic(LIGHT), response=filmic, exposure=0.5),
    "unknown response": Photograph(filmic(LIGHT), response="unknown"),
    "unknown responses": Photograph(filmic(LIGHT), response="unknown", white_balance="unknown"),
    "mask": Photograph(LIGHT, mask=RNG.random((12, 16)), noise=(0.1, 0.2)),
    "luminance": Photograph(LIGHT[:, :, 0], exposure="unknown"),
}


SQUARES = [MSE(), RelativeMSE(), Huber(), Cauchy(), LogMSE(), GradientMSE(), MultiScaleMSE(levels=2)]
# Every loss with every option; an unknown response needs the mean square, and what is fitted one of squares.
PAIRS = [(loss, name) for name in DEVELOPED for loss in (SQUARES[:1] if name.startswith("unknown") else SQUARES)]
PAIRS += [(L1(), name) for name, photograph in DEVELOPED.items() if not photograph.has_unknowns]


@pytest.mark.render
@pytest.mark.parametrize(("loss", "name"), PAIRS, ids=str)
def test_derivatives(name, loss):
    """Fitted values are constant in the derivative, which is exact because they minimise the loss."""
    image = (LIGHT * (1.05 + 0.3 * np.random.default_rng(3).random(LIGHT.shape))).astype(np.float32)
    comparison_differentiates(loss, develop(DEVELOPED[name], film()), image)


def test_a_start_that_is_far_too_bright_has_a_slope():
    comparison = Comparison(MSE(), develop(Photograph(LIGHT, saturation=1.0), film()), on_device=False)
    values = [comparison.value(factor * LIGHT) for factor in (30, 300, 3000)]
    assert values == sorted(set(values))
    assert comparison.exposed(300 * LIGHT).max() == 1.0
    # Just above saturation, a render counts as it is.
    small = 1.02 / LIGHT.max() * LIGHT
    assert comparison.value(small) == pytest.approx(float(np.square(small - LIGHT).mean()), rel=1e-2)


@pytest.mark.parametrize("facts", [{"exposure": "unknown"}, {"response": "unknown"}], ids=str)
def test_renders_that_nothing_fits(facts):
    comparison = Comparison(MSE(), develop(Photograph(LIGHT, **facts), film()), on_device=False)
    assert np.isnan(comparison.value(np.full_like(LIGHT, np.nan)))
    assert comparison.value(np.zeros_like(LIGHT)) == pytest.approx(float(np.square(LIGHT).mean()), rel=1e-5)
