"""Levels of residual pictures."""

import math

import numpy as np
import pytest

from invopt.plugin import independent_values, pyramid


def test_without_pictures_there_is_one_level():
    residuals = np.arange(5.0)
    (level,) = pyramid(residuals, ())
    assert level is residuals
    assert independent_values((), 5).tolist() == [5.0]


@pytest.mark.parametrize("shape", [(64, 64, 3), (64, 48), (100, 1), (40, 40, 1)])
def test_a_constant_picture_keeps_its_sum_of_squares(shape):
    """Blurred and reduced, up to what leaves the picture; sharpened, nothing is left."""
    residuals = np.ones(math.prod(shape))
    levels = pyramid(residuals, (shape,))
    assert len(levels) == len(independent_values((shape,), residuals.size)) == 6
    total = float(residuals @ residuals)
    for level, share in zip(levels[1:5], (0.9, 0.8, 0.6, 0.3), strict=True):
        assert share * total < level @ level <= 1.001 * total
    assert levels[5] @ levels[5] < 1e-12 * total


def test_blurs_remove_noise_and_sharpening_keeps_it():
    noise = np.random.default_rng(0).normal(size=(64, 64))
    squares = [float(level @ level) / noise.size for level in pyramid(noise.ravel(), ((64, 64),))]
    # White noise blurred by a Gaussian of d pixels keeps 1 / (4 pi d^2) of its variance.
    for square, pixels in zip(squares[1:4], (2.0, 4.0, 8.0), strict=True):
        assert square == pytest.approx(1 / (4 * math.pi * pixels**2), rel=0.5)
    assert squares[5] == pytest.approx(1.0, abs=0.1)


def test_each_view_is_blurred_by_itself():
    first, second = np.random.default_rng(0).normal(size=(2, 32, 32))
    both = pyramid(np.concatenate([first.ravel(), second.ravel()]), ((32, 32), (32, 32)))
    alone = [pyramid(each.ravel(), ((32, 32),)) for each in (first, second)]
    for level, one, other in zip(both, *alone, strict=True):
        np.testing.assert_array_equal(level, np.concatenate([one, other]))


def test_residuals_after_the_pictures_are_in_every_level():
    residuals = np.concatenate([np.zeros(1024), [3.0, 4.0]])
    for level in pyramid(residuals, ((32, 32),)):
        assert level @ level == pytest.approx(25.0)


def test_small_pictures():
    for shape in ((1, 1), (2, 2, 3), (3, 1)):
        residuals = np.ones(math.prod(shape))
        assert all(np.isfinite(level).all() for level in pyramid(residuals, (shape,)))
